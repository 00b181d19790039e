package runner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// firstLook bounds the wait for the first observation of every assertion once the stacks are ready.
const firstLook = time.Minute

// lookTimeout bounds one look of an assertion that does not say how long it may take.
const lookTimeout = 30 * time.Second

// arm is one pass from a fresh baseline.
type arm struct {
	r     *Runner
	l     *lab.Lab
	clock           // of the trial
	id    lab.RunID // of what it makes on the host
	name  string
	ev    *evidence
	until PhaseKind // Baseline or InForce: the arm stops there and its machines are kept; empty: it runs to its end
	pace  *pace
	ahead func() // called once nothing is measured any more, of an arm that went well; nil: nothing is to be done
	emit  func(Event)

	machines []lab.Running // in the order of their start
	begun    *Begun        // how they came up; nil: they did not
	clocks   []Clock       // of the machines, once they are at the baseline
	injected []lab.Fault   // what has to be healed
	phases   []Phase
	began    time.Time
	kills    []Kill
	failed   string

	whole       context.Context // of the trial; that of run ends when the other arm fails, too
	surprised   bool            // a person was shown what the expected verdict will not come of
	watch       context.Context
	stop        context.CancelFunc
	watchers    sync.WaitGroup
	waits       map[lab.MachineRef]*waits // of the machines of which the host counts it
	mu          sync.Mutex
	seen        map[string][]lab.Observation
	lost        error
	news        chan struct{} // closed and replaced whenever seen or lost changes
	appearedNow map[string]bool
	heldIn      map[symptomIn]bool // in time
}

// symptomIn is a symptom in a phase, by the symptom's address and the phase's place in the arm.
type symptomIn struct {
	address string
	phase   int
}

func newArm(t *attempt, name string, p *pace) *arm {
	a := &arm{
		r: t.r, l: t.l, clock: t.clock, id: armID(t.r.Run, t.slot, name), name: name, ev: t.ev, pace: p,
		seen: map[string][]lab.Observation{}, news: make(chan struct{}),
		heldIn: map[symptomIn]bool{},
	}
	a.emit = func(e Event) {
		e.Arm = a.name
		if e.Phase == "" && len(a.phases) > 0 {
			e.Phase = a.phases[len(a.phases)-1].Name()
		}
		t.tell(e)
	}
	return a
}

// run executes the arm. It leaves the machines running: end destroys them. An error is an InfraError, or ctx's.
func (a *arm) run(ctx context.Context) error {
	a.emit(Event{Type: ArmStarted})
	a.began = a.now()
	limited, enough := a.untilScarce(ctx)
	err := a.steps(limited)
	if short := enough(); short != nil {
		err = short
	}
	a.findKills(ctx)
	if err != nil {
		err = a.fail(ctx, a.blameMemory(err))
	}
	a.stopWatching()
	a.closePhase()
	if err == nil && a.until == "" {
		if err = a.compareClocks(ctx); err != nil {
			err = a.fail(ctx, err)
		}
	}
	if err == nil && a.ahead != nil {
		a.ahead()
	}
	a.keepLogs(ctx)
	a.emit(Event{Type: ArmEnded})
	return err
}

// blameMemory adds to an error what the kernels did meanwhile that may explain it.
func (a *arm) blameMemory(err error) error {
	why := killedIn(a.kills)
	if e := (*lab.InfraError)(nil); why != "" && errors.As(err, &e) {
		return &lab.InfraError{What: e.Error() + "; " + why, Hint: e.Hint, Tail: e.Tail, Err: nil}
	}
	return err
}

// fail notes why the arm cannot go on, and shows a person what is there.
func (a *arm) fail(ctx context.Context, err error) error {
	a.closePhase()
	switch {
	case errors.Is(context.Cause(ctx), errOtherArm):
		err = &lab.InfraError{What: "stopped", Err: errOtherArm}
		a.failed = err.Error()
	case ctx.Err() != nil:
		err = infra(ctx.Err(), "interrupted")
		a.failed = err.Error()
		a.emit(a.r.failed(err))
	default:
		a.failed = err.Error()
		a.emit(a.r.failed(err))
		a.pause(AtFailure, err.Error(), a.blamed(err))
	}
	return err
}

func (a *arm) steps(ctx context.Context) error {
	if err := a.begin(ctx); err != nil {
		return err
	}
	if err := a.baseline(ctx); err != nil || a.until == Baseline {
		return err
	}
	a.check()
	if a.name == Control {
		if err := a.hold(ctx); err != nil {
			return err
		}
		a.check()
		return nil
	}
	a.pause(AtBaseline, "the faults are injected next", "")
	a.pace.atBaseline()
	if err := a.inForce(ctx); err != nil || a.until == InForce {
		return err
	}
	a.closePhase()
	a.pace.held <- a.held()
	if a.check(); a.allAppeared() {
		a.pause(AtSymptom, "every symptom has appeared", "")
	}
	for _, rem := range a.l.Remedies {
		if !a.allAppeared() {
			return nil // a remedy of something that is not there proves nothing
		}
		if err := a.treat(ctx, rem); err != nil {
			return err
		}
	}
	return nil
}

