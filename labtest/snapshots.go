package labtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/saigen-lab/saigen/lab"
)

// SnapshotDriver is a Driver that is a lab.Snapshotter and a lab.Loader too: a snapshot is a copy of the machines' worlds. It
// keeps them as long as it lives. Set its fields before its first use.
type SnapshotDriver struct {
	*Driver
	// FailSave, FailLoad and FailRestore, where set, are what Save, Load and Restore answer.
	FailSave, FailLoad, FailRestore error
	// OwnRun, where set, has a run restore only what it saved itself, as drivers do that cannot clone.
	OwnRun bool
	// Restored is told every machine that was restored, before Restore returns: to change its world.
	Restored func(*Machine)

	snapMu   sync.Mutex
	saved    map[string][]*World  // by key, in the lab's order of machines
	ahead    map[lab.RunID]string // what is loaded for a run, as place has it
	saves    int
	restores int
	loaded   int // restores of what was loaded ahead
}

var (
	_ lab.Snapshotter = (*SnapshotDriver)(nil)
	_ lab.Loader      = (*SnapshotDriver)(nil)
	_ lab.Forgetter   = (*SnapshotDriver)(nil)
)

// Save implements lab.Snapshotter.
func (d *SnapshotDriver) Save(ctx context.Context, run lab.RunID, l *lab.Lab, key string, machines []lab.Running) error {
	if errors.Is(d.FailSave, lab.ErrNoSnapshot) {
		return d.FailSave
	}
	var worlds []*World
	wrong := errors.Join(ctx.Err(), d.FailSave)
	for i, m := range machines {
		fake, ok := m.(*Machine)
		switch {
		case !ok || i >= len(l.Machines) || fake.RunID != run || fake.Spec.Name != l.Machines[i].Name:
			wrong = errors.Join(wrong, fmt.Errorf("cannot save %s: it is not what this run started in that place", m.Ref()))
			continue
		case fake.alive() != nil:
			wrong = errors.Join(wrong, fmt.Errorf("cannot save %s: %w", m.Ref(), fake.alive()))
		}
		worlds = append(worlds, fake.copied())
		wrong = errors.Join(wrong, fake.Destroy(ctx))
	}
	if wrong == nil && len(machines) != len(l.Machines) {
		wrong = fmt.Errorf("cannot save %d machines of a lab that has %d", len(machines), len(l.Machines))
	}
	if wrong != nil {
		return wrong
	}
	d.snapMu.Lock()
	defer d.snapMu.Unlock()
	d.saves++
	if d.saved == nil {
		d.saved = map[string][]*World{}
	}
	if _, ok := d.saved[d.place(run, key)]; !ok {
		d.saved[d.place(run, key)] = worlds
	}
	return nil
}

// Restore implements lab.Snapshotter.
func (d *SnapshotDriver) Restore(ctx context.Context, run lab.RunID, l *lab.Lab, key string) ([]lab.Running, error) {
	d.snapMu.Lock()
	worlds, ok := d.saved[d.place(run, key)]
	if ok {
		d.restores++
	}
	if d.ahead[run] == d.place(run, key) {
		d.loaded++
	}
	delete(d.ahead, run)
	d.snapMu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !ok:
		return nil, lab.ErrNoSnapshot
	case d.FailRestore != nil:
		return nil, d.FailRestore
	}
	var machines []lab.Running
	for i, w := range worlds {
		m := &Machine{World: w.copied(), RunID: run, Spec: l.Machines[i], kinds: append(Observers(), d.Kinds...)}
		d.add(m)
		if d.Restored != nil {
			d.Restored(m)
		}
		machines = append(machines, m)
	}
	return machines, nil
}

// Load implements lab.Loader.
func (d *SnapshotDriver) Load(ctx context.Context, run lab.RunID, _ *lab.Lab, key string) error {
	d.snapMu.Lock()
	defer d.snapMu.Unlock()
	if _, ok := d.saved[d.place(run, key)]; !ok {
		return lab.ErrNoSnapshot
	}
	for _, m := range d.Machines() {
		if m.RunID == run && m.alive() == nil {
			return fmt.Errorf("cannot load for %s, whose %s is there", run, m.Ref())
		}
	}
	if err := errors.Join(ctx.Err(), d.FailLoad); err != nil {
		return err
	}
	if d.ahead == nil {
		d.ahead = map[lab.RunID]string{}
	}
	d.ahead[run] = d.place(run, key)
	return nil
}

// Loaded says how many of the restores were of what had been loaded ahead, and what is loaded now.
func (d *SnapshotDriver) Loaded() (restores int, now []lab.RunID) {
	d.snapMu.Lock()
	defer d.snapMu.Unlock()
	return d.loaded, slices.Sorted(maps.Keys(d.ahead))
}

// Passing implements lab.Forgetter: what the fake saves goes with the process.
func (d *SnapshotDriver) Passing(ctx context.Context, _ lab.RunID, _ *lab.Lab, _ string) error {
	return ctx.Err()
}

// Forget implements lab.Forgetter.
func (d *SnapshotDriver) Forget(ctx context.Context, run lab.RunID, _ *lab.Lab, key string) error {
	d.snapMu.Lock()
	defer d.snapMu.Unlock()
	delete(d.saved, d.place(run, key))
	return ctx.Err()
}

// Stored is how many snapshots there are.
func (d *SnapshotDriver) Stored() int {
	d.snapMu.Lock()
	defer d.snapMu.Unlock()
	return len(d.saved)
}

func (d *SnapshotDriver) place(run lab.RunID, key string) string {
	if d.OwnRun {
		return string(run) + " " + key
	}
	return key
}

// Snapshots says how often machines were saved and how often they were asked for back, of those that were there.
func (d *SnapshotDriver) Snapshots() (saves, restores int) {
	d.snapMu.Lock()
	defer d.snapMu.Unlock()
	return d.saves, d.restores
}
