package runner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Outcome is the verdict of one trial and what it rests on.
type Outcome struct {
	Lab     string      `json:"lab"`
	Variant lab.Variant `json:"variant"`
	Trial   int         `json:"trial"`
	Verdict lab.Verdict `json:"verdict"`
	Expect  lab.Verdict `json:"expect"`
	Rate    lab.Rate    `json:"rate,omitempty"` // how often the variant must get it; empty: every time
	Because string      `json:"because"`        // one or two sentences for people
	Hint    string      `json:"hint,omitempty"`
	Tail    string      `json:"tail,omitempty"`

	Symptoms   []SymptomResult   `json:"symptoms"`
	Invariants []InvariantResult `json:"invariants,omitempty"`
	Remedies   []RemedyResult    `json:"remedies,omitempty"`
	Figures    []FigureResult    `json:"figures,omitempty"`
	Arms       []Arm             `json:"arms"`
	Looks      []Looks           `json:"looks,omitempty"`  // of each arm
	Paused     string            `json:"paused,omitempty"` // which arms were held up for a person, who may have changed something; empty: none
	Drift      []string          `json:"drift,omitempty"`  // packages that differ from lab.lock.json

	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took"`
	Folder  string        `json:"folder"` // where the evidence lies
}

// AsExpected says whether the trial got the verdict that its lab expects.
func (o *Outcome) AsExpected() bool { return o.Verdict == o.Expect }

// SymptomResult is what was seen of one symptom.
type SymptomResult struct {
	Address   string        `json:"address"`
	Appeared  bool          `json:"appeared"`        // in the fault arm, in time
	After     time.Duration `json:"after,omitempty"` // from the faults being in force to its appearance
	InControl bool          `json:"in_control,omitempty"`
	Last      string        `json:"last,omitempty"`       // what the fault phase showed
	CouldNot  string        `json:"could_not,omitempty"`  // why it could not be looked at, where that matters
	Doubt     string        `json:"doubt,omitempty"`      // why what was seen is too little to say that it did not appear
	Control   string        `json:"control,omitempty"`    // what was seen without the fault
	AfterCure string        `json:"after_cure,omitempty"` // what the last soak showed
}

// InvariantResult is what was seen of one invariant.
type InvariantResult struct {
	Address  string `json:"address"`
	Held     bool   `json:"held"`
	BrokeIn  string `json:"broke_in,omitempty"` // "fault arm, phase remedy x"
	Last     string `json:"last,omitempty"`     // the observation that broke it, or the last one
	CouldNot string `json:"could_not,omitempty"`
}

// RemedyResult is what a remedy did.
type RemedyResult struct {
	Name   string   `json:"name"`
	Cures  bool     `json:"cures"`            // what the lab declares
	Cured  bool     `json:"cured"`            // what was seen
	Remain []string `json:"remain,omitempty"` // addresses of symptoms that stayed or came back
	Why    string   `json:"why,omitempty"`    // for people: what was still there
}

// Looks says how many looks there were in an arm, in all its phases, and how many of them do not count.
type Looks struct {
	Arm    string `json:"arm"`
	Looks  int    `json:"looks"`
	Late   int    `json:"late,omitempty"`   // the host was too busy
	Failed int    `json:"failed,omitempty"` // could not look
}

// Judge makes the verdict of a trial from its lab and its record. It is pure: the same evidence gives the same verdict.
//
// Where several rows of the design's table apply, the first of this order wins: inconclusive (the table cannot be
// read at all), invariant_broken, control_dirty, not_reproduced, remedy_ineffective, unexpected_cure, reproduced.
func Judge(l *lab.Lab, r *Record) Outcome {
	o := judge(l, r)
	if why := hungry(r.Arms); why != "" && o.Verdict != lab.Inconclusive {
		o.Because += "; " + why
	}
	return o
}

