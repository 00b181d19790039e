package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// together runs one lab twice at once, in one folder and with one cache.
func together(ctx context.Context, h *host) (f figures, err error) {
	path, err := h.lab(deathLab)
	if err != nil {
		return nil, err
	}
	lockFile := filepath.Join(path, image.LockName)
	drivers := []string{"container", "qemu"}
	if why := lacks("qemu-system-x86_64", "qemu-img")(); why != "" || h.points < enough {
		drivers = drivers[:1]
	}
	for _, driver := range drivers {
		if err := h.ready(ctx, path, driver); err != nil {
			return f, err
		}
		lock, err := os.ReadFile(lockFile)
		if err != nil {
			return f, err
		}
		for _, c := range []struct {
			name   string
			before func() error
		}{
			{"the cache is full", func() error { return nil }},
			{"the cache has no stores, disks and snapshots", func() error {
				for _, kind := range []string{image.KindStore, image.KindDisk, image.KindSnapshot} {
					if err := os.RemoveAll(filepath.Join(h.cache, "saigen", kind)); err != nil {
						return err
					}
				}
				return nil
			}},
			{"the lab has no lock", func() error { return os.Remove(lockFile) }},
		} {
			t := &tally{What: "two runs, " + driver + ", " + c.name}
			f = append(f, t)
			if err := c.before(); err != nil {
				return f, err
			}
			if err := h.both(ctx, t, driver, path); err != nil {
				return f, err
			}
			if now, err := os.ReadFile(lockFile); err != nil || !json.Valid(now) || !bytes.Equal(now, lock) {
				t.failed(c.name, damaged, fmt.Sprintf("the lock is another one: %v", err))
			}
		}
	}
	return f, nil
}

// runName finds the run in what saigen prints.
var runName = regexp.MustCompile(`run ([0-9]{8}-[0-9]{6}-[0-9a-f]{4})`)

// both starts two runs at once, and looks at what comes of both.
func (h *host) both(ctx context.Context, t *tally, driver, path string) error {
	sealed, err := h.seal()
	if err != nil {
		return err
	}
	var started []*process
	for range 2 {
		p, err := h.start("run", "--driver", driver, path)
		if err != nil {
			return err
		}
		started = append(started, p)
	}
	t.Points++
	began := time.Now()
	for i, p := range started {
		got := p.wait(ctx, wholeTime)
		name := fmt.Sprintf("run %d of 2", i+1)
		found := runName.FindStringSubmatch(got.out)
		if found == nil {
			t.failed(name, wrong, got.line())
			continue
		}
		id := lab.RunID(found[1])
		switch {
		case got.exit == runner.ExitExpected && h.right(id) == nil:
			t.came("the right verdict")
		case got.exit == runner.ExitInconclusive && busy(h, id):
			t.came("the host was too busy")
		default:
			t.came(fmt.Sprintf("exit code %d", got.exit))
			t.failed(name, wrong, got.line())
		}
		left, err := h.left(ctx, id)
		if err != nil {
			return err
		}
		if i == 0 && !sharedHost() {
			continue // the other one may still be at it
		}
		t.failed(name, leak, left...)
	}
	h.say("%s: %v, %.1f s", t.What, t.Outcomes, time.Since(began).Seconds())
	bad, err := sealed.broken(false)
	t.failed("the end", damaged, bad...)
	return err
}
