package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Point is a place in an arm where it can be held up for a person.
type Point string

// The points, in the order in which an arm comes to them. The control arm has the last one only.
const (
	AtBaseline Point = "baseline" // before the faults are injected
	AtFault    Point = "fault"    // the faults are in force
	AtSymptom  Point = "symptom"  // every symptom has appeared
	AtRemedy   Point = "remedy"   // a remedy was applied
	AtSoak     Point = "soak"     // a soak is over
	AtFailure  Point = "failure"  // after the phase that makes the expected verdict impossible, or when the arm cannot go on
)

// Points lists them all, for messages and completion.
func Points() []Point {
	return []Point{AtBaseline, AtFault, AtSymptom, AtRemedy, AtSoak, AtFailure}
}

// Pause is an arm that is held up. Its assertions are looked at all the while, and what is seen counts for nothing.
type Pause struct {
	Point   Point
	Arm     string      // its name
	Why     string      // "symptom.http.down did not appear (200 in 0.004 s)"
	Machine lab.Running // the one concerned; nil: none is running
	Account string      // the one concerned; empty: root
	// Say tells whoever watches the run what the arm waits for, and with what command to look around meanwhile; empty: none.
	Say func(text, command string)
}

// pause holds the arm up at a point, when that is wanted. A person may be in the machine, so it does not end because the
// other arm has failed.
func (a *arm) pause(point Point, why, subject string) {
	if a.r.Pause == nil || !a.r.PauseAt[point] {
		return
	}
	p := Pause{Point: point, Arm: a.name, Why: why, Say: func(text, command string) { a.emit(Event{Type: Step, Text: text, Hint: command}) }}
	p.Machine, p.Account = a.concerned(subject)
	a.closePhase()
	a.mu.Lock()
	a.phases = append(a.phases, Phase{Kind: Paused, Why: why, Start: a.now()})
	a.appearedNow = map[string]bool{}
	a.mu.Unlock()
	a.emit(Event{Type: PhaseStarted, Text: why})
	a.r.Pause(a.whole, p)
	a.closePhase()
}

// check pauses when what was seen in the phase that has just ended makes the expected verdict impossible.
func (a *arm) check() {
	if a.r.Pause == nil || !a.r.PauseAt[AtFailure] || a.surprised {
		return
	}
	if why, subject := a.surprise(); why != "" {
		a.surprised = true // the verdict cannot be mended, and one look at it is enough
		a.pause(AtFailure, why, subject)
	}
}

// surprise says what of the arm so far does not go with the verdict that the lab expects, and the address that it is about.
func (a *arm) surprise() (why, subject string) {
	a.mu.Lock()
	r := &Record{
		Arms:         []Arm{{Name: a.name, Phases: slices.Clone(a.phases)}},
		Observations: map[string]map[string][]lab.Observation{a.name: maps.Clone(a.seen)},
	}
	a.mu.Unlock()
	o := Judge(a.l, r)
	last := a.current().Kind
	for _, inv := range o.Invariants {
		switch {
		case !inv.Held && o.Expect != lab.InvariantBroken:
			return fmt.Sprintf("%s did not hold in the %s: %s", inv.Address, inv.BrokeIn, inv.Last), inv.Address
		case inv.CouldNot != "":
			return fmt.Sprintf("%s could not look: %s", inv.Address, inv.CouldNot), inv.Address
		}
	}
	appeared := 0
	for _, s := range o.Symptoms {
		switch {
		case s.InControl && o.Expect != lab.ControlDirty:
			return fmt.Sprintf("%s is there without the fault: %s", s.Address, s.Control), s.Address
		case s.CouldNot != "":
			return fmt.Sprintf("%s could not look: %s", s.Address, s.CouldNot), s.Address
		case last == InForce && !s.Appeared && o.Expect != lab.NotReproduced:
			return fmt.Sprintf("%s did not appear: %s", s.Address, s.Last), s.Address
		case s.Appeared:
			appeared, subject = appeared+1, s.Address
		}
	}
	if last == InForce && appeared == len(o.Symptoms) && o.Expect == lab.NotReproduced {
		return "every symptom appeared, and the lab expects that one does not", subject
	}
	for _, rem := range o.Remedies {
		switch {
		case rem.Cures && !rem.Cured && o.Expect != lab.RemedyIneffective:
			return fmt.Sprintf("remedy.%s did not cure: %s", rem.Name, rem.Why), "remedy." + rem.Name
		case !rem.Cures && rem.Cured && o.Expect != lab.UnexpectedCure:
			return fmt.Sprintf("remedy.%s cured, and is declared not to", rem.Name), "remedy." + rem.Name
		}
	}
	return "", ""
}

// blamed is the address that an error of an arm begins with or names: "cannot start stack.alice: …".
func (a *arm) blamed(err error) string {
	what := err.Error()
	if e := (*lab.InfraError)(nil); errors.As(err, &e) {
		what = e.What
	}
	for word := range strings.FieldsSeq(what) {
		word = strings.TrimRight(word, ":,;")
		if _, _, known := a.place(word); known {
			return word
		}
	}
	return ""
}

// concerned is the machine and the account that an address is about; where it says nothing, those of the first symptom.
func (a *arm) concerned(subject string) (lab.Running, string) {
	ref, account, known := a.place(subject)
	if !known && len(a.l.Symptoms) > 0 {
		ref, account, _ = a.place(a.l.Symptoms[0].Address())
	}
	for _, m := range a.machines {
		if m.Ref() == ref {
			return m, account
		}
	}
	if len(a.machines) > 0 {
		return a.machines[0], ""
	}
	return nil, ""
}

// place is where a person looks who wants to know about an address.
func (a *arm) place(address string) (ref lab.MachineRef, account string, known bool) {
	for _, m := range a.l.Machines {
		if address == "machine."+m.Name {
			return lab.MachineRef(address), "", true
		}
	}
	for _, s := range a.l.Stacks {
		if address == "stack."+s.Name {
			return s.Machine, s.Account, true
		}
	}
	for _, rem := range a.l.Remedies {
		if address == "remedy."+rem.Name {
			return rem.Machine, rem.Account, true
		}
	}
	for _, s := range append(readiness(a.r.Composer, a.l), a.assertions()...) {
		if address == s.Address() {
			ref, account = a.named(s.Settings)
			return or(s.Machine, ref), account, true
		}
	}
	for _, f := range a.l.Faults {
		if address == f.Address() {
			ref, account = a.named(f.Settings)
			return ref, account, true
		}
	}
	return "", "", false
}

// named is the machine and the account that the settings of a kind name: in every kind these settings have the same names.
func (a *arm) named(settings json.RawMessage) (lab.MachineRef, string) {
	var s struct {
		Machine lab.MachineRef
		Stack   lab.StackRef
		Account string
	}
	_ = json.Unmarshal(settings, &s) // a kind without them says nothing
	for _, st := range a.l.Stacks {
		if s.Stack.Name() == st.Name {
			return st.Machine, or(s.Account, st.Account)
		}
	}
	return s.Machine, s.Account
}

func or[S ~string](s, otherwise S) S {
	if s == "" {
		return otherwise
	}
	return s
}

// paused says for how long a trial was held up; empty: it was not.
func paused(arms []Arm) string {
	var out []string
	for _, a := range arms {
		for _, p := range a.Phases {
			if p.Kind == Paused {
				out = append(out, fmt.Sprintf("the %s arm for %.0f s (%s)", a.Name, p.End.Sub(p.Start).Seconds(), p.Why))
			}
		}
	}
	return strings.Join(out, "; ")
}
