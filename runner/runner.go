package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Composer runs compose projects; package stack is the real one.
type Composer interface {
	// Up writes the stack's files into the machine and starts it.
	Up(ctx context.Context, m lab.Running, dir string, s lab.Stack) error
	// Compose runs podman-compose with some arguments on a stack that is there.
	Compose(ctx context.Context, m lab.Running, s lab.Stack, args ...string) (lab.Result, error)
	// Ready lists the readiness probes that every stack has without declaring them.
	Ready(s lab.Stack) []lab.Assertion
}

// Runner executes labs. All fields but Keep and Drift are needed.
type Runner struct {
	Driver   lab.Driver
	Composer Composer
	Sink     Sink
	Run      lab.RunID
	Folder   string // the run's evidence folder
	Keep     Keep
	// Drift, where set, says which packages of a prepared lab differ from those it was last found good with.
	Drift func(*lab.Lab) []string

	telling sync.Mutex
	kept    string // the arm whose machines were left running; empty: none
}

// Keep says when machines are left running for a person to look at.
type Keep string

// When to keep machines.
const (
	KeepNever     Keep = "never"
	KeepOnFailure Keep = "on-failure" // those of the first arm after which the verdict cannot be the expected one any more
)

// Kept says whether machines were left running, and under which run id the driver was asked for them.
func (r *Runner) Kept() (lab.RunID, bool) { return runID(r.Run, r.kept), r.kept != "" }

// runID keeps what the control arm makes on the host apart from what the fault arm makes.
func runID(run lab.RunID, arm string) lab.RunID {
	if arm == Control {
		return run + "-control"
	}
	return run
}

// cleanUp bounds the undoing of one arm; it runs detached from the cancelled context.
const cleanUpTimeout = 2 * time.Minute

// All executes every given variant of a lab repeat times, in order, and stops early only when ctx ends or machines
// are kept. The outcomes of the trials that were completed are returned with ctx's error, or with what kept the evidence
// from being written: a trial without it does not count.
func (r *Runner) All(ctx context.Context, labs []*lab.Lab, repeat int) (*Summary, error) {
	began := time.Now()
	r.tell(Event{Type: RunStarted, Text: string(r.Run), Trials: len(labs) * repeat})
	var outcomes []*Outcome
	var lost error
	name := labs[0].Name
run:
	for _, l := range labs {
		for n := 1; n <= repeat; n++ {
			if ctx.Err() != nil || r.kept != "" {
				break run
			}
			o, err := r.trial(ctx, l, n)
			if err != nil {
				lost = err
				break run
			}
			outcomes = append(outcomes, o)
		}
	}
	s := Summarise(name, r.Run, outcomes)
	s.Took = time.Since(began)
	if ctx.Err() != nil {
		s.Exit = ExitInterrupted
	}
	if ctx.Err() == nil && lost != nil {
		return s, infra(lost, "cannot keep the evidence of "+name)
	}
	return s, ctx.Err()
}

// trial executes both arms of one variant and judges them. An error means that ctx ended, or that the evidence could
// not be kept.
func (r *Runner) trial(ctx context.Context, l *lab.Lab, n int) (*Outcome, error) {
	began := time.Now()
	tell := func(e Event) {
		e.Variant, e.Trial = l.Variant.String(), n
		r.tell(e)
	}
	tell(Event{Type: TrialStarted, Text: l.Title})
	ev, err := newEvidence(r.Folder, l, n)
	if err != nil {
		return nil, err
	}
	defer ev.close()

	record := &Record{Observations: map[string]map[string][]lab.Observation{}}
	err = r.arms(ctx, l, ev, tell, record)

	o := Judge(l, record)
	o.Trial, o.Started, o.Took, o.Folder = n, began, time.Since(began), ev.folder
	o.Drift = r.drift(l)
	if e := (*lab.InfraError)(nil); errors.As(err, &e) {
		o.Hint, o.Tail = e.Hint, e.Tail
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := ev.verdict(&o); err != nil {
		return nil, err
	}
	tell(Event{Type: TrialEnded, Outcome: &o})
	return &o, nil
}

func (r *Runner) drift(l *lab.Lab) []string {
	if r.Drift == nil {
		return nil
	}
	return r.Drift(l)
}

// worthTelling is how long the preparation must have taken to be mentioned.
const worthTelling = time.Second

func (r *Runner) prepare(ctx context.Context, l *lab.Lab, tell func(Event)) error {
	began := time.Now()
	err := r.Driver.Prepare(ctx, l, func(format string, args ...any) {
		tell(Event{Type: Step, Text: fmt.Sprintf(format, args...)})
	})
	if err == nil {
		if took := time.Since(began); took > worthTelling {
			var names []string
			for _, i := range l.Images {
				names = append(names, "image."+i.Name)
			}
			tell(Event{Type: Prepared, Text: fmt.Sprintf("%s, %.1f s", strings.Join(names, ", "), took.Seconds())})
		}
		for _, line := range r.drift(l) {
			tell(Event{Type: Warning, Text: "the lab has drifted from its lock: " + line})
		}
		return nil
	}
	err = infra(err, "cannot prepare the images of "+l.Name)
	tell(failed(err))
	return err
}

// Up brings the fault arm of one variant to a state and leaves it there: before the faults, or when they are in force
// and the symptoms have appeared. The machines run on; on error nothing is left behind.
func (r *Runner) Up(ctx context.Context, l *lab.Lab, until PhaseKind) error {
	tell := func(e Event) {
		e.Variant, e.Trial = l.Variant.String(), 1
		r.tell(e)
	}
	tell(Event{Type: TrialStarted, Text: l.Title})
	ev, err := newEvidence(r.Folder, l, 1)
	if err != nil {
		return err
	}
	defer ev.close()
	if err := r.prepare(ctx, l, tell); err != nil {
		return err
	}
	a := newArm(r, l, Fault, ev, tell, newPace())
	a.until = until
	if err := a.run(ctx); err != nil {
		a.end(ctx)
		return err
	}
	a.stopWatching()
	r.kept = Fault
	return nil
}

func (r *Runner) tell(e Event) {
	r.telling.Lock()
	defer r.telling.Unlock()
	e.At = time.Now()
	r.Sink.Event(e)
}

// infra makes an error that says what could not be done, keeping the hint and the output of what caused it.
func infra(err error, what string) *lab.InfraError {
	if e, ok := err.(*lab.InfraError); ok && strings.HasPrefix(e.What, what) { //nolint:errorlint // only when it says the same itself
		return e
	}
	out := &lab.InfraError{What: what, Err: err}
	if e := (*lab.InfraError)(nil); errors.As(err, &e) {
		out.Hint, out.Tail = e.Hint, e.Tail
	}
	return out
}

func failed(err error) Event {
	e := Event{Type: Failed, Text: err.Error()}
	if i := (*lab.InfraError)(nil); errors.As(err, &i) {
		e.Hint, e.Tail = i.Hint, i.Tail
	}
	return e
}
