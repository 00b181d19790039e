package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// pace is what the control arm learns from the fault arm.
type pace struct {
	once  sync.Once
	ready chan struct{}      // closed when the fault arm has reached its baseline
	held  chan time.Duration // how long its inject and fault phases took together
	ended chan struct{}      // closed when the fault arm has ended
}

func newPace() *pace {
	return &pace{ready: make(chan struct{}), held: make(chan time.Duration, 1), ended: make(chan struct{})}
}

func (p *pace) atBaseline() { p.once.Do(func() { close(p.ready) }) }

// errOtherArm stops an arm because the other one has failed.
var errOtherArm = errors.New("the other arm has failed")

// arms runs both arms into the record. The control arm starts when the fault arm has reached its baseline, so that
// machines do not compete for the host while they boot, and goes on beside it, for as long as the fault arm's inject
// and fault phases take. Where the host has not a core for every processor of both, it goes on after it. What ends the
// arms early is returned, and is in the record too.
func (t *attempt) arms(ctx context.Context, record *Record) error {
	r := t.r
	if err := r.prepare(ctx, t.l, t.tell); err != nil {
		record.Arms = append(record.Arms, Arm{Name: Fault, Failed: err.Error()})
		return err
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p := newPace()
	fault, control := newArm(t, Fault, p), newArm(t, Control, p)
	fault.whole, control.whole = ctx, ctx
	beside := r.sideBySide(t.l)
	if !beside {
		fault.ahead = func() { r.load(ctx, control.id, t.l, fault.begun) }
		control.ahead = func() {
			if len(fault.machines) == 0 && t.next() == t.l {
				r.load(ctx, fault.id, t.l, control.begun)
			}
		}
	}
	var errFault, errControl error
	var both sync.WaitGroup
	both.Go(func() {
		defer close(p.ended)
		if errFault = fault.run(running); errFault != nil {
			stop(errOtherArm)
		}
	})
	both.Go(func() {
		if !beside {
			<-p.ended
			if errFault != nil {
				return
			}
			t.keepSeen(ctx, fault)
			if t.goesWell(fault) {
				fault.end(ctx)
			}
		}
		select {
		case <-p.ready:
		case <-p.ended:
			select {
			case <-p.ready: // both were there
			default:
				return // it never came up: there is nothing to compare with
			}
		}
		if errControl = control.run(running); errControl != nil {
			stop(errOtherArm)
		}
		if r.Keep == KeepNever && (r.Collect == nil || !control.surprises()) {
			control.end(ctx)
		}
	})
	both.Wait()
	for _, a := range []*arm{fault, control} {
		if len(a.phases) > 0 || a.failed != "" {
			a.into(record)
		}
	}
	if beside {
		t.keepSeen(ctx, fault)
	}
	t.explain(ctx, record, fault, control)
	kept := t.choose(record, fault, control)
	if kept != nil && (ctx.Err() != nil || !r.keep(kept)) {
		kept = nil
	}
	for _, a := range []*arm{fault, control} {
		if a == kept {
			t.tell(Event{Type: Step, Arm: a.name, Text: "the machines of the " + a.name + " arm are kept"})
			continue
		}
		a.end(ctx)
	}
	if errors.Is(errFault, errOtherArm) {
		return errControl
	}
	return errors.Join(errFault, errControl)
}

// choose says which arm's machines show why the verdict is not the expected one; nil: none, or nobody wants them.
func (t *attempt) choose(record *Record, fault, control *arm) *arm {
	if t.r.Keep != KeepOnFailure {
		return nil
	}
	o := Judge(t.l, record)
	switch {
	case o.AsExpected():
		return nil
	case o.Verdict == lab.ControlDirty && len(control.machines) > 0, len(fault.machines) == 0 && len(control.machines) > 0:
		return control
	case len(fault.machines) > 0:
		return fault
	}
	return nil
}
