package qemu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Restore implements lab.Snapshotter.
func (d *Driver) Restore(ctx context.Context, id lab.RunID, l *lab.Lab, key string) (_ []lab.Running, err error) {
	began := time.Now()
	all, err := d.loaded(ctx, id, l, key)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, all.destroy(ctx))
		}
	}()
	limited, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	d.o.Log.Debug("restore", "run", id, "step", "loaded", "took", time.Since(began))
	if err := all.each(limited, (*vmachine).goOn); err != nil {
		return nil, err
	}
	d.o.Log.Debug("restore", "run", id, "step", "goes on", "took", time.Since(began))
	if err := all.each(limited, (*vmachine).resume); err != nil {
		return nil, err
	}
	d.o.Log.Debug("restore", "run", id, "step", "agents answered", "took", time.Since(began))
	running := make([]lab.Running, len(all.vms))
	for i, v := range all.vms {
		running[i] = v
	}
	return running, nil
}

// goOn lets a stopped machine run. Its clock goes on from where it was stopped.
func (v *vmachine) goOn(ctx context.Context) error {
	err := v.process.mon.do(ctx, "cont", nil, nil)
	v.off = time.Until(v.clock)
	return err
}

// stop stops a machine whose clock is known.
func (v *vmachine) stop(ctx context.Context) error {
	err := v.process.mon.do(ctx, "stop", nil, nil)
	v.clock = time.Now().Add(v.off)
	return err
}

// resume has the agent of a machine that goes on set its clock.
func (v *vmachine) resume(ctx context.Context) error {
	if v.guest == nil { // not loaded ahead
		if err := v.dial(ctx); err != nil {
			return err
		}
	}
	err := v.guest.Resume(ctx, -v.off)
	v.off = 0
	return err
}

// answer has a machine execute a first command.
func (v *vmachine) answer(ctx context.Context) error {
	const first = "true"
	r, err := v.guest.Run(ctx, lab.Command{Argv: []string{first}})
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("%q ended with code %d: %s", first, r.Code, r.Stderr)
	}
	return err
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
