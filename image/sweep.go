package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Unfinished is the folder of an entry that is being made, or that a killed build has left: Prune, and whoever makes the entry next,
// removes it.
type Unfinished struct {
	Dir  string
	Made bool // somebody is making it now
}

// Unfinished lists what is half-made in the cache. It changes nothing.
func (c *Cache) Unfinished() ([]Unfinished, error) {
	var all []Unfinished
	for _, kind := range kinds {
		dirs, err := filepath.Glob(filepath.Join(c.dir, kind, "*.tmp-*"))
		if err != nil {
			return nil, err
		}
		for _, dir := range dirs {
			entry, _, _ := strings.Cut(filepath.Base(dir), ".tmp-")
			held, err := lockedByAnyone(filepath.Join(c.dir, kind, entry+".lock"))
			if err != nil {
				return nil, err
			}
			all = append(all, Unfinished{dir, held})
		}
	}
	return all, nil
}

// lockedByAnyone says whether a lock is held. It makes no file.
func lockedByAnyone(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, ignoreMissing(err)
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// Sweep removes what killed builds have left, where nobody is building now, and returns what it removed.
func (c *Cache) Sweep(ctx context.Context) (removed []string, err error) {
	before, err := c.Unfinished()
	if err != nil || len(before) == 0 {
		return nil, err
	}
	if err := c.sweepAll(ctx); err != nil {
		return nil, err
	}
	after, err := c.Unfinished()
	for _, u := range before {
		if !slices.ContainsFunc(after, func(a Unfinished) bool { return a.Dir == u.Dir }) {
			removed = append(removed, u.Dir)
		}
	}
	return removed, err
}
