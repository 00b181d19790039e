package runner

import (
	"math"
	"slices"

	"github.com/saigen-lab/saigen/lab"
)

// FigureResult is one number of an assertion, as the fault arm showed it while the faults were in force.
type FigureResult struct {
	lab.Figure
	Address  string   `json:"address"`            // of the assertion
	Measured *float64 `json:"measured,omitempty"` // nil: nothing was seen that has the number
}

// judgeFigures takes the figures of an assertion from the looks that its explanation speaks of, all of the phase, so that
// the two never disagree.
func judgeFigures(a lab.Assertion, seen []lab.Observation) []FigureResult {
	var values map[string]float64
	if len(seen) > 0 && len(a.Figures) > 0 {
		values = seen[len(seen)-1].Values
		if m, ok := a.Do.(lab.Measurer); ok {
			values = m.Measure(seen)
		}
	}
	var out []FigureResult
	for _, f := range a.Figures {
		r := FigureResult{Figure: f, Address: a.Address()}
		if v, ok := values[f.Value]; ok && !math.IsNaN(v) && !math.IsInf(v, 0) { // those have no form in JSON
			r.Measured = &v
		}
		out = append(out, r)
	}
	return out
}

// figuresOf are the figures of a trial, in the order of the lab.
func figuresOf(l *lab.Lab, r *Record) []FigureResult {
	fault, _ := r.arm(Fault)
	var p Phase // that in which the faults are in force; it holds no look when the arm did not come that far
	for _, phase := range fault.Phases {
		if phase.Kind == InForce {
			p = phase
		}
	}
	var out []FigureResult
	for _, a := range slices.Concat(l.Symptoms, l.Invariants) {
		var seen []lab.Observation
		if p.Kind == InForce {
			seen, _ = during(r.Observations[Fault][a.Address()], p)
		}
		if a.Role == "symptom" {
			seen = inForce(seen, p, a)
		}
		out = append(out, judgeFigures(a, seen)...)
	}
	return out
}

// Spread is a figure over the trials of a variant.
type Spread struct {
	lab.Figure
	Address string  `json:"address"`
	N       int     `json:"n"` // in how many trials it was measured; 0: in none, and the numbers say nothing
	Min     float64 `json:"min"`
	Median  float64 `json:"median"`
	Max     float64 `json:"max"`
}

// spreads are the figures over some trials, in the order in which they come first. Where any trial got the expected verdict, only
// those count: the others say nothing of the incident. Inconclusive ones never do.
func spreads(outcomes []*Outcome) []Spread {
	expected := slices.ContainsFunc(outcomes, (*Outcome).AsExpected)
	var out []Spread
	all := map[string][]float64{} // by address and name
	for _, o := range outcomes {
		if o.Verdict == lab.Inconclusive || expected && !o.AsExpected() {
			continue
		}
		for _, f := range o.Figures {
			key := f.Address + " " + f.Name
			if _, known := all[key]; !known {
				all[key] = nil
				out = append(out, Spread{Figure: f.Figure, Address: f.Address})
			}
			if f.Measured != nil {
				all[key] = append(all[key], *f.Measured)
			}
		}
	}
	for i := range out {
		s := &out[i]
		if v := slices.Sorted(slices.Values(all[s.Address+" "+s.Name])); len(v) > 0 {
			s.N, s.Min, s.Median, s.Max = len(v), v[0], (v[(len(v)-1)/2]+v[len(v)/2])/2, v[len(v)-1]
		}
	}
	return out
}
