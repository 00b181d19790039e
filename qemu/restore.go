package qemu

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

// Restore implements lab.Snapshotter.
func (d *Driver) Restore(ctx context.Context, id lab.RunID, l *lab.Lab, key string) (_ []lab.Running, err error) {
	r, all, err := d.runFor(id, l)
	if err != nil {
		return nil, infra(ctx, "cannot restore the machines", err)
	}
	k, err := d.snapshotKey(l, all, key)
	if err != nil {
		return nil, infra(ctx, "cannot restore the machines", err)
	}
	dir, err := d.o.Images.Find(ctx, image.KindSnapshot, k.hash())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, lab.ErrNoSnapshot
	}
	if err != nil {
		return nil, infra(ctx, "cannot restore the machines", err)
	}
	vms := make([]*vmachine, len(l.Machines))
	defer func() {
		if err != nil {
			for _, v := range vms {
				err = errors.Join(err, v.Destroy(ctx))
			}
		}
	}()
	for i, m := range l.Machines {
		vms[i] = newMachine(r, m.Name)
	}
	limited, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	began := time.Now()
	for n, step := range []func(ctx context.Context, i int) error{
		func(ctx context.Context, i int) error {
			return d.load(ctx, r, l, l.Machines[i], all[l.Machines[i].Name], dir, vms[i])
		},
		func(ctx context.Context, i int) error { return vms[i].goOn(ctx) },
		func(ctx context.Context, i int) error { return vms[i].resume(ctx) },
	} {
		group, ctx := errgroup.WithContext(limited)
		for i := range vms {
			group.Go(func() error { return vms[i].explain(step(ctx, i)) })
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		d.o.Log.Debug("restore goes on", "run", id, "step", n+1, "of", 3, "took", time.Since(began))
	}
	running := make([]lab.Running, len(vms))
	for i, v := range vms {
		running[i] = v
	}
	return running, nil
}

// load starts a QEMU with the machine's saved state. The machine is stopped.
func (d *Driver) load(ctx context.Context, r *run, l *lab.Lab, m lab.Machine, p parts, dir string, v *vmachine) error {
	spec, err := d.spec(ctx, r, l, m, p)
	if err != nil {
		return err
	}
	spec.ram, spec.saved, spec.incoming = savedRAM(dir, m.Name), savedDisk(dir, m.Name), true
	clock, err := os.ReadFile(savedClock(dir, m.Name))
	if err != nil {
		return err
	}
	if err := v.clock.UnmarshalText(clock); err != nil {
		return err
	}
	state, err := os.Open(savedState(dir, m.Name))
	if err != nil {
		return err
	}
	defer state.Close()
	if err := d.boot(ctx, r, v, spec, p.disk.Size); err != nil {
		return err
	}
	mon := v.process.mon
	if err := mon.ignoreShared(ctx); err != nil {
		return err
	}
	if err := mon.getFD(ctx, "state", state); err != nil {
		return err
	}
	if err := mon.do(ctx, "migrate-incoming", map[string]string{"uri": "fd:state"}, nil); err != nil {
		return err
	}
	return mon.migrated(ctx)
}

// goOn lets a stopped machine run. Its clock goes on from where it was stopped.
func (v *vmachine) goOn(ctx context.Context) error {
	err := v.process.mon.do(ctx, "cont", nil, nil)
	v.off = time.Until(v.clock)
	return err
}

// resume reaches the agent of a machine that goes on.
func (v *vmachine) resume(ctx context.Context) error {
	if err := v.dial(ctx); err != nil {
		return err
	}
	return v.guest.Resume(ctx, -v.off)
}

// explain adds what a machine said that could not be restored.
func (v *vmachine) explain(err error) error {
	var already *lab.InfraError
	if err == nil || errors.As(err, &already) && already.Tail != "" {
		return err
	}
	return &lab.InfraError{
		What: "cannot restore " + string(v.ref),
		Hint: "saigen run --fresh does without what was saved; saigen cache prune removes it",
		Tail: v.said(),
		Err:  err,
	}
}
