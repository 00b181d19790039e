package lab

import "fmt"

// Verdict is what the arms of a run prove together.
type Verdict string

// The verdicts. A lab expects one of the first six; inconclusive is never a pass or a fail of the incident.
const (
	Reproduced        Verdict = "reproduced"         // absent in control, present with the fault, gone after the remedy
	NotReproduced     Verdict = "not_reproduced"     // a symptom never appeared in the fault arm
	ControlDirty      Verdict = "control_dirty"      // a symptom appeared without the fault
	RemedyIneffective Verdict = "remedy_ineffective" // a symptom stayed or came back after a remedy that should cure
	UnexpectedCure    Verdict = "unexpected_cure"    // a remedy that is declared not to cure did
	InvariantBroken   Verdict = "invariant_broken"   // an invariant did not hold in some phase
	Inconclusive      Verdict = "inconclusive"       // a probe, a machine or saigen itself could not do its work
)

// Verdicts lists them all, for messages and completion.
func Verdicts() []Verdict {
	return []Verdict{Reproduced, NotReproduced, ControlDirty, RemedyIneffective, UnexpectedCure, InvariantBroken, Inconclusive}
}

// InfraError is a failure of a machine, a driver or saigen itself: it makes a run inconclusive. Everything else that
// goes wrong in a lab is either a mistake in the lab or the thing under test.
type InfraError struct {
	What string // "cannot start machine.server"
	Hint string // what to look at or do; may be empty
	Tail string // the last lines of output that explain it; may be empty
	Err  error
}

func (e *InfraError) Error() string {
	if e.Err == nil {
		return e.What
	}
	return fmt.Sprintf("%s: %v", e.What, e.Err)
}

func (e *InfraError) Unwrap() error { return e.Err }