// hold injects nothing for as long as the fault arm's inject and fault phases take.
func (a *arm) hold(ctx context.Context) error {
	a.phase(Hold, "", 0)
	began := a.current().Start
	var held time.Duration
	select {
	case held = <-a.pace.held:
	case <-a.pace.ended:
		select {
		case held = <-a.pace.held: // both were there
		default:
			return nil // the fault arm ended before: what it says decides
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	return a.pass(ctx, held-a.now().Sub(began))
}

// baseline starts the sampling and waits for the first observation of every assertion.
func (a *arm) baseline(ctx context.Context) error {
	if err := a.setClocks(ctx); err != nil {
		return err
	}
	a.watch, a.stop = context.WithCancel(context.WithoutCancel(ctx))
	a.countWaits()
	a.phase(Baseline, "", 0)
	for _, s := range a.assertions() {
		m, err := a.machine(s.Machine)
		if err != nil {
			return err
		}
		a.watchers.Go(func() {
			if err := m.Watch(a.watch, a.probe(s), func(o lab.Observation) { a.observed(s, o) }); err != nil {
				a.lose(infra(err, "lost "+string(s.Machine)+" while watching "+s.Address()))
			}
		})
	}
	var blind string
	err := a.wait(ctx, firstLook, func() bool {
		for _, s := range a.assertions() {
			if seen, _ := during(a.seen[s.Address()], a.current()); len(seen) == 0 {
				blind = s.Address()
				return false
			}
		}
		return true
	})
	if errors.Is(err, errTimeout) {
		return &lab.InfraError{What: fmt.Sprintf("%s could not look within %s of the baseline: %s", blind, firstLook, a.lastError(blind))}
	}
	return err
}

// inForce injects the faults and waits until every symptom has appeared or is overdue.
func (a *arm) inForce(ctx context.Context) error {
	a.phase(Inject, "", 0)
	env := &env{arm: a}
	for _, f := range a.l.Faults {
		a.emit(Event{Type: Step, Subject: f.Address(), Text: "injecting " + f.Address()})
		a.injected = append(a.injected, f)
		if err := f.Do.Inject(ctx, env); err != nil {
			return infra(err, "cannot inject "+f.Address())
		}
		if err := f.Do.Verify(ctx, env); err != nil {
			return infra(err, f.Address()+" is not in force")
		}
		a.emit(Event{Type: Step, Subject: f.Address(), Text: f.Address() + " is in force"})
	}
	var within time.Duration
	for _, s := range a.l.Symptoms {
		within = max(within, s.Within.Value())
	}
	a.pause(AtFault, "the faults are in force", "")
	a.phase(InForce, "", within)
	injected := a.current().Start
	err := a.wait(ctx, within+a.slowest(), func() bool {
		for _, s := range a.l.Symptoms {
			if !a.holdsNow(s) && !a.lookedAfter(s, injected.Add(s.Within.Value())) {
				return false
			}
		}
		return a.invariantsSeen()
	})
	if errors.Is(err, errTimeout) {
		err = nil // a look that hangs for its whole timeout is judged by what there is
	}
	return err
}

// treat applies one remedy and observes what it did.
func (a *arm) treat(ctx context.Context, rem lab.Remedy) error {
	a.phase(Treat, rem.Name, rem.Timeout.Value())
	if err := a.apply(ctx, rem); err != nil {
		return err
	}
	soak := rem.Soak.Value()
	var unready *lab.InfraError
	var err error
	if rem.Cures { // the soak begins when the service is back
		if unready, err = a.ready(ctx, math.MaxInt64); err != nil {
			return err
		}
	}
	a.pause(AtRemedy, "remedy."+rem.Name+" was applied", "remedy."+rem.Name)
	a.phase(Soak, rem.Name, soak)
	// A soak is cut short as soon as it is decided: a symptom that holds is one that was not cured.
	decided := a.wait(ctx, soak, func() bool { return a.anyHolds() && a.invariantsSeen() })
	if errors.Is(decided, errTimeout) {
		decided = a.pass(ctx, 0)
	}
	if decided != nil {
		return decided
	}
	held := a.anyHoldsLocked()
	if !rem.Cures && !held { // a stack that is not ready by now was not cured
		if unready, err = a.ready(ctx, readyNow); err != nil {
			return err
		}
	}
	text := "every symptom is gone"
	switch {
	case unready != nil:
		a.mu.Lock()
		a.phases[len(a.phases)-1].Unready = unready.What
		a.mu.Unlock()
		text = "did not cure: " + unready.What
	case held:
		text = "did not cure"
	}
	a.emit(Event{Type: Step, Subject: "remedy." + rem.Name, Text: text})
	a.check()
	a.pause(AtSoak, "remedy."+rem.Name+": "+text, "remedy."+rem.Name)
	return nil
}

// apply runs a remedy's script in the account's session. A script that fails has not been applied: that is a
// mistake in the lab, or a changed world, and makes the trial inconclusive.
func (a *arm) apply(ctx context.Context, rem lab.Remedy) error {
	m, err := a.machine(rem.Machine)
	if err != nil {
		return err
	}
	a.emit(Event{Type: Step, Subject: "remedy." + rem.Name, Budget: rem.Timeout.Value(), Text: "applying remedy." + rem.Name})
	within, cancel := context.WithTimeout(ctx, rem.Timeout.Value())
	defer cancel()
	res, err := runScript(within, m, a.l, rem.Run, rem.Account)
	if within.Err() != nil && ctx.Err() == nil {
		return &lab.InfraError{What: fmt.Sprintf("remedy.%s did not end within %s", rem.Name, rem.Timeout)}
	}
	if err != nil {
		return infra(err, "cannot apply remedy."+rem.Name)
	}
	if err := a.log("remedy-"+rem.Name, append(res.Stdout, res.Stderr...)); err != nil {
		return err
	}
	if res.Code != 0 {
		return &lab.InfraError{
			What: fmt.Sprintf("remedy.%s: %s ended with code %d", rem.Name, rem.Run, res.Code),
			Hint: "a remedy that does not cure must still be applied: end its script with code 0",
			Tail: string(append(res.Stdout, res.Stderr...)),
		}
	}
	return nil
}

// pass waits for a time, and then until every look that began in it has been heard of.
func (a *arm) pass(ctx context.Context, d time.Duration) error {
	end := a.now().Add(d)
	if err := a.wait(ctx, d, func() bool { return false }); !errors.Is(err, errTimeout) {
		return err
	}
	err := a.wait(ctx, a.slowest(), func() bool {
		for _, s := range a.assertions() {
			if !a.lookedAfter(s, end) {
				return false
			}
		}
		return true
	})
	if errors.Is(err, errTimeout) {
		err = nil
	}
	return err
}

// slowest is how long the slowest look of this arm may take.
func (a *arm) slowest() time.Duration {
	d := time.Second
	for _, s := range a.assertions() {
		d = max(d, longest(s))
	}
	return d
}

// held is how long the inject and fault phases took: the control arm holds for as long.
func (a *arm) held() time.Duration {
	var d time.Duration
	for _, p := range a.phases {
		if p.Kind == Inject || p.Kind == InForce {
			d += p.End.Sub(p.Start)
		}
	}
	return d
}

func (a *arm) into(r *Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.Arms = append(r.Arms, Arm{Name: a.name, Begun: a.begun, Phases: a.phases, Clocks: a.clocks, Kills: a.kills, Failed: a.failed})
	r.Observations[a.name] = a.seen
}

// end heals what was injected and destroys the machines, last first, whatever happened to ctx.
func (a *arm) end(ctx context.Context) {
	a.stopWatching()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	for i := len(a.injected) - 1; i >= 0; i-- {
		f := a.injected[i]
		if err := f.Do.Heal(ctx, &env{arm: a}); err != nil {
			a.emit(Event{Type: Warning, Subject: f.Address(), Text: fmt.Sprintf("cannot heal %s: %v", f.Address(), err)})
		}
	}
	a.injected = nil
	a.destroy(ctx)
}

// destroy destroys the machines, last first.
func (a *arm) destroy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	for i := len(a.machines) - 1; i >= 0; i-- {
		if err := a.machines[i].Destroy(ctx); err != nil {
			a.emit(Event{Type: Warning, Subject: string(a.machines[i].Ref()), Text: fmt.Sprintf("cannot destroy %s: %v", a.machines[i].Ref(), err)})
		}
	}
	a.machines = nil
}

func (a *arm) machine(ref lab.MachineRef) (lab.Running, error) {
	for _, m := range a.machines {
		if m.Ref() == ref {
			return m, nil
		}
	}
	return nil, &lab.InfraError{What: fmt.Sprintf("%s is not running", ref)}
}

func (a *arm) assertions() []lab.Assertion {
	return append(append([]lab.Assertion{}, a.l.Symptoms...), a.l.Invariants...)
}
