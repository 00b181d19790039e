package labtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/saigen-lab/saigen/lab"
)

// SnapshotDriver is a Driver that is a lab.Snapshotter too: a snapshot is a copy of the machines' worlds. It keeps them as
// long as it lives. Set its fields before its first use.
type SnapshotDriver struct {
	*Driver
	// FailSave and FailRestore, where set, are what Save and Restore answer.
	FailSave, FailRestore error
	// OwnRun, where set, has a run restore only what it saved itself, as drivers do that cannot clone.
	OwnRun bool
	// Restored is told every machine that was restored, before Restore returns: to change its world.
	Restored func(*Machine)

	snapMu   sync.Mutex
	saved    map[string][]*World // by key, in the lab's order of machines
	saves    int
	restores int
}

var (
	_ lab.Snapshotter = (*SnapshotDriver)(nil)
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
