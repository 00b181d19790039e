package vagrant

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a killed question has left goes; what a question has now, and what only has such a name, stays.
func TestSweepAsked(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	old := time.Now().Add(-2 * askedTime)
	for name, age := range map[string]bool{askedPrefix + "old": true, askedPrefix + "new": false, "other": true} {
		dir := filepath.Join(tmp, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if age {
			if err := os.Chtimes(dir, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	sweepAsked()
	for name, there := range map[string]bool{askedPrefix + "old": false, askedPrefix + "new": true, "other": true} {
		if _, err := os.Stat(filepath.Join(tmp, name)); (err == nil) != there {
			t.Errorf("%s is there: %v, want %v", name, err == nil, there)
		}
	}
}
