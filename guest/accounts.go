package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// firstUID is the uid of the first declared account; the next ones follow in their order. In a system that was not made by
// saigen (a box from elsewhere) an account may be there already, or its uid be another's: then it has the one it has.
const firstUID = 1000

type accountIDs struct {
	name     string
	uid, gid int
	home     string
}

// lookupAccount reads /etc/passwd, which may have changed since the last look.
func lookupAccount(name string) (accountIDs, error) {
	data, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return accountIDs{}, err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 7 || f[0] != name {
			continue
		}
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		return accountIDs{name, uid, gid, f[5]}, errors.Join(err1, err2)
	}
	return accountIDs{}, fmt.Errorf("there is no account %q on this machine: %w", name, errNoAccount)
}

var errNoAccount = errors.New("not in /etc/passwd")

// makeAccount makes a Linux user, unless it is there: with a home, bash, and subordinate ids where uidmap is installed.
func makeAccount(ctx context.Context, name string, uid int) (accountIDs, error) {
	u, err := lookupAccount(name)
	if !errors.Is(err, errNoAccount) {
		return u, err
	}
	data, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return u, err
	}
	args := []string{"--create-home", "--shell", "/bin/bash"}
	if !uidTaken(string(data), uid) {
		args = append(args, "--uid", strconv.Itoa(uid))
	}
	// The home may exist: a volume that outlived a machine. useradd then leaves its files as they are.
	if err := tool(ctx, "useradd", append(args, name)...); err != nil {
		return u, fmt.Errorf("cannot make account %s: %w", name, err)
	}
	return lookupAccount(name)
}

func uidTaken(passwd string, uid int) bool {
	for line := range strings.Lines(passwd) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == strconv.Itoa(uid) {
			return true
		}
	}
	return false
}

// preparePodman writes what must be there before the account's first podman command, whose choices are kept in podman's
// database: the overlay driver (podman 4.3.1 takes vfs otherwise: a copy per container) and the shared image store. An
// existing file is the lab's own and stays.
func preparePodman(u accountIDs) error {
	if _, err := exec.LookPath("podman"); err != nil {
		return nil
	}
	if err := mountImages(u); err != nil {
		return err
	}
	conf := "# Written by saigen.\n[storage]\ndriver = \"overlay\"\n"
	if view := filepath.Join(accountImages, u.name); isMount(view) {
		conf += "\n[storage.options]\nadditionalimagestores = [\"" + view + "\"]\n"
	}
	path := filepath.Join(u.home, ".config/containers/storage.conf")
	return writeNew(path, conf, u.uid, u.gid)
}

// writeNew writes a file that does not exist, and its folders.
func writeNew(path, content string, uid, gid int) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := makeFolders(filepath.Dir(path), uid, gid); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

// tool runs a program of the system; its error holds what the program wrote.
func tool(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return &toolError{name: name, err: err, out: strings.TrimSpace(string(out))}
	}
	return nil
}

type toolError struct {
	name string
	err  error
	out  string
}

func (e *toolError) Error() string { return fmt.Sprintf("%s: %v: %s", e.name, e.err, e.out) }

// checkAccounts says what is wrong with a declaration.
func checkAccounts(accounts []lab.Account) error {
	for _, a := range accounts {
		switch a.Session {
		case lab.SessionLinger, lab.SessionLogin, lab.SessionSu, lab.SessionNone:
		default:
			return fmt.Errorf("account %s declares the unknown session %q", a.Name, a.Session)
		}
	}
	return nil
}
