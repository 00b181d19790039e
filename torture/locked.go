package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/runner"
)

// locked has folders that saigen writes to be read-only.
func locked(ctx context.Context, h *host) (figures, error) {
	path, err := h.lab(deathLab)
	if err != nil {
		return nil, err
	}
	return h.disasters(ctx, path, lockedFolders())
}

// lockedFolders is the table.
func lockedFolders() (all []disaster) {
	for _, f := range []struct {
		name, word string
		at         func(h *host) string
	}{
		{"the state folder", "XDG_STATE_HOME", func(h *host) string { return filepath.Join(h.dir, "state") }},
		{"the cache", "XDG_CACHE_HOME", func(h *host) string { return filepath.Join(h.cache, "saigen") }},
	} {
		for _, verb := range []string{"run", "up"} {
			d := disaster{name: f.name + " is read-only", driver: "container", args: []string{verb}, moment: moment{name: verb}, judge: refused("read-only file system", f.word)}
			d.prepare = func(_ context.Context, h *host) (*host, func() error, error) {
				s, err := newSmall(f.at(h), roomy, "ro")
				if err != nil {
					return nil, nil, err
				}
				on, err := s.host(h)
				return on, s.close, err
			}
			all = append(all, d)
		}
	}
	return all
}

// refused demands that nothing was started, and that saigen says why.
func refused(words ...string) func(h *host, got said, _ time.Time) (string, string) {
	return func(_ *host, got said, _ time.Time) (string, string) {
		if got.exit != runner.ExitUsage || got.run != "" {
			return fmt.Sprintf("exit code %d", got.exit), got.line()
		}
		for _, w := range words {
			if !contains(got, w) {
				return "refused", fmt.Sprintf("it does not say %q: %s", w, got.line())
			}
		}
		return "refused before anything started", ""
	}
}

// contains says whether saigen, or a program whose output it shows, has said so.
func contains(got said, word string) bool {
	return strings.Contains(strings.ToLower(got.out+got.stderr), strings.ToLower(word))
}
