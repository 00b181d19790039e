package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// paths are the folders of this user's saigen. docs/run-folder.md describes what is in them.
type paths struct {
	cache   string // images and stores; may be deleted at any time when nothing runs
	runs    string // one folder for each run: evidence, and scratch/ while machines run
	runtime string // sockets: short, because a socket's path may have 108 bytes
}

// state is the folder of what a user's saigen remembers beside its runs.
func (p paths) state() string { return filepath.Dir(p.runs) }

func (w *world) paths() (paths, error) {
	home := w.env("HOME")
	or := func(name, otherwise string) string {
		if v := w.env(name); v != "" {
			return v
		}
		return otherwise
	}
	p := paths{
		cache:   filepath.Join(or("XDG_CACHE_HOME", filepath.Join(home, ".cache")), "saigen"),
		runs:    filepath.Join(or("XDG_STATE_HOME", filepath.Join(home, ".local", "state")), "saigen", "runs"),
		runtime: runtimeFolder(os.Getuid(), w.env("XDG_RUNTIME_DIR")),
	}
	if home == "" && (w.env("XDG_CACHE_HOME") == "" || w.env("XDG_STATE_HOME") == "") {
		return p, usage("neither HOME nor XDG_CACHE_HOME and XDG_STATE_HOME is set: saigen does not know where to keep images and evidence")
	}
	return p, nil
}

// longestRuntime is how long the path of the runtime folder may be, so that a run's id, an arm, a machine's name and the name
// of a socket still fit behind it.
const longestRuntime = 40

// runtimeFolder is where the sockets of a user's runs are. Without a session of its own, after su or in a job of cron, a user
// has no runtime folder, or the variable names somebody else's: then it is a private one in /tmp.
func runtimeFolder(uid int, xdg string) string {
	if uid == 0 {
		return "/run/saigen"
	}
	for _, dir := range []string{xdg, "/run/user/" + strconv.Itoa(uid)} {
		var st unix.Stat_t
		if filepath.IsAbs(dir) && unix.Stat(dir, &st) == nil && int(st.Uid) == uid && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			if path := filepath.Join(dir, "saigen"); len(path) <= longestRuntime {
				return path
			}
		}
	}
	return "/tmp/saigen-" + strconv.Itoa(uid)
}

// private makes the runtime folder, or demands of one that is there that it is nobody else's: in /tmp, anybody can make it.
func (p paths) private() error {
	if err := os.MkdirAll(p.runtime, 0o700); err != nil {
		return fmt.Errorf("cannot make the folder of sockets: %v", err)
	}
	return p.checkRuntime()
}

// checkRuntime is the demand alone; a folder that is not there is nobody's.
func (p paths) checkRuntime() error {
	var st unix.Stat_t
	err := unix.Lstat(p.runtime, &st)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot look at the folder of sockets %s: %v", p.runtime, err)
	case st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Getuid() || st.Mode&0o022 != 0:
		return &exitError{
			code: runner.ExitUsage, err: fmt.Errorf("cannot keep sockets in %s: it is not a folder of yours that nobody else can write to", p.runtime),
			hint: "Remove it, or set XDG_RUNTIME_DIR to a folder of yours with a short name.",
		}
	}
	return nil
}

// newRunID is unique on this host, sorts by time, and is short enough for names of cgroups and sockets.
func newRunID(now time.Time) lab.RunID {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails; see crypto/rand
	return lab.RunID(now.UTC().Format("20060102-150405-") + hex.EncodeToString(b[:]))
}
