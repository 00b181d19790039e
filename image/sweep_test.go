package image

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// What a killed build has left goes; what somebody is making stays.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	c := New(dir, slog.New(slog.DiscardHandler))
	if removed, err := c.Sweep(t.Context()); len(removed) != 0 || err != nil {
		t.Errorf("of no cache: %v, %v", removed, err)
	}
	dead, alive := filepath.Join(dir, "images", "aa.tmp-1"), filepath.Join(dir, "stores", "bb.tmp-2")
	for _, d := range []string{dead, alive} {
		if err := os.MkdirAll(filepath.Join(d, "half"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l, err := tryLock(filepath.Join(dir, "stores", "bb.lock"), unix.LOCK_EX)
	if err != nil || l == nil {
		t.Fatal(err)
	}
	defer l.Close()
	if all, err := c.Unfinished(); err != nil || !slices.Equal(all, []Unfinished{{dead, false}, {alive, true}}) {
		t.Errorf("half-made are %v, %v", all, err)
	}
	removed, err := c.Sweep(t.Context())
	if err != nil || !slices.Equal(removed, []string{dead}) {
		t.Errorf("removed %v, %v", removed, err)
	}
	if left, err := c.Unfinished(); err != nil || !slices.Equal(left, []Unfinished{{alive, true}}) {
		t.Errorf("left %v, %v", left, err)
	}
}
