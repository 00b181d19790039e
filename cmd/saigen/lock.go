package main

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
)

// lockKeeper holds a lab's lab.lock.json against what its images are made of.
type lockKeeper struct {
	dir      string // the lab's own folder; of a fetched lab, one in the user's state
	shipped  string // the folder of the lock that a fetched lab brought, which counts until dir has one; empty: none
	lock     *image.Lock
	declared []lab.Image // in any variant

	mu    sync.Mutex
	built map[*lab.Lab][]image.Built
}

func openLock(file *labfile.File, from *origin) (*lockKeeper, error) {
	k := &lockKeeper{dir: file.Dir, built: map[*lab.Lab][]image.Built{}}
	if from != nil { // what was fetched stays as it is
		k.dir, k.shipped = from.lock, file.Dir
	}
	var err error
	if k.lock, err = k.read(); err != nil {
		return nil, usage("%v", err)
	}
	for _, v := range file.Variants() {
		k.declared = append(k.declared, file.Lab(v).Images...)
	}
	return k, nil
}

func (k *lockKeeper) read() (*image.Lock, error) {
	lock, err := image.ReadLock(k.dir)
	if err == nil && len(lock.Images) == 0 && k.shipped != "" {
		return image.ReadLock(k.shipped)
	}
	return lock, err
}

func (k *lockKeeper) add(l *lab.Lab, b image.Built) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.built[l] = append(k.built[l], b)
}

// drift lists what differs from the lock. An image that the lock does not have yet has not drifted.
func (k *lockKeeper) drift(l *lab.Lab) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for _, b := range k.built[l] {
		if !k.lock.Has(b) {
			continue
		}
		for _, d := range k.lock.Drift(b) {
			out = append(out, fmt.Sprintf("image.%s: %s", b.Image.Name, d))
		}
	}
	return out
}

// record writes what went into the images of this run into its folder, as a lock of its own.
func (k *lockKeeper) record(folder string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var now image.Lock
	for _, images := range k.built {
		for _, b := range images {
			now.Update(b)
		}
	}
	if len(now.Images) == 0 {
		return nil
	}
	return now.Write(folder)
}

// save writes what is new into the lock file, and with all also what has drifted. What the lab does not declare any more goes.
func (k *lockKeeper) save(all bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.shipped != "" { // a folder in the user's state, which the first run makes
		if err := os.MkdirAll(k.dir, 0o755); err != nil {
			return err
		}
	}
	alone, err := os.Open(k.dir) // a run of the same lab may end at the same time
	if err != nil {
		return err
	}
	defer alone.Close()
	if err := unix.Flock(int(alone.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("cannot lock %s: %w", k.dir, err)
	}
	now, err := k.read() // another run may have written it since
	if err != nil {
		return err
	}
	changed := now.Keep(k.declared)
	for _, images := range k.built {
		for _, b := range images {
			if all || !now.Has(b) {
				changed = now.Update(b) || changed
			}
		}
	}
	if !changed {
		return nil
	}
	return now.Write(k.dir)
}