func judge(l *lab.Lab, r *Record) Outcome {
	o := Outcome{Lab: l.Name, Variant: l.Variant, Expect: l.Expect, Rate: l.Rate, Arms: r.Arms, Figures: figuresOf(l, r), Looks: countLooks(l, r), Paused: paused(r.Arms)}
	fault, _ := r.arm(Fault)
	control, _ := r.arm(Control)

	var blind []string // assertions that could not look where a look was needed
	for _, s := range l.Symptoms {
		res := judgeSymptom(s, fault, control, r)
		if res.CouldNot != "" {
			blind = append(blind, fmt.Sprintf("%s could not look: %s", s.Address(), res.CouldNot))
		}
		o.Symptoms = append(o.Symptoms, res)
	}
	for _, inv := range l.Invariants {
		res := judgeInvariant(inv, r)
		if res.CouldNot != "" {
			blind = append(blind, fmt.Sprintf("%s could not look: %s", inv.Address(), res.CouldNot))
		}
		o.Invariants = append(o.Invariants, res)
	}
	for _, rem := range l.Remedies {
		res, judged, couldNot := judgeRemedy(rem, l.Symptoms, fault, r)
		if couldNot != "" {
			blind = append(blind, couldNot)
		}
		if judged {
			o.Remedies = append(o.Remedies, res)
		}
	}

	if why := unfinished(fault, control); why != "" {
		o.Verdict, o.Because = lab.Inconclusive, why
		return o
	}
	if why := slipped(r.Arms); why != "" {
		o.Verdict, o.Because = lab.Inconclusive, why
		return o
	}
	if why := starved(r.Arms); why != "" {
		o.Verdict, o.Because = lab.Inconclusive, why
		return o
	}
	if len(blind) > 0 {
		o.Verdict, o.Because = lab.Inconclusive, strings.Join(blind, "; ")
		return o
	}
	for _, inv := range o.Invariants {
		if !inv.Held {
			o.Verdict = lab.InvariantBroken
			o.Because = fmt.Sprintf("%s did not hold in the %s: %s", inv.Address, inv.BrokeIn, inv.Last)
			return o
		}
	}
	var dirty, missing, doubts []string
	for _, s := range o.Symptoms {
		switch {
		case s.InControl:
			dirty = append(dirty, fmt.Sprintf("%s (%s)", s.Address, s.Control))
		case s.Appeared && len(l.Faults) == 0: // both arms are without the fault
			dirty = append(dirty, fmt.Sprintf("%s (%s)", s.Address, s.Last))
		}
		if !s.Appeared {
			missing = append(missing, fmt.Sprintf("%s (%s)", s.Address, s.Last))
			if s.Doubt != "" {
				doubts = append(doubts, fmt.Sprintf("%s had seen too little: %s", s.Address, s.Doubt))
			}
		}
	}
	if len(dirty) > 0 {
		o.Verdict = lab.ControlDirty
		o.Because = "without the fault there was already " + strings.Join(dirty, ", ") + ": the lab makes the symptom, not the fault"
		return o
	}
	if n := len(missing); n > 0 && n == len(doubts) && len(l.Faults) > 0 { // without a fault there may be nothing to see
		o.Verdict, o.Because = lab.Inconclusive, strings.Join(doubts, "; ")
		return o
	}
	if len(missing) > 0 {
		o.Verdict = lab.NotReproduced
		o.Because = "never appeared: " + strings.Join(missing, ", ")
		return o
	}
	for _, rem := range o.Remedies {
		if rem.Cures && !rem.Cured {
			o.Verdict = lab.RemedyIneffective
			o.Because = fmt.Sprintf("remedy.%s did not cure: %s", rem.Name, rem.Why)
			return o
		}
		if !rem.Cures && rem.Cured {
			o.Verdict = lab.UnexpectedCure
			o.Because = fmt.Sprintf("remedy.%s is declared not to cure (cures = false), but after it every symptom was gone and every stack was ready", rem.Name)
			return o
		}
	}
	o.Verdict = lab.Reproduced
	o.Because = reproducedBecause(&o)
	return o
}

// unfinished says why the arms cannot be compared; the reason of the arm that failed by itself comes first.
func unfinished(fault, control Arm) string {
	why := ""
	for _, a := range []Arm{fault, control} {
		if a.Failed != "" && (why == "" || strings.HasSuffix(why, errOtherArm.Error())) {
			why = a.Failed
		}
	}
	if why == "" && (fault.Name == "" || control.Name == "") {
		return "not both arms were run"
	}
	return why
}

func reproducedBecause(o *Outcome) string {
	n := "the symptom was"
	if len(o.Symptoms) > 1 {
		n = fmt.Sprintf("all %d symptoms were", len(o.Symptoms))
	}
	s := n + " absent without the fault and present with it"
	var cured, not []string
	for _, rem := range o.Remedies {
		if rem.Cures {
			cured = append(cured, rem.Name)
		} else {
			not = append(not, rem.Name)
		}
	}
	if len(cured) > 0 {
		s += ", and gone after " + strings.Join(cured, " and ")
	}
	if len(not) > 0 {
		s += "; " + strings.Join(not, ", ") + " did not cure, as declared"
	}
	return s
}

func judgeSymptom(s lab.Assertion, fault, control Arm, r *Record) SymptomResult {
	res := SymptomResult{Address: s.Address()}
	inFault, inControl := r.Observations[Fault][s.Address()], r.Observations[Control][s.Address()]
	for _, p := range fault.Phases {
		switch p.Kind {
		case Baseline:
			seen, _ := during(inFault, p)
			seen = within(seen, p)
			if i := firstHeld(s.Do, seen); i >= 0 {
				res.InControl = true
				res.Control = "before the fault was injected: " + explain(s.Do, seen[:i+1])
			}
		case InForce:
			seen, missed := during(inFault, p)
			seen = inForce(seen, p, s)
			res.Last = explain(s.Do, seen)
			if i := firstHeld(s.Do, seen); i >= 0 {
				res.Appeared = true
				res.After = seen[i].At.Add(seen[i].Took).Sub(p.Start)
			} else {
				res.CouldNot = blindness(inFault, p, seen, missed)
				if d, ok := s.Do.(lab.Doubter); ok && len(seen) > 0 {
					res.Doubt = d.Doubt(seen)
				}
			}
		case Soak:
			seen, _ := during(inFault, p)
			if seen = within(seen, p); len(seen) > 0 {
				res.AfterCure = explain(s.Do, seen)
			}
		}
	}
	for _, p := range control.Phases {
		if p.Kind == Paused {
			continue
		}
		seen, missed := during(inControl, p)
		if i := firstHeld(s.Do, seen); i >= 0 {
			res.InControl, res.Control = true, explain(s.Do, seen[:i+1])
		} else if !res.InControl && p.Kind == Hold {
			res.Control = explain(s.Do, seen)
			if b := blindness(inControl, p, seen, missed); b != "" {
				res.CouldNot = b + ", in the control arm"
			}
		}
	}
	return res
}

