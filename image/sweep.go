package image

import (
	"context"
	"path/filepath"
)

// Killed lists the folders that killed builds have left; what is being made now is among them.
func (c *Cache) Killed() ([]string, error) {
	var all []string
	for _, kind := range kinds {
		found, err := filepath.Glob(filepath.Join(c.dir, kind, "*.tmp-*"))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// Sweep removes what killed builds have left, where nobody is building now, and returns what it removed.
func (c *Cache) Sweep(ctx context.Context) (removed []string, err error) {
	before, err := c.Killed()
	if err != nil || len(before) == 0 {
		return nil, err
	}
	if err := c.sweepAll(ctx); err != nil {
		return nil, err
	}
	after, err := c.Killed()
	left := map[string]bool{}
	for _, path := range after {
		left[path] = true
	}
	for _, path := range before {
		if !left[path] {
			removed = append(removed, path)
		}
	}
	return removed, err
}
