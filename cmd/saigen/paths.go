package main

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// paths are the folders of this user's saigen. docs/run-folder.md describes what is in them.
type paths struct {
	cache   string // images and stores; may be deleted at any time when nothing runs
	runs    string // one folder for each run: evidence, and scratch/ while machines run
	runtime string // sockets: short, because a socket's path may have 108 bytes
}

func (w *world) paths() (paths, error) {
	home := w.env("HOME")
	or := func(name, otherwise string) string {
		if v := w.env(name); v != "" {
			return v
		}
		return otherwise
	}
	runtime := "/run"
	if os.Getuid() != 0 {
		runtime = or("XDG_RUNTIME_DIR", "/run/user/"+strconv.Itoa(os.Getuid()))
	}
	p := paths{
		cache:   filepath.Join(or("XDG_CACHE_HOME", filepath.Join(home, ".cache")), "saigen"),
		runs:    filepath.Join(or("XDG_STATE_HOME", filepath.Join(home, ".local", "state")), "saigen", "runs"),
		runtime: filepath.Join(runtime, "saigen"),
	}
	if home == "" && (w.env("XDG_CACHE_HOME") == "" || w.env("XDG_STATE_HOME") == "") {
		return p, usage("neither HOME nor XDG_CACHE_HOME and XDG_STATE_HOME is set: saigen does not know where to keep images and evidence")
	}
	return p, nil
}

// newRunID is unique on this host, sorts by time, and is short enough for names of cgroups and sockets.
func newRunID(now time.Time) lab.RunID {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails; see crypto/rand
	return lab.RunID(now.UTC().Format("20060102-150405-") + hex.EncodeToString(b[:]))
}