func judgeInvariant(inv lab.Assertion, r *Record) InvariantResult {
	res := InvariantResult{Address: inv.Address(), Held: true}
	for _, a := range r.Arms {
		all := r.Observations[a.Name][inv.Address()]
		for _, p := range a.Phases {
			if p.Kind == Paused {
				continue
			}
			seen, missed := during(all, p)
			if i := firstNotHeld(inv.Do, seen); i >= 0 && res.Held {
				res.Held, res.BrokeIn, res.Last = false, a.Name+" arm, phase "+p.Name(), explain(inv.Do, seen[:i+1])
			}
			if res.Held && len(seen) > 0 {
				res.Last = explain(inv.Do, seen)
			}
			if missed > len(seen) {
				res.CouldNot = blindness(all, p, seen, missed)
			}
		}
	}
	return res
}

// judgeRemedy judges the soak that followed a remedy. judged is false when the arm did not come that far.
func judgeRemedy(rem lab.Remedy, symptoms []lab.Assertion, fault Arm, r *Record) (res RemedyResult, judged bool, couldNot string) {
	res = RemedyResult{Name: rem.Name, Cures: rem.Cures, Cured: true}
	for _, p := range fault.Phases {
		if p.Kind != Soak || p.Remedy != rem.Name {
			continue
		}
		judged = true
		if p.Unready != "" {
			res.Cured, res.Why = false, p.Unready
		}
		for _, s := range symptoms {
			all := r.Observations[Fault][s.Address()]
			seen, missed := during(all, p)
			seen = within(seen, p)
			if i := firstHeld(s.Do, seen); i >= 0 {
				res.Cured = false
				res.Remain = append(res.Remain, s.Address())
				res.Why = strings.TrimPrefix(res.Why+"; ", "; ") + fmt.Sprintf("%s (%s)", s.Address(), explain(s.Do, seen[:i+1]))
			} else if b := blindness(all, p, seen, missed); b != "" && rem.Cures {
				couldNot = fmt.Sprintf("%s could not look after remedy.%s: %s", s.Address(), rem.Name, b)
			}
		}
	}
	if !res.Cured {
		couldNot = "" // something was seen to be wrong, so the remedy is judged all the same
	}
	return res, judged, couldNot
}

// blindness says why a phase cannot be judged for an assertion that was not seen to hold: it was never looked at, or
// most looks do not count. Empty: it can be judged.
func blindness(all []lab.Observation, p Phase, seen []lab.Observation, missed int) string {
	switch {
	case len(seen) == 0 && missed == 0 && slices.ContainsFunc(all, p.holds):
		return "no look began in time"
	case len(seen) == 0 && missed == 0:
		return "there was no observation"
	case missed <= len(seen):
		return ""
	}
	var late, failed int
	var worst time.Duration
	last := ""
	for _, o := range all {
		switch {
		case !p.holds(o):
		case o.Err != "":
			failed++
			last = o.Err
		case o.Late > mostLate:
			late++
			worst = max(worst, o.Late)
		}
	}
	of := missed + len(seen)
	var why []string
	if failed > 0 {
		why = append(why, fmt.Sprintf("%d of %d looks failed: %s", failed, of, last))
	}
	if late > 0 {
		why = append(why, fmt.Sprintf("%d of %d looks do not count: the host was too busy, and kept the machine waiting for up to %s", late, of, worst.Round(time.Millisecond)))
	}
	return strings.Join(why, "; ")
}

// slipped says which machine's clock did not go with the host's. Whether something was slow or late cannot be said then.
func slipped(arms []Arm) string {
	for _, a := range arms {
		for _, c := range a.Clocks {
			if c.Slip.Abs() > mostLate {
				return fmt.Sprintf("the clock of %s slipped by %.1f s against the host's while the %s arm ran: the host was suspended or overloaded, or somebody has set a clock",
					c.Machine, c.Slip.Abs().Seconds(), a.Name)
			}
		}
	}
	return ""
}

// countLooks counts what does not depend on any limit of the lab.
func countLooks(l *lab.Lab, r *Record) []Looks {
	var out []Looks
	for _, a := range r.Arms {
		n := Looks{Arm: a.Name}
		for _, s := range slices.Concat(l.Symptoms, l.Invariants) {
			for _, o := range r.Observations[a.Name][s.Address()] {
				n.Looks++
				switch {
				case o.Err != "":
					n.Failed++
				case o.Late > mostLate:
					n.Late++
				}
			}
		}
		out = append(out, n)
	}
	return out
}
