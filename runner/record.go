package runner

import (
	"fmt"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// The two arms.
const (
	Control = "control"
	Fault   = "fault"
)

// PhaseKind says what a phase is for; a phase's name is its kind, with the remedy's name where there is one:
// "soak forget_the_network".
type PhaseKind string

// The phases of an arm, in order. Remedy and Soak come once for each remedy, in the fault arm only.
const (
	Baseline PhaseKind = "baseline" // everything is up and ready, nothing has been injected
	Hold     PhaseKind = "hold"     // control arm: nothing is injected for as long as the fault arm's inject and fault phases take
	Inject   PhaseKind = "inject"   // fault arm: the faults are injected and verified; what is seen here counts for invariants only
	InForce  PhaseKind = "fault"    // fault arm: the faults are in force, until all symptoms have appeared or are overdue
	Treat    PhaseKind = "remedy"   // a remedy runs, and the stacks become ready again
	Soak     PhaseKind = "soak"     // after a remedy: the symptoms must stay away
	Paused   PhaseKind = "pause"    // held up for a person, between two others; what is seen here counts for nothing
)

// Phase is one part of an arm.
type Phase struct {
	Kind   PhaseKind `json:"kind"`
	Remedy string    `json:"remedy,omitempty"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	// Unready, in a soak, says which readiness probe did not pass after the remedy; empty: all did.
	Unready string `json:"unready,omitempty"`
	// Why, in a pause, says what for.
	Why string `json:"why,omitempty"`
}

// Name is how people read it.
func (p Phase) Name() string {
	if p.Remedy == "" {
		return string(p.Kind)
	}
	return string(p.Kind) + " " + p.Remedy
}

// Arm is what was recorded of one arm.
type Arm struct {
	Name   string  `json:"name"`
	Begun  *Begun  `json:"begun,omitempty"` // nil: its machines never came up
	Phases []Phase `json:"phases"`
	Clocks []Clock `json:"clocks,omitempty"`
	Kills  []Kill  `json:"kills,omitempty"`  // who was killed for lack of memory
	Failed string  `json:"failed,omitempty"` // why the arm could not be completed; empty: it was
}

// holds says whether a look began in the phase.
func (p Phase) holds(o lab.Observation) bool {
	return !o.At.Before(p.Start) && (p.End.IsZero() || o.At.Before(p.End))
}

// Begun says how the machines of an arm came to the baseline, and how long each step took. A step that was not taken
// took no time.
type Begun struct {
	Snapshot string        `json:"snapshot,omitempty"` // key of the snapshot that the machines were restored from; empty: they were started afresh
	Made     bool          `json:"made,omitempty"`     // this arm made that snapshot first
	Boot     time.Duration `json:"boot,omitempty"`     // of all machines, in nanoseconds, as all that follows
	Stacks   time.Duration `json:"stacks,omitempty"`
	Ready    time.Duration `json:"ready,omitempty"` // until every readiness probe passed
	Save     time.Duration `json:"save,omitempty"`
	Restore  time.Duration `json:"restore,omitempty"` // until every agent answered
	Again    time.Duration `json:"again,omitempty"`   // until every readiness probe passed after the restore
}

// Clock is what was seen of a machine's clock in an arm.
type Clock struct {
	Machine lab.MachineRef `json:"machine"`
	// Offset is the machine's clock minus the host's at the baseline. It has been taken off from the times of the
	// machine's observations, so these are the host's, as the phases' are.
	Offset time.Duration `json:"offset"`
	// Slip is by how much the offset had changed at the end of the arm, or in the middle of it where that was more.
	Slip time.Duration `json:"slip,omitempty"`
}

// Record is all that a trial measured, by arm and by the assertion's address.
type Record struct {
	Arms         []Arm
	Observations map[string]map[string][]lab.Observation
}

func (r *Record) arm(name string) (Arm, bool) {
	for _, a := range r.Arms {
		if a.Name == name {
			return a, true
		}
	}
	return Arm{}, false
}

// mostLate is how long the host may have kept a machine from looking, and how far a clock may slip in an arm. A page that
// is slow on a busier host says nothing.
const mostLate = 500 * time.Millisecond

// failure says why a look does not count; empty: it does.
func failure(o lab.Observation) string {
	if o.Err == "" && o.Late > mostLate {
		return fmt.Sprintf("the host was too busy: it kept the machine waiting for %s", o.Late.Round(time.Millisecond))
	}
	return o.Err
}

// Uncounted says why a look does not count: it failed, or the host was too busy; empty: it counts.
func Uncounted(o lab.Observation) string { return failure(o) }

// during returns what an assertion saw in a phase: the looks that succeeded, and the number of those that could not
// look. A look belongs to the phase in which it began, so a slow answer counts where its question was asked.
func during(all []lab.Observation, p Phase) (seen []lab.Observation, missed int) {
	for _, o := range all {
		if !p.holds(o) {
			continue
		}
		if failure(o) != "" {
			missed++
			continue
		}
		seen = append(seen, o)
	}
	return seen, missed
}

// within keeps of seen the looks that ended in the phase too: what is done next may already be seen by those that did not.
func within(seen []lab.Observation, p Phase) []lab.Observation {
	if p.End.IsZero() {
		return seen
	}
	var out []lab.Observation
	for _, o := range seen {
		if !o.At.Add(o.Took).After(p.End) {
			out = append(out, o)
		}
	}
	return out
}

// inTime cuts from seen the looks that began after a symptom was overdue.
func inTime(seen []lab.Observation, p Phase, s lab.Assertion) []lab.Observation {
	for i, o := range seen {
		if overdue(o, p, s) {
			return seen[:i]
		}
	}
	return seen
}

// overdue says whether a look began after a symptom had to appear in a phase.
func overdue(o lab.Observation, p Phase, s lab.Assertion) bool {
	return o.At.After(p.Start.Add(s.Within.Value()))
}

// inForce is what counts of the looks at a symptom while the faults are in force: those in time, and without the last one where the
// remedy came in between, unless the symptom was not seen before.
func inForce(seen []lab.Observation, p Phase, s lab.Assertion) []lab.Observation {
	seen = inTime(seen, p, s)
	if ended := within(seen, p); firstHeld(s.Do, ended) >= 0 {
		return ended
	}
	return seen
}

// firstHeld is the index of the first observation after which the assertion held; -1: never.
func firstHeld(do lab.Observer, seen []lab.Observation) int {
	for i := range seen {
		if do.Holds(seen[:i+1]) {
			return i
		}
	}
	return -1
}

// firstNotHeld is the index of the first observation after which the assertion did not hold; -1: it always held.
func firstNotHeld(do lab.Observer, seen []lab.Observation) int {
	for i := range seen {
		if !do.Holds(seen[:i+1]) {
			return i
		}
	}
	return -1
}

// explain says what observations show, in the assertion's own words; the newest one speaks for kinds that look at one.
func explain(do lab.Observer, seen []lab.Observation) string {
	if len(seen) == 0 {
		return "no observation"
	}
	if e, ok := do.(lab.Explainer); ok {
		return e.Explain(seen)
	}
	return seen[len(seen)-1].Summary
}
