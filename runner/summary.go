package runner

import (
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Summary is what a run says of all its trials.
type Summary struct {
	Lab           string          `json:"lab"`
	Run           lab.RunID       `json:"run"`
	From          string          `json:"from,omitempty"`           // where the lab was fetched from, with its sum; empty: it is of this host's files
	Driver        string          `json:"driver,omitempty"`         // what ran the machines
	Seed          uint64          `json:"seed,omitempty"`           // of the order in which the trials were run; 0: as declared
	Until         float64         `json:"until,omitempty"`          // the confidence at which they ended; 0: as many as were asked for
	Again         int             `json:"again,omitempty"`          // how many inconclusive trials of a variant were made good
	WithoutFaults bool            `json:"without_faults,omitempty"` // nothing was injected, and no symptom was to appear
	Variants      []VariantResult `json:"variants"`
	Outcomes      []*Outcome      `json:"-"`
	Leaks         []string        `json:"leaks,omitempty"`
	Lost          []string        `json:"lost,omitempty"` // why not all of the evidence could be kept
	Took          time.Duration   `json:"took"`
	Exit          int             `json:"exit"`
}

// VariantResult is what a run says of one variant: how often it got the expected verdict.
type VariantResult struct {
	Variant      lab.Variant `json:"variant"`
	Expect       lab.Verdict `json:"expect"`
	Rate         lab.Rate    `json:"rate,omitempty"` // how often it must be got; empty: every time
	AsExpected   Rate        `json:"as_expected"`    // of the conclusive trials
	Inconclusive int         `json:"inconclusive"`   // counted apart
	Decision     Decision    `json:"decision"`
	Because      string      `json:"because,omitempty"`
	// ToSymptom is the time from the start of the fault phase to each symptom, over the trials in which it appeared, and Times
	// how it is distributed.
	ToSymptom map[string][]time.Duration `json:"to_symptom,omitempty"`
	Times     map[string]Times           `json:"times,omitempty"`
	Figures   []Spread                   `json:"figures,omitempty"`
}

// Exit is the exit code of a run of this variant alone.
func (v VariantResult) Exit() int {
	switch v.Decision {
	case Missed:
		return ExitUnexpected
	case Met:
		return ExitExpected
	}
	return ExitInconclusive
}

// The exit codes of saigen.
const (
	ExitExpected     = 0   // every variant got its expected verdict
	ExitUnexpected   = 1   // some did not
	ExitUsage        = 2   // the lab or the command line is wrong
	ExitInconclusive = 3   // some trial was inconclusive, and none got a wrong verdict
	ExitInterrupted  = 130 // ^C
)

// Summarise counts the trials of a run that took as many as were asked for.
func Summarise(name string, run lab.RunID, outcomes []*Outcome) *Summary {
	return Gate{}.Summarise(name, run, outcomes)
}

// Summarise counts the trials of a run. The exit code is that of the worst variant: a wrong verdict outranks an
// inconclusive one.
func (g Gate) Summarise(name string, run lab.RunID, outcomes []*Outcome) *Summary {
	s := &Summary{Lab: name, Run: run, Until: g.Until, Again: g.Again, Outcomes: outcomes}
	place := map[string]int{}
	of := map[string][]*Outcome{}
	for _, o := range outcomes {
		key := o.Variant.String()
		if _, ok := place[key]; !ok {
			place[key] = len(s.Variants)
			s.Variants = append(s.Variants, VariantResult{Variant: o.Variant, Expect: o.Expect, Rate: o.Rate})
		}
		s.Variants[place[key]].count(o)
		of[key] = append(of[key], o)
	}
	for i := range s.Variants {
		v := &s.Variants[i]
		v.AsExpected = RateAt(v.AsExpected.K, v.AsExpected.N, g.confidence())
		for address, all := range v.ToSymptom {
			if v.Times == nil {
				v.Times = map[string]Times{}
			}
			v.Times[address] = NewTimes(all)
		}
		v.Figures = spreads(of[v.Variant.String()])
		g.judge(v)
		if exit := v.Exit(); s.Exit != ExitUnexpected && exit != ExitExpected {
			s.Exit = exit
		}
	}
	return s
}

// count takes in one trial.
func (v *VariantResult) count(o *Outcome) {
	if o.Verdict == lab.Inconclusive {
		v.Inconclusive++
		v.Because = o.Because
		return
	}
	v.AsExpected.N++
	if o.AsExpected() {
		v.AsExpected.K++
	} else {
		v.Because = o.Because
	}
	for _, sym := range o.Symptoms {
		if sym.Appeared {
			if v.ToSymptom == nil {
				v.ToSymptom = map[string][]time.Duration{}
			}
			v.ToSymptom[sym.Address] = append(v.ToSymptom[sym.Address], sym.After)
		}
	}
}
