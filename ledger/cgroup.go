package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Hierarchy is the host's cgroup v2 hierarchy. It is opened as a detached mount, which shows nowhere on the host, so it
// works in the same way where v2 is at /sys/fs/cgroup, where it is at /sys/fs/cgroup/unified (hybrid), and where it is
// not mounted at all.
type Hierarchy struct{ root *os.File }

// OpenHierarchy opens the hierarchy. It needs CAP_SYS_ADMIN and Linux 5.2.
func OpenHierarchy() (*Hierarchy, error) {
	fd, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot open cgroup v2: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.FsconfigCreate(fd); err != nil {
		return nil, fmt.Errorf("cannot open cgroup v2: %w", err)
	}
	root, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open cgroup v2: %w", err)
	}
	return &Hierarchy{os.NewFile(uintptr(root), "cgroup2")}, nil
}

// Close closes the hierarchy.
func (h *Hierarchy) Close() error { return h.root.Close() }

// Path is where this process, and no other, finds a file of the hierarchy.
func (h *Hierarchy) Path(elem ...string) string {
	return filepath.Join(append([]string{"/proc/self/fd/" + strconv.Itoa(int(h.root.Fd()))}, elem...)...)
}

// Make makes a cgroup below the root and opens it, for use as SysProcAttr.CgroupFD.
func (h *Hierarchy) Make(name string) (*os.File, error) {
	if err := os.Mkdir(h.Path(name), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make cgroup %s: %w", name, bare(err))
	}
	dir, err := os.Open(h.Path(name))
	if err != nil {
		return nil, fmt.Errorf("cannot open cgroup %s: %w", name, bare(err))
	}
	return dir, nil
}

// Controllers are the controllers that a cgroup may use.
func (h *Hierarchy) Controllers(name string) ([]string, error) {
	data, err := os.ReadFile(h.Path(name, "cgroup.controllers"))
	if err != nil {
		return nil, fmt.Errorf("cannot read controllers of cgroup %s: %w", name, bare(err))
	}
	return strings.Fields(string(data)), nil
}

// Remove kills every process in the cgroup and below it, waits until they are gone, and removes the folders. It returns
// nil when there is no such cgroup.
func (h *Hierarchy) Remove(ctx context.Context, name string) error {
	if !filepath.IsLocal(name) || name == "." {
		return fmt.Errorf("cannot remove cgroup %q: not a name below the root", name)
	}
	top := h.Path(name)
	err := os.WriteFile(filepath.Join(top, "cgroup.kill"), []byte("1"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(top); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		err = h.killEach(ctx, top) // before Linux 5.14
	}
	if err != nil {
		return fmt.Errorf("cannot kill the processes of cgroup %s: %w", name, bare(err))
	}
	if err := waitEmpty(ctx, top); err != nil {
		return fmt.Errorf("cannot empty cgroup %s: %w", name, err)
	}
	folders, err := below(top)
	if err != nil {
		return fmt.Errorf("cannot list cgroup %s: %w", name, bare(err))
	}
	slices.Reverse(folders)
	for _, f := range folders {
		if err := unix.Rmdir(f); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("cannot remove cgroup %s: %w", name, err)
		}
	}
	return nil
}

// killEach kills until no process is listed: a process may fork between two looks.
func (h *Hierarchy) killEach(ctx context.Context, top string) error {
	for {
		folders, err := below(top)
		if err != nil {
			return err
		}
		seen := 0
		for _, f := range folders {
			pids, err := pidsIn(f)
			if err != nil {
				return err
			}
			for _, pid := range pids {
				seen++
				if err := killIfIn(pid, f); err != nil {
					return err
				}
			}
		}
		if seen == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// killIfIn kills a process through a pidfd, after a second look that it is still the one in that cgroup: the number may
// have been given to another process between the listing and the open.
func killIfIn(pid int, folder string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	pids, err := pidsIn(folder)
	if err != nil || !slices.Contains(pids, pid) {
		return err
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

func pidsIn(folder string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, s := range strings.Fields(string(data)) {
		pid, err := strconv.Atoi(s)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// below lists a cgroup and those below it, parents first.
func below(top string) ([]string, error) {
	var folders []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	return folders, err
}

// waitEmpty waits until the kernel says that no living process is in the cgroup or below it.
func waitEmpty(ctx context.Context, top string) error {
	f, err := os.Open(filepath.Join(top, "cgroup.events"))
	if err != nil {
		return bare(err)
	}
	defer f.Close()
	buf := make([]byte, 256)
	for {
		n, err := f.ReadAt(buf, 0)
		if n == 0 && err != nil {
			return err
		}
		if strings.Contains(string(buf[:n]), "populated 0") {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		// The file polls as changed when populated changes; the timeout only serves to look at ctx.
		fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
		if _, err := unix.Poll(fds, int((100 * time.Millisecond).Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func undoCgroup(ctx context.Context, e Entry) error {
	h, err := OpenHierarchy()
	if err != nil {
		return err
	}
	defer h.Close()
	return h.Remove(ctx, e.Path)
}

// bare takes the path away from an error: it names a file descriptor of this process, which helps nobody.
func bare(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
