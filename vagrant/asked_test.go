package vagrant

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What a killed question has left goes; what a question has now, and what only has such a name, stays.
func TestSweepAsked(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	now, lock, err := newAsked()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	killed, file := filepath.Join(tmp, askedPrefix+"killed"), filepath.Join(tmp, askedPrefix+"file")
	if err := os.MkdirAll(filepath.Join(killed, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, filepath.Join(tmp, "other")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if left := Asked(); !slices.Equal(left, []string{killed}) {
		t.Errorf("left by killed questions: %q", left)
	}
	if removed, err := SweepAsked(); err != nil || !slices.Equal(removed, []string{killed}) {
		t.Errorf("removed %q, %v", removed, err)
	}
	for name, there := range map[string]bool{now: true, killed: false, file: true, filepath.Join(tmp, "other"): true} {
		if _, err := os.Stat(name); (err == nil) != there {
			t.Errorf("%s is there: %v, want %v", name, err == nil, there)
		}
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if left := Asked(); !slices.Equal(left, []string{now}) {
		t.Errorf("left by a question that has died: %q", left)
	}
}
