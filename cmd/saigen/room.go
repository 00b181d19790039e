package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// noRoom are what the kernel says when nothing more can be written, and how programs print it that saigen has run.
var noRoom = map[error]string{
	unix.ENOSPC: "no space left on device",
	unix.EDQUOT: "disk quota exceeded",
	unix.EFBIG:  "file too large",
}

// lacksRoom says whether an error is owed to a full disk: to the error itself, or to what a program has printed.
func lacksRoom(err error) bool {
	text := ""
	if e := (*lab.InfraError)(nil); errors.As(err, &e) {
		text = e.Tail
	}
	text = strings.ToLower(text + err.Error())
	for errno, said := range noRoom {
		if errors.Is(err, errno) || strings.Contains(text, said) {
			return true
		}
	}
	return false
}

// advise says what a user can do about an error that is owed to a disk; empty: it is not.
func (w *world) advise(err error) string {
	p, wrong := w.paths()
	if err == nil || wrong != nil || !lacksRoom(err) {
		return ""
	}
	return fmt.Sprintf("Make room: images are kept in %s (%s), evidence and the disks of machines in %s (%s). saigen cache prune removes images, "+
		"SAIGEN_CACHE_SIZE limits them, XDG_CACHE_HOME and XDG_STATE_HOME name folders elsewhere.", p.cache, free(p.cache), p.runs, free(p.runs))
}

// free is what the file system has left that a folder is or would be on, and what limits files besides.
func free(folder string) string {
	for {
		var st unix.Statfs_t
		err := unix.Statfs(folder, &st)
		switch {
		case err == nil && st.Files > 0 && st.Ffree == 0:
			return "no more files, " + report.Bytes(int64(st.Bavail)*st.Bsize) + " free"
		case err == nil:
			return report.Bytes(int64(st.Bavail)*st.Bsize) + " free"
		case folder == filepath.Dir(folder):
			return err.Error()
		}
		folder = filepath.Dir(folder)
	}
}

// writable makes the folders that a run writes to, and demands that it may: before anything starts.
func (p paths) writable() error {
	for _, f := range []struct{ path, what, name string }{
		{p.runs, "the evidence of runs", "XDG_STATE_HOME"},
		{p.cache, "images", "XDG_CACHE_HOME"},
	} {
		err := os.MkdirAll(f.path, 0o755)
		if e := (*os.PathError)(nil); errors.As(err, &e) {
			err = e.Err
		}
		if err == nil {
			err = unix.Faccessat(unix.AT_FDCWD, f.path, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		}
		switch {
		case err == nil:
		case lacksRoom(err):
			return fmt.Errorf("cannot keep %s in %s: %w", f.what, f.path, err)
		default:
			return &exitError{
				code: runner.ExitUsage, err: fmt.Errorf("cannot keep %s in %s: %w", f.what, f.path, err),
				hint: fmt.Sprintf("saigen must be able to write there. Set %s to a folder in which it can.", f.name),
			}
		}
	}
	return nil
}

// leastRoom is what the disk of machines must have left: a VM's grows by 64 KiB, and machines and evidence write side by side.
const leastRoom = 4 << 20

// leastFiles is how many files more it must take.
const leastFiles = 16

// scarce says that the disk with a folder is full; empty: it is not, or nobody knows.
func scarce(folder string) string {
	var st unix.Statfs_t
	if unix.Statfs(folder, &st) != nil || int64(st.Bavail)*st.Bsize >= leastRoom && (st.Files == 0 || st.Ffree >= leastFiles) {
		return ""
	}
	return fmt.Sprintf("no space left on device for the disks of machines in %s (%s)", folder, free(folder))
}
