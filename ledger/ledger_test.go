package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// noted is an undoer that notes the order.
func noted(into *[]string, fail map[string]bool) Option {
	return With("note", func(_ context.Context, e Entry) error {
		*into = append(*into, e.Path)
		if fail[e.Path] {
			return errors.New("it holds on")
		}
		return nil
	})
}

func record(t *testing.T, l *Ledger, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := l.Record(Entry{Kind: "note", Path: p}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUndoGoesBackwardsAndKeepsWhatFailed(t *testing.T) {
	var order []string
	fail := map[string]bool{"b": true, "c": true}
	l, err := Open(t.TempDir(), "r1", noted(&order, fail))
	if err != nil {
		t.Fatal(err)
	}
	record(t, l, "a", "b", "c", "d")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // ^C does not stop an undo
	err = l.Undo(ctx)
	if err == nil || strings.Count(err.Error(), "it holds on") != 2 {
		t.Errorf("undo says %v", err)
	}
	if want := []string{"d", "c", "b", "a"}; !slices.Equal(order, want) {
		t.Errorf("undone in the order %v", order)
	}
	order, fail["b"], fail["c"] = nil, false, false
	for range 2 {
		if err := l.Undo(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"c", "b"}; !slices.Equal(order, want) {
		t.Errorf("undone again %v", order)
	}
}

func TestRecordSurvivesTheProcess(t *testing.T) {
	dir, order := t.TempDir(), []string(nil)
	l, err := Open(dir, "r1", noted(&order, nil))
	if err != nil {
		t.Fatal(err)
	}
	record(t, l, "a", "b")
	if _, err := Open(dir, "r1", noted(&order, nil)); !errors.Is(err, ErrOwned) {
		t.Errorf("a second owner gets %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err = Open(dir, "", noted(&order, nil))
	if err != nil {
		t.Fatal(err)
	}
	if l.Run() != "r1" {
		t.Errorf("the run is %q", l.Run())
	}
	if err := l.Undo(t.Context()); err != nil || !slices.Equal(order, []string{"b", "a"}) {
		t.Errorf("undone %v, %v", order, err)
	}
}

func TestWhatNobodyCanUndoIsNotRecorded(t *testing.T) {
	l, err := Open(t.TempDir(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Record(Entry{Kind: "spaceship", Path: "x"}); err == nil {
		t.Error("an unknown kind was recorded")
	}
}

func TestTornLastLine(t *testing.T) {
	for _, torn := range []string{`{"kind":"note","pa`, `{"kind":"note","path":"never made"}`} {
		dir, order := t.TempDir(), []string(nil)
		whole := `{"run":"r1"}` + "\n" + `{"kind":"note","path":"a"}` + "\n"
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(whole+torn), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(dir, "r1", noted(&order, nil))
		if err != nil {
			t.Fatal(err)
		}
		record(t, l, "b")
		data, err := os.ReadFile(filepath.Join(dir, fileName))
		if want := whole + `{"kind":"note","path":"b"}` + "\n"; err != nil || string(data) != want {
			t.Errorf("the file is %q, %v", data, err)
		}
		if err := l.Undo(t.Context()); err != nil || !slices.Equal(order, []string{"b", "a"}) {
			t.Errorf("undone %v, %v", order, err)
		}
	}
}

// A damaged line, from a disk that was full say, is told once, and is no reason to leave what the others name.
func TestDamagedLine(t *testing.T) {
	runs := t.TempDir()
	dir, order := filepath.Join(runs, "r1"), []string(nil)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := `{"run":"r1"}` + "\n" + `{"kind":"note","path":"a"}` + "\n" + `{"kind":"no{"kind":"note","path":"b"}` + "\n" + `{"kind":"note","path":"c"}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	dead, err := Dead(runs)
	if err != nil || len(dead) != 1 {
		t.Fatalf("dead are %v, %v", dead, err)
	}
	if err := Collect(t.Context(), dead, noted(&order, nil)); err == nil || !strings.Contains(err.Error(), "line 3 of the ledger of run r1") {
		t.Errorf("collect says %v", err)
	}
	if want := []string{"c", "a"}; !slices.Equal(order, want) {
		t.Errorf("undone %v", order)
	}
	if dead, err := Dead(runs); err != nil || len(dead) > 0 {
		t.Errorf("still dead: %v, %v", dead, err)
	}
}

// What is written after a line that could not be written whole can be read again.
func TestFullDisk(t *testing.T) {
	var full unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	dir, order := t.TempDir(), []string(nil)
	l, err := Open(dir, "r1", noted(&order, nil))
	if err != nil {
		t.Fatal(err)
	}
	record(t, l, "a")
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	// A file size limit fails in the middle of a line, as a full disk does.
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(info.Size()) + 9, Max: full.Max}); err != nil {
		t.Fatal(err)
	}
	err = l.Record(Entry{Kind: "note", Path: "never made"})
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		t.Fatal("a line was written beyond the limit")
	}
	record(t, l, "b")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(dir, "r1", noted(&order, nil)); err != nil {
		t.Fatal(err)
	}
	if err := l.Undo(t.Context()); err != nil || !slices.Equal(order, []string{"b", "a"}) {
		t.Errorf("undone %v, %v", order, err)
	}
}

func TestDeadAndCollect(t *testing.T) {
	runs, order := t.TempDir(), []string(nil)
	for _, name := range []string{"alive", "dead", "kept", "clean", "not-a-run"} {
		if err := os.Mkdir(filepath.Join(runs, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"alive", "dead", "kept", "clean"} {
		l, err := Open(filepath.Join(runs, name), "r-"+"x", noted(&order, nil))
		if err != nil {
			t.Fatal(err)
		}
		if name != "clean" {
			record(t, l, name)
		}
		if name == "kept" {
			if err := l.Keep(); err != nil {
				t.Fatal(err)
			}
		}
		if name != "alive" {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	dead, err := Dead(runs)
	if err != nil || len(dead) != 1 || filepath.Base(dead[0].Dir) != "dead" {
		t.Fatalf("dead are %v, %v", dead, err)
	}
	left, err := Left(runs)
	if err != nil || len(left) != 2 || !left[1].Kept {
		t.Fatalf("left are %v, %v", left, err)
	}
	// "alive" came to life after it was listed: it is left alone.
	left = append(left, Run{ID: "r-x", Dir: filepath.Join(runs, "alive")})
	if err := Collect(t.Context(), left, noted(&order, nil)); err != nil {
		t.Error(err)
	}
	if want := []string{"dead", "kept"}; !slices.Equal(order, want) {
		t.Errorf("collected %v", order)
	}
	if left, err := Left(runs); err != nil || len(left) > 0 {
		t.Errorf("still left: %v, %v", left, err)
	}
	if none, err := Dead(filepath.Join(runs, "nothing")); err != nil || none != nil {
		t.Errorf("a missing folder has %v, %v", none, err)
	}
}
