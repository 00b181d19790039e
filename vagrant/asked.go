package vagrant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// askedPrefix is what the names of the folders begin with that a question to Vagrant has instead of the user's. Who asks holds
// the folder's lock: no ledger knows it, since saigen doctor asks, too.
const askedPrefix = "saigen-vagrant-"

// listPlugins is what Vagrant says of the user's plugins. A user who has never used Vagrant has none of his own, and gets no
// folder for them from this question.
func listPlugins(ctx context.Context) (string, error) {
	env := plainEnv("VAGRANT_CHECKPOINT_DISABLE=1", "VAGRANT_NO_COLOR=1")
	home, err := usersHome()
	if err == nil {
		_, err = os.Stat(home)
	}
	if err != nil {
		_, _ = SweepAsked() // what cannot be removed is in nobody's way here; saigen gc says why
		empty, lock, err := newAsked()
		if err != nil {
			return "", fmt.Errorf("cannot ask Vagrant for its plugins: %w", err)
		}
		defer lock.Close()
		defer func() { _ = os.RemoveAll(empty) }()
		env = append(env, "VAGRANT_HOME="+empty)
	}
	out, err := tool{argv: []string{"vagrant", "plugin", "list"}, env: env}.run(ctx)
	return string(out), err
}

// newAsked makes the folder of a question, which is this process's until lock is closed.
func newAsked() (dir string, lock *os.File, err error) {
	for range 10 { // somebody may sweep it before it is locked
		if dir, err = os.MkdirTemp("", askedPrefix); err != nil {
			return "", nil, err
		}
		if lock = lockAsked(dir); lock != nil {
			return dir, lock, nil
		}
		_ = os.Remove(dir)
	}
	return "", nil, fmt.Errorf("cannot lock a folder in %s", os.TempDir())
}

// lockAsked locks a folder of this user's; nil: somebody else has, or it is none, or no longer there.
func lockAsked(dir string) *os.File {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	var opened, there unix.Stat_t
	if unix.Fstat(int(f.Fd()), &opened) != nil || int(opened.Uid) != os.Getuid() || unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil ||
		unix.Lstat(dir, &there) != nil || there.Ino != opened.Ino {
		_ = f.Close()
		return nil
	}
	return f
}

// Asked lists what questions of this user have left whose saigen was killed.
func Asked() []string {
	var left []string
	_ = eachAsked(func(dir string) error { // it returns no error of its own
		left = append(left, dir)
		return nil
	})
	return left
}

// SweepAsked removes what Asked lists, and returns it.
func SweepAsked() (removed []string, err error) {
	err = eachAsked(func(dir string) error {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("cannot remove what a question to Vagrant has left: %w", err)
		}
		removed = append(removed, dir)
		return nil
	})
	return removed, err
}

func eachAsked(do func(dir string) error) error {
	all, _ := filepath.Glob(filepath.Join(os.TempDir(), askedPrefix+"*")) // the pattern is right
	var errs []error
	for _, dir := range all {
		if lock := lockAsked(dir); lock != nil {
			errs = append(errs, do(dir), lock.Close())
		}
	}
	return errors.Join(errs...)
}
