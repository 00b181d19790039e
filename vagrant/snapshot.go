package vagrant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saigen-lab/saigen/lab"
)

// snapshotName is what Vagrant calls the snapshot that is saved under a key.
func snapshotName(key string) string { return "saigen-" + short(key) }

// Save takes snapshots of the machines with Vagrant, and ends them. They stay in the environment of this run, so this run
// alone can start from them, and they go with it. Where Vagrant's provider has no snapshots the answer is lab.ErrNoSnapshot,
// and the machines go on as if nothing had been asked.
func (d *Driver) Save(ctx context.Context, id lab.RunID, l *lab.Lab, key string, machines []lab.Running) error {
	began := time.Now()
	if len(machines) == 0 || len(machines) != len(l.Machines) {
		return fmt.Errorf("cannot save %d machines of a lab that has %d", len(machines), len(l.Machines))
	}
	all := make([]*machine, len(machines))
	for i, m := range machines {
		v, ok := m.(*machine)
		if !ok || v.name != l.Machines[i].Name || v.e != all[0].of(v) {
			return fmt.Errorf("cannot save %s: it is not what this driver started in that place", m.Ref())
		}
		all[i] = v
	}
	e := all[0].e
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.provider.hasSnapshots(ctx, e) {
		return errors.Join(ctx.Err(), lab.ErrNoSnapshot)
	}
	if err := e.keep(ctx, key, all); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &lab.InfraError{What: "cannot save the machines", Hint: "vagrant snapshot save says whether the provider can do it", Err: err}
	}
	d.o.Log.Debug("machines saved", "run", id, "key", key, "took", time.Since(began))
	return nil
}

// of is the environment of the first machine, which the others must have too.
func (first *machine) of(v *machine) *environment {
	if first == nil {
		return v.e
	}
	return first.e
}

// keep makes the snapshots, unless they are there, and ends the machines; e.mu is held. Machines of several stand still
// meanwhile, so that they are saved at one moment.
func (e *environment) keep(ctx context.Context, key string, all []*machine) error {
	for _, v := range all {
		_ = v.guest.Close() // so that no connection of the saved machine waits for a host that is gone
	}
	if !e.saved[key] {
		if len(all) > 1 {
			if _, err := e.vagrant(ctx, "suspend"); err != nil {
				return err
			}
		}
		for _, v := range all {
			if _, err := e.vagrant(ctx, "snapshot", "save", "--force", v.name, snapshotName(key)); err != nil {
				return err
			}
		}
		e.saved[key] = true
	}
	for _, v := range all {
		if err := v.destroy(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Restore starts the lab's machines from the snapshots that this run has saved. Those of other runs are in their environments.
func (d *Driver) Restore(ctx context.Context, id lab.RunID, l *lab.Lab, key string) (_ []lab.Running, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, e := d.saved(id, key)
	if e == nil {
		return nil, lab.ErrNoSnapshot
	}
	defer e.mu.Unlock()
	all := make([]*machine, len(l.Machines))
	defer func() {
		for _, v := range all {
			if err != nil && v != nil {
				err = errors.Join(err, v.destroy(ctx))
			}
		}
	}()
	began := time.Now()
	for i, m := range l.Machines {
		all[i] = &machine{ref: lab.MachineRef("machine." + m.Name), name: m.Name, e: e, sock: filepath.Join(r.Sock, m.Name)}
		if err := os.MkdirAll(all[i].sock, 0o700); err != nil {
			return nil, err
		}
		if _, err := e.vagrant(ctx, "snapshot", "restore", "--no-provision", m.Name, snapshotName(key)); err != nil {
			return nil, e.explain(ctx, all[i].ref, err)
		}
	}
	if len(all) > 1 {
		if _, err := e.vagrant(ctx, "resume", "--no-provision"); err != nil {
			return nil, e.explain(ctx, all[0].ref, err)
		}
	}
	d.o.Log.Debug("vagrant has restored", "run", id, "took", time.Since(began))
	group, limited := errgroup.WithContext(ctx)
	for _, v := range all {
		group.Go(func() error { return v.wake(limited, d.dialTime) })
	}
	if err := group.Wait(); err != nil {
		return nil, e.explain(ctx, all[0].ref, err)
	}
	machines := make([]lab.Running, len(all))
	for i, v := range all {
		machines[i] = v
		e.alive[v.name] = true
	}
	return machines, nil
}

// saved finds the environment of a run that has a snapshot, and locks it. Nobody may use its machines.
func (d *Driver) saved(id lab.RunID, key string) (*run, *environment) {
	r := d.runs.Of(id)
	r.mu.Lock()
	envs := append([]*environment(nil), r.envs...)
	r.mu.Unlock()
	for _, e := range envs {
		e.mu.Lock()
		if e.saved[key] && len(e.alive) == 0 {
			return r, e
		}
		e.mu.Unlock()
	}
	return nil, nil
}

// wake reaches the agent of a machine that was restored, and has it put its clock right.
func (v *machine) wake(ctx context.Context, patience time.Duration) (err error) {
	limited, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	if err := v.keepConfig(); err != nil {
		return err
	}
	if v.guest, err = dial(limited, filepath.Join(v.sock, sshConfig), v.name, patience); err != nil {
		return fmt.Errorf("cannot reach the agent of %s: %w", v.ref, err)
	}
	return v.guest.Resume(limited, 0)
}

// forget removes the machines of snapshots, and the snapshots with them; e.mu is held.
func (e *environment) forget(ctx context.Context) error {
	if len(e.saved) == 0 {
		return nil
	}
	for _, m := range e.Machines {
		if err := e.destroy(ctx, m); err != nil {
			return err
		}
	}
	clear(e.saved)
	return nil
}
