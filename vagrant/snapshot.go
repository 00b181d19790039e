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
// alone can start from them, and they go with it. All machines of several stand still while they are saved.
func (d *Driver) Save(ctx context.Context, id lab.RunID, l *lab.Lab, key string, machines []lab.Running) error {
	began := time.Now()
	all := make([]*machine, len(machines))
	for i, m := range machines {
		v, ok := m.(*machine)
		if !ok || (i > 0 && v.e != all[0].e) {
			return fmt.Errorf("cannot save %s: this driver did not start it for this lab", m.Ref())
		}
		all[i] = v
	}
	if len(all) == 0 {
		return errors.New("cannot save a lab without machines")
	}
	e := all[0].e
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.save1(ctx, key, all)
	if err != nil {
		return &lab.InfraError{
			What: "cannot save the machines",
			Hint: fmt.Sprintf("not every provider of Vagrant has snapshots; whether %q has them, vagrant snapshot save says", e.Provider),
			Err:  err,
		}
	}
	d.o.Log.Debug("machines saved", "run", id, "key", key, "took", time.Since(began))
	return nil
}

// save1 does it; e.mu is held.
func (e *environment) save1(ctx context.Context, key string, all []*machine) error {
	for _, v := range all {
		_ = v.guest.Close() // so that no connection of the saved machine waits for a host that is gone
	}
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
	e.key = key
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
		all[i] = &machine{ref: lab.MachineRef("machine." + m.Name), name: m.Name, e: e, sock: filepath.Join(r.sock, m.Name)}
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
		group.Go(func() error { return v.wake(limited) })
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
	r := d.run(id)
	r.mu.Lock()
	envs := append([]*environment(nil), r.envs...)
	r.mu.Unlock()
	for _, e := range envs {
		e.mu.Lock()
		if e.key == key && len(e.alive) == 0 {
			return r, e
		}
		e.mu.Unlock()
	}
	return nil, nil
}

// wake reaches the agent of a machine that was restored, and has it put its clock right.
func (v *machine) wake(ctx context.Context) (err error) {
	limited, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	if err := v.keepConfig(); err != nil {
		return err
	}
	if v.guest, err = dial(limited, filepath.Join(v.sock, sshConfig), v.name); err != nil {
		return fmt.Errorf("cannot reach the agent of %s: %w", v.ref, err)
	}
	return v.guest.Resume(limited)
}

// forget removes the machines of a snapshot, and the snapshot with them; e.mu is held.
func (e *environment) forget(ctx context.Context) error {
	if e.key == "" {
		return nil
	}
	for _, m := range e.Machines {
		if e.alive[m] {
			continue
		}
		if err := e.destroy(ctx, m); err != nil {
			return err
		}
	}
	e.key = ""
	return nil
}
