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
	// Trouble says which service of a stack does not run, and why; nil: all run, or that cannot be seen. final: it will not
	// run by itself any more.
	Trouble(ctx context.Context, m lab.Running, s lab.Stack) (trouble *lab.InfraError, final bool)
}

// Runner executes labs. Driver, Composer, Sink, Run and Folder are needed.
type Runner struct {
	Driver   lab.Driver
	Composer Composer
	Sink     Sink
	Run      lab.RunID
	Folder   string // the run's evidence folder
	Keep     Keep   // empty: never
	// Parallel is how many trials may run side by side; less than 2: one after the other.
	Parallel int
	// Capacity, where set, says what the host has for machines: memory in bytes, and cores; 0: not known. What it has not
	// lowers Parallel.
	Capacity func() (memory int64, cores int)
	// Scarce, where set, says what the host has run out of; empty: of nothing. It is asked several times a second.
	Scarce func() string
	// Fresh has the run use no snapshot that was stored before. Where the driver has snapshots it makes its own, which its later
	// arms start from, and which no other run finds.
	Fresh bool
	// Until, between 0 and 1, is the confidence at which the trials of a variant end as soon as they decide; see Gate. 0: every
	// variant is run as often as was asked for.
	Until float64
	// Again is how many inconclusive trials of a variant are made good by another one each; see Gate.
	Again int
	// Seed shuffles the order in which trials are run, the same for the same seed; 0: as declared.
	Seed uint64
	// Pause, where set, holds an arm up for a person, at the points of PauseAt: it returns when the arm goes on, which must be soon
	// after ctx has ended. Arms may come to one side by side.
	Pause   func(ctx context.Context, p Pause)
	PauseAt map[Point]bool
	// Calendar, where set, is the host's clock that people set, instead of the real one.
	Calendar func() time.Time
	// Drift, where set, says which packages of a prepared lab differ from those it was last found good with.
	Drift func(*lab.Lab) []string

	// Advise, where set, says what a user can do about an error that is owed to the host, such as a full disk; empty: it knows nothing.
	Advise func(error) string
	// Mask, where set, hides what must not be written down in what a machine or a remedy has printed.
	Mask func(string) string
	// Seen, where set, says what commands of each account of a machine see; it is kept as accounts.json.
	Seen func(ctx context.Context, m lab.Running, spec lab.Machine) map[string]map[string]string
	// Collect, where set, asks a machine what explains a trial that did not get its expected verdict; keep puts a file into
	// logs/, by its name without ending.
	Collect func(ctx context.Context, m lab.Running, spec lab.Machine, keep func(name string, data []byte) error) error

	telling   sync.Mutex
	preparing sync.Mutex
	baselines baselines
	loads     loads
	keeping   sync.Mutex
	kept      *arm // whose machines were left running; nil: none
}

// Keep says when machines are left running for a person to look at.
type Keep string

// When to keep machines.
const (
	KeepNever     Keep = "never"
	KeepOnFailure Keep = "on-failure" // those of the first arm after which the verdict cannot be the expected one any more
)

// Kept says whether machines were left running, and under which run id the driver was asked for them.
func (r *Runner) Kept() (lab.RunID, bool) {
	if a := r.keptArm(); a != nil {
		return a.id, true
	}
	return r.Run, false
}

// KeptVariant is the variant whose machines were left running; nil: none were, or the lab has no axis.
func (r *Runner) KeptVariant() lab.Variant {
	if a := r.keptArm(); a != nil {
		return a.l.Variant
	}
	return nil
}

func (r *Runner) keptArm() *arm {
	r.keeping.Lock()
	defer r.keeping.Unlock()
	return r.kept
}

// keep leaves the machines of an arm running, unless there are some of another one already.
func (r *Runner) keep(a *arm) bool {
	r.keeping.Lock()
	defer r.keeping.Unlock()
	if r.kept == nil {
		r.kept = a
	}
	return r.kept == a
}

// armID keeps apart what trials that run side by side, and the two arms of a trial, make on the host. Slots count from 1.
func armID(run lab.RunID, slot int, arm string) lab.RunID {
	if slot > 1 {
		run += lab.RunID(fmt.Sprintf("-%d", slot))
	}
	if arm == Control {
		run += "-control"
	}
	return run
}

// cleanUp bounds the undoing of one arm; it runs detached from the cancelled context.
const cleanUpTimeout = 2 * time.Minute

func (r *Runner) drift(l *lab.Lab) []string {
	if r.Drift == nil {
		return nil
	}
	return r.Drift(l)
}

// worthTelling is how long the preparation must have taken to be mentioned.
const worthTelling = time.Second

func (r *Runner) prepare(ctx context.Context, l *lab.Lab, tell func(Event)) error {
	r.preparing.Lock() // what one trial builds the next one finds
	defer r.preparing.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
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
	tell(r.failed(err))
	return err
}

// Up brings the fault arm of one variant to a state and leaves it there: before the faults, or when they are in force
// and the symptoms have appeared. The machines run on; on error nothing is left behind.
func (r *Runner) Up(ctx context.Context, l *lab.Lab, until PhaseKind) error {
	t, err := r.newAttempt(l, 1, 1)
	if err != nil {
		return err
	}
	defer t.ev.close()
	if err := r.prepare(ctx, l, t.tell); err != nil {
		return err
	}
	a := newArm(t, Fault, newPace())
	a.until = until
	if err := a.run(ctx); err != nil {
		a.end(ctx)
		return err
	}
	a.stopWatching()
	r.keep(a)
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

func (r *Runner) failed(err error) Event {
	e := Event{Type: Failed, Text: err.Error()}
	if i := (*lab.InfraError)(nil); errors.As(err, &i) {
		e.Hint, e.Tail = i.Hint, i.Tail
	}
	e.Hint = r.hint(err, e.Hint)
	return e
}

// hint is what a user can do about an error: what Advise knows, and what the error says itself.
func (r *Runner) hint(err error, own string) string {
	if r.Advise == nil {
		return own
	}
	return strings.TrimSuffix(strings.TrimPrefix(r.Advise(err)+"; "+own, "; "), "; ")
}
