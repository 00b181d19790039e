package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What happens to an entry of the cache is seen: a byte that changes where nothing else does, too.
func TestSealSeesWhatIsBroken(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, file string){
		"nothing":   func(*testing.T, string) {},
		"gone":      func(t *testing.T, file string) { must(t, os.Remove(file)) },
		"truncated": func(t *testing.T, file string) { must(t, os.Truncate(file, 2)) },
		"replaced": func(t *testing.T, file string) {
			must(t, os.WriteFile(file+".x", []byte("tar"), 0o644))
			must(t, os.Rename(file+".x", file))
		},
		"one byte": func(t *testing.T, file string) {
			info, err := os.Stat(file)
			must(t, err)
			must(t, os.WriteFile(file, []byte("taz"), 0o644))
			must(t, os.Chtimes(file, info.ModTime(), info.ModTime()))
		},
		"a hole": func(t *testing.T, file string) {
			info, err := os.Stat(file)
			must(t, err)
			must(t, os.Truncate(file, 0))
			must(t, os.Truncate(file, 3))
			must(t, os.Chtimes(file, info.ModTime(), info.ModTime()))
		},
		"added": func(t *testing.T, file string) { must(t, os.WriteFile(file+".more", nil, 0o644)) },
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{cache: t.TempDir()}
			file := filepath.Join(h.cache, "saigen", "images", "abc", "rootfs.tar")
			must(t, os.MkdirAll(filepath.Dir(file), 0o755))
			must(t, os.WriteFile(file, []byte("tar"), 0o644))
			s, err := h.seal()
			must(t, err)
			damage(t, file)
			bad, err := s.broken(true)
			must(t, err)
			if (len(bad) > 0) != (name != "nothing") {
				t.Errorf("broken: %v", bad)
			}
			must(t, os.MkdirAll(filepath.Join(h.cache, "saigen", "snapshots", "def"), 0o755))
			must(t, os.MkdirAll(filepath.Join(h.cache, "saigen", "snapshots", "ghi.tmp-1"), 0o755))
			if more, err := s.more(); err != nil || len(more) != 1 || more[0] != "snapshots/def" {
				t.Errorf("more: %v, %v", more, err)
			}
			if left, err := h.debris(); err != nil || len(left) != 1 {
				t.Errorf("debris: %v, %v", left, err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
