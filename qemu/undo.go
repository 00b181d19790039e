package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/ledger"
)

// KindProcess is the kind of ledger entry for a QEMU. Path is its runtime folder. A normal user has no cgroup to kill,
// so the process is known by what it is: it has that folder on its command line and belongs to whoever undoes.
const KindProcess = "qemu"

// KindSnapshot is the kind of ledger entry for a snapshot that no other run would find. Path is its folder in the cache.
const KindSnapshot = "qemu_snapshot"

// Undoers undo what the driver records besides folders.
func Undoers() []ledger.Option {
	return []ledger.Option{
		ledger.With(KindProcess, func(ctx context.Context, e ledger.Entry) error { return killThoseIn(ctx, e.Path) }),
		ledger.With(KindSnapshot, func(ctx context.Context, e ledger.Entry) error { return removeSnapshot(ctx, e.Path) }),
	}
}

// removeSnapshot removes an entry of the cache, and what was made of one that is not whole.
func removeSnapshot(ctx context.Context, folder string) error {
	kind, hash := filepath.Base(filepath.Dir(folder)), filepath.Base(folder)
	if !filepath.IsAbs(folder) || kind != image.KindSnapshot {
		return errors.New("not a snapshot in a cache")
	}
	if _, err := os.Stat(filepath.Dir(folder)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ok, err := image.New(filepath.Dir(filepath.Dir(folder)), slog.New(slog.DiscardHandler)).Remove(ctx, kind, hash)
	if err == nil && !ok {
		err = errors.New("another process uses it")
	}
	return err
}

// undoTick is how often undoing looks again. What was killed goes within milliseconds.
const undoTick = 5 * time.Millisecond

// killThoseIn kills every QEMU of a runtime folder, and returns when none is left. A saigen that was killed between
// the fork and the exec of its child leaves a process that is no QEMU yet: until it is one, it holds the folder's lock.
func killThoseIn(ctx context.Context, folder string) error {
	if !filepath.IsAbs(folder) {
		return errors.New("not an absolute path")
	}
	tick := time.NewTicker(undoTick)
	defer tick.Stop()
	for {
		pids, err := pidsOf(folder)
		if err != nil {
			return fmt.Errorf("cannot list processes: %w", err)
		}
		for _, pid := range pids {
			if err := killIfOf(pid, folder); err != nil {
				return fmt.Errorf("cannot kill process %d: %w", pid, err)
			}
		}
		held, err := lockHeld(folder)
		if err != nil {
			return err
		}
		if len(pids) == 0 && !held {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v are still there, or hold the lock in %s: %w", pids, folder, ctx.Err())
		case <-tick.C:
		}
	}
}

// pidsOf lists the QEMUs of a folder.
func pidsOf(folder string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && isOf(pid, folder) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// isOf says whether a process is a QEMU of this user's that was started for the folder. A zombie has no command line.
func isOf(pid int, folder string) bool {
	proc := "/proc/" + strconv.Itoa(pid)
	line, err := os.ReadFile(proc + "/cmdline")
	if err != nil {
		return false
	}
	var st unix.Stat_t
	if unix.Stat(proc, &st) != nil || int(st.Uid) != os.Geteuid() {
		return false
	}
	words := bytes.Split(line, []byte{0})
	i := slices.IndexFunc(words, func(w []byte) bool { return string(w) == "-pidfile" })
	return i >= 0 && i+1 < len(words) && string(words[i+1]) == filepath.Join(folder, pidFile)
}

// killIfOf kills a process through a pidfd, after a second look that it is still what it was: the number may have been
// given to another process between the listing and the open.
func killIfOf(pid int, folder string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !isOf(pid, folder) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// lockHeld says whether a process has the folder's lock.
func lockHeld(folder string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(folder, lockFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot look at QEMU's lock: %w", err)
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot look at QEMU's lock: %w", err)
	}
	return false, nil
}
