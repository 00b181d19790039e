package qemu

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/labtest"
)

// standIn starts a process that looks like a QEMU of the folder: as many words, and none of its work.
func standIn(t *testing.T, folder string) *exec.Cmd {
	return labtest.Idle(t, "/bin/sh", "sh", "-pidfile", filepath.Join(folder, pidFile))
}

func TestUndoKillsThoseOfTheFolderOnly(t *testing.T) {
	ours, theirs := filepath.Join(t.TempDir(), "server"), filepath.Join(t.TempDir(), "server")
	a, b, other := standIn(t, ours), standIn(t, ours), standIn(t, theirs)
	for range 2 { // the second time there is nothing to do
		if err := killThoseIn(t.Context(), ours); err != nil {
			t.Fatal(err)
		}
	}
	for _, cmd := range []*exec.Cmd{a, b} {
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() >= 0 {
			t.Errorf("one of the folder's ended with %v", cmd.ProcessState)
		}
	}
	if !isOf(other.Process.Pid, theirs) {
		t.Error("another folder's process is gone")
	}
	if err := killThoseIn(t.Context(), "relative"); err == nil {
		t.Error("a path that is not absolute was taken")
	}
}

// A child that is no QEMU yet has the lock: undoing waits until it is one, or has ended.
func TestUndoWaitsForTheLock(t *testing.T) {
	folder := t.TempDir()
	lock, err := lockFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFolder(folder); err == nil {
		t.Error("a folder was locked twice")
	}
	child := exec.Command("sh", "-c", "read forever")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	child.ExtraFiles = []*os.File{lock}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	hurried, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := killThoseIn(hurried, folder); err == nil {
		t.Error("a child that has the lock was overlooked")
	}
	undone := make(chan error)
	go func() { undone <- killThoseIn(t.Context(), folder) }()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-undone; err != nil {
		t.Error(err)
	}
	_ = child.Wait()
}
