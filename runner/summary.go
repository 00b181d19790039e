package runner

import (
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Summary is what a run says of all its trials.
type Summary struct {
	Lab      string          `json:"lab"`
	Run      lab.RunID       `json:"run"`
	Driver   string          `json:"driver,omitempty"` // what ran the machines
	Variants []VariantResult `json:"variants"`
	Outcomes []*Outcome      `json:"-"`
	Leaks    []string        `json:"leaks,omitempty"`
	Took     time.Duration   `json:"took"`
	Exit     int             `json:"exit"`
}

// VariantResult is what a run says of one variant: how often it got the expected verdict.
type VariantResult struct {
	Variant      lab.Variant `json:"variant"`
	Expect       lab.Verdict `json:"expect"`
	AsExpected   Rate        `json:"as_expected"`  // of the conclusive trials
	Inconclusive int         `json:"inconclusive"` // counted apart
	Because      string      `json:"because,omitempty"`
	// ToSymptom is the time from the start of the fault phase to each symptom, over the trials in which it appeared.
	ToSymptom map[string][]time.Duration `json:"to_symptom,omitempty"`
}

// The exit codes of saigen.
const (
	ExitExpected     = 0   // every variant got its expected verdict
	ExitUnexpected   = 1   // some did not
	ExitUsage        = 2   // the lab or the command line is wrong
	ExitInconclusive = 3   // some trial was inconclusive, and none got a wrong verdict
	ExitInterrupted  = 130 // ^C
)

// Summarise counts the trials of a run. The exit code is that of the worst trial: a wrong verdict outranks an
// inconclusive one.
func Summarise(name string, run lab.RunID, outcomes []*Outcome) *Summary {
	s := &Summary{Lab: name, Run: run, Outcomes: outcomes}
	place := map[string]int{}
	expected := map[string]int{}
	conclusive := map[string]int{}
	wrong, unsure := false, false
	for _, o := range outcomes {
		key := o.Variant.String()
		if _, ok := place[key]; !ok {
			place[key] = len(s.Variants)
			s.Variants = append(s.Variants, VariantResult{Variant: o.Variant, Expect: o.Expect})
		}
		v := &s.Variants[place[key]]
		switch {
		case o.Verdict == lab.Inconclusive:
			unsure = true
			v.Inconclusive++
			v.Because = o.Because
			continue
		case o.AsExpected():
			expected[key]++
		default:
			wrong = true
			v.Because = o.Because
		}
		conclusive[key]++
		for _, sym := range o.Symptoms {
			if sym.Appeared {
				if v.ToSymptom == nil {
					v.ToSymptom = map[string][]time.Duration{}
				}
				v.ToSymptom[sym.Address] = append(v.ToSymptom[sym.Address], sym.After)
			}
		}
	}
	for key, i := range place {
		s.Variants[i].AsExpected = NewRate(expected[key], conclusive[key])
	}
	switch {
	case wrong:
		s.Exit = ExitUnexpected
	case unsure:
		s.Exit = ExitInconclusive
	}
	return s
}
