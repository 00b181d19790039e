package qemu

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

// loaded are the machines of a lab, stopped: at the state that was saved, or, loaded ahead, a moment later.
type loaded struct {
	hash string // of the snapshot
	vms  []*vmachine
}

// Load implements lab.Loader. The machines have then gone on until a first command was answered, and are stopped again: without
// KVM, most of a restore is QEMU's own start, longer on a host that has dropped its files from memory meanwhile, and the
// translation of what a machine executes when it goes on.
func (d *Driver) Load(ctx context.Context, id lab.RunID, l *lab.Lab, key string) error {
	all, err := d.loaded(ctx, id, l, key)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	for _, step := range []func(*vmachine, context.Context) error{(*vmachine).goOn, (*vmachine).resume, (*vmachine).answer, (*vmachine).stop} {
		if err := all.each(limited, step); err != nil {
			return errors.Join(err, all.destroy(ctx))
		}
	}
	r := d.runs.Of(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead = all
	return nil
}

// loaded returns the machines of a snapshot: those that were loaded ahead, or new ones.
func (d *Driver) loaded(ctx context.Context, id lab.RunID, l *lab.Lab, key string) (*loaded, error) {
	const what = "cannot restore the machines"
	r, all, err := d.runFor(id, l)
	if err != nil {
		return nil, infra(ctx, what, err)
	}
	k, err := d.snapshotKey(l, all, key)
	if err != nil {
		return nil, infra(ctx, what, err)
	}
	hash := k.hash()
	if a := r.takeAhead(); a != nil {
		if a.hash == hash && a.alive() {
			return a, nil
		}
		if err := a.destroy(ctx); err != nil {
			return nil, err
		}
	}
	dir, err := d.o.Images.Find(ctx, image.KindSnapshot, hash)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, lab.ErrNoSnapshot
	}
	if err != nil {
		return nil, infra(ctx, what, err)
	}
	limited, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	now := &loaded{hash: hash}
	group, limited := errgroup.WithContext(limited)
	for _, m := range l.Machines {
		v := newMachine(r, m.Name)
		now.vms = append(now.vms, v)
		group.Go(func() error { return v.explain(d.load(limited, r, l, m, all[m.Name], dir, v)) })
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, now.destroy(ctx))
	}
	return now, nil
}

// takeAhead returns what was loaded ahead, which is the caller's from then on; nil: nothing.
func (r *run) takeAhead() *loaded {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.ahead
	r.ahead = nil
	return a
}

// alive says whether every machine still has its QEMU.
func (a *loaded) alive() bool {
	for _, v := range a.vms {
		if v.process.gone() {
			return false
		}
	}
	return true
}

// each takes a step with all machines at once.
func (a *loaded) each(ctx context.Context, step func(*vmachine, context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, v := range a.vms {
		group.Go(func() error { return v.explain(step(v, ctx)) })
	}
	return group.Wait()
}

// destroy ignores the cancellation of ctx.
func (a *loaded) destroy(ctx context.Context) error {
	var errs []error
	for _, v := range a.vms {
		errs = append(errs, v.Destroy(ctx))
	}
	return errors.Join(errs...)
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
