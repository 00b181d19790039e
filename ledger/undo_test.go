package ledger

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("cgroups and mounts are made by root")
	}
}

// sleepers starts a process that starts another one, both in the cgroup.
func sleepers(t *testing.T, group *os.File) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo up; wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func TestUndoCgroup(t *testing.T) {
	needRoot(t)
	h, err := OpenHierarchy()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for name, undo := range map[string]func(name string) error{
		"kill":  func(name string) error { return undoCgroup(t.Context(), Entry{Path: name}) },
		"pidfd": func(name string) error { return h.killEach(t.Context(), h.Path(name)) },
	} {
		t.Run(name, func(t *testing.T) {
			name := "saigen-test-" + strconv.Itoa(os.Getpid())
			group, err := h.Make(name)
			if err != nil {
				t.Fatal(err)
			}
			defer group.Close()
			inner, err := h.Make(name + "/inner")
			if err != nil {
				t.Fatal(err)
			}
			defer inner.Close()
			sleepers(t, inner)
			if err := undo(name); err != nil {
				t.Error(err)
			}
			if pids, err := pidsIn(h.Path(name, "inner")); err != nil || len(pids) > 0 {
				t.Errorf("processes are left: %v, %v", pids, err)
			}
			for range 2 {
				if err := undoCgroup(t.Context(), Entry{Path: name}); err != nil {
					t.Error(err)
				}
			}
			if _, err := os.Stat(h.Path(name)); !os.IsNotExist(err) {
				t.Errorf("the cgroup is still there: %v", err)
			}
		})
	}
	for _, name := range []string{"", ".", "..", "/", "../x"} {
		if err := h.Remove(t.Context(), name); err == nil {
			t.Errorf("cgroup %q was removed", name)
		}
	}
}

func TestWaitEmptyHasADeadline(t *testing.T) {
	needRoot(t)
	h, err := OpenHierarchy()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	name := "saigen-test-wait-" + strconv.Itoa(os.Getpid())
	group, err := h.Make(name)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	defer func() {
		if err := h.Remove(context.Background(), name); err != nil {
			t.Error(err)
		}
	}()
	sleepers(t, group)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := waitEmpty(ctx, h.Path(name)); err == nil {
		t.Error("a cgroup with processes is empty")
	}
}

func TestUndoDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	if err := os.MkdirAll(filepath.Join(dir, "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "keep")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(dir, "b", "link")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := undoDirectory(t.Context(), Entry{Path: dir}); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
	for _, path := range []string{"/", "relative", "", "//"} {
		if err := undoDirectory(t.Context(), Entry{Path: path}); err == nil {
			t.Errorf("%q was removed", path)
		}
	}
}

func TestUndoDirectoryRefusesMounts(t *testing.T) {
	needRoot(t)
	dir := filepath.Join(t.TempDir(), "a folder")
	at, source := filepath.Join(dir, "mnt"), t.TempDir()
	precious := filepath.Join(source, "precious")
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, at, "", unix.MS_BIND, ""); err != nil { // the same device: only the list of mounts tells
		t.Fatal(err)
	}
	err := undoDirectory(t.Context(), Entry{Path: dir})
	if unmountErr := unix.Unmount(at, 0); unmountErr != nil {
		t.Fatal(unmountErr)
	}
	if err == nil || !strings.Contains(err.Error(), "umount "+at) {
		t.Errorf("undo says %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}
