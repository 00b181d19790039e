package ledger

import (
	"os"
	"path/filepath"
	"testing"
)

// Undoing needs no room on the disk where all can be undone: nothing is written but a shorter length.
func TestUndoNeedsNoRoom(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, "run")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Record(Entry{Kind: KindDirectory, Path: filepath.Join(dir, "scratch")}); err != nil {
		t.Fatal(err)
	}
	if err := l.Keep(); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", filepath.Join(dir, fileName+".new")); err != nil { // a new file could not be written
		t.Fatal(err)
	}
	if err := l.Undo(t.Context()); err != nil {
		t.Error(err)
	}
	if run, err := Read(dir); err != nil || run.ID != "run" || run.Kept || len(run.Entries) != 0 {
		t.Errorf("%+v, %v", run, err)
	}
	if err := l.Record(Entry{Kind: KindDirectory, Path: filepath.Join(dir, "again")}); err != nil {
		t.Error(err)
	}
	if run, err := Read(dir); err != nil || len(run.Entries) != 1 {
		t.Errorf("%+v, %v", run, err)
	}
}

// What cannot be undone on a full disk stays in the ledger, which is whole.
func TestUndoOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, "run")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, path := range []string{"not/absolute", filepath.Join(dir, "scratch")} {
		if err := l.Record(Entry{Kind: KindDirectory, Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/dev/full", filepath.Join(dir, fileName+".new")); err != nil {
		t.Fatal(err)
	}
	if err := l.Undo(t.Context()); err == nil {
		t.Error("a folder that cannot be removed was")
	}
	if run, err := Read(dir); err != nil || len(run.Entries) != 2 {
		t.Errorf("%+v, %v", run, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, fileName+".new")); !os.IsNotExist(err) {
		t.Errorf("half a ledger is left: %v", err)
	}
}
