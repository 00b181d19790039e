package runner

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/saigen-lab/saigen/lab"
)

// counted holds from its second look on; measuring gets numbers from all looks.
type counted struct{}

func (counted) Observe(context.Context, lab.Place) (lab.Observation, error) {
	return lab.Observation{}, nil
}
func (counted) Holds(history []lab.Observation) bool { return len(history) > 1 }

type measuring struct{ counted }

func (measuring) Measure(history []lab.Observation) map[string]float64 {
	most := 0.0
	for _, o := range history {
		most = max(most, o.Values["n"])
	}
	return map[string]float64{"most": most, "looks": float64(len(history)), "nothing": math.NaN()}
}

// A figure is of the looks that began while the faults were in force, all of them, and a symptom's only while it was not overdue.
func TestFigures(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	var looks []lab.Observation
	for s := range 20 {
		looks = append(looks, lab.Observation{At: at(s), Values: map[string]float64{"n": float64(100 - s)}})
	}
	looks[6].Err = "could not look"
	looks[7].Late = time.Second
	delete(looks[14].Values, "n")
	record := &Record{
		Arms: []Arm{
			{Name: Fault, Phases: []Phase{
				{Kind: Baseline, Start: at(0), End: at(2)}, {Kind: Inject, Start: at(2), End: at(5)}, {Kind: InForce, Start: at(5), End: at(15)},
				{Kind: Soak, Start: at(15), End: at(20)},
			}},
			{Name: Control, Phases: []Phase{{Kind: Baseline, Start: at(0), End: at(5)}, {Kind: Hold, Start: at(5), End: at(15)}}},
		},
		Observations: map[string]map[string][]lab.Observation{Fault: {}, Control: {}},
	}
	assertion := func(role, name string, do lab.Observer, figures ...lab.Figure) lab.Assertion {
		a := lab.Assertion{Role: role, Kind: "x", Name: name, Within: "5s", Do: do, Figures: figures}
		record.Observations[Fault][a.Address()] = looks
		record.Observations[Control][a.Address()] = looks[:1]
		return a
	}
	n, most, all := lab.Figure{Name: "n", Value: "n"}, lab.Figure{Name: "most", Value: "most", Unit: lab.Bytes, Incident: "a lot"}, lab.Figure{Name: "all", Value: "looks"}
	l := &lab.Lab{
		Faults: []lab.Fault{{Kind: "x", Name: "f"}},
		Symptoms: []lab.Assertion{
			assertion("symptom", "last", counted{}, n), assertion("symptom", "measured", measuring{}, most, all, lab.Figure{Name: "none", Value: "nothing"}),
		},
		Invariants: []lab.Assertion{
			assertion("invariant", "gone", counted{}, lab.Figure{Name: "gone", Value: "n"}), assertion("invariant", "all", measuring{}, all),
			assertion("invariant", "without", measuring{}),
		},
	}
	v := func(f float64) *float64 { return &f }
	want := []FigureResult{
		{n, "symptom.x.last", v(90)}, // the look at 10 s: those that began later came after the symptom was overdue
		{most, "symptom.x.measured", v(95)},
		{all, "symptom.x.measured", v(4)},
		{lab.Figure{Name: "none", Value: "nothing"}, "symptom.x.measured", nil},
		{lab.Figure{Name: "gone", Value: "n"}, "invariant.x.gone", nil},
		{all, "invariant.x.all", v(8)},
	}
	o := Judge(l, record)
	if diff := cmp.Diff(want, o.Figures); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	record.Arms[0].Phases = record.Arms[0].Phases[:2]
	for _, f := range Judge(l, record).Figures {
		if f.Measured != nil {
			t.Errorf("%s is %g, and the faults were never in force", f.Name, *f.Measured)
		}
	}
}

// Over trials: the median and the range, of those that got the expected verdict where any did.
func TestSpread(t *testing.T) {
	t.Parallel()
	trial := func(verdict lab.Verdict, v ...float64) *Outcome {
		o := &Outcome{Verdict: verdict, Expect: lab.Reproduced}
		f := FigureResult{Figure: lab.Figure{Name: "n"}, Address: "symptom.x.y"}
		if len(v) > 0 {
			f.Measured = &v[0]
		}
		o.Figures = []FigureResult{f}
		return o
	}
	for _, c := range []struct {
		name   string
		trials []*Outcome
		want   Spread
	}{
		{"one", []*Outcome{trial(lab.Reproduced, 8)}, Spread{N: 1, Min: 8, Median: 8, Max: 8}},
		{"four", []*Outcome{trial(lab.Reproduced, 4), trial(lab.Reproduced, 1), trial(lab.Reproduced, 2), trial(lab.Reproduced, 100)}, Spread{N: 4, Min: 1, Median: 3, Max: 100}},
		{"another verdict", []*Outcome{trial(lab.NotReproduced, 0), trial(lab.Reproduced, 5), trial(lab.Inconclusive, 70)}, Spread{N: 1, Min: 5, Median: 5, Max: 5}},
		{"never the expected verdict", []*Outcome{trial(lab.NotReproduced, 0), trial(lab.NotReproduced, 2), trial(lab.Inconclusive, 70)}, Spread{N: 2, Min: 0, Median: 1, Max: 2}},
		{"not measured", []*Outcome{trial(lab.Reproduced), trial(lab.Reproduced, 3)}, Spread{N: 1, Min: 3, Median: 3, Max: 3}},
		{"never measured", []*Outcome{trial(lab.Reproduced)}, Spread{}},
	} {
		c.want.Figure, c.want.Address = lab.Figure{Name: "n"}, "symptom.x.y"
		s := Summarise("x", "", c.trials)
		if diff := cmp.Diff([]Spread{c.want}, s.Variants[0].Figures); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if s := Summarise("x", "", []*Outcome{trial(lab.Inconclusive, 1)}); len(s.Variants[0].Figures) > 0 {
		t.Errorf("an inconclusive trial has figures: %v", s.Variants[0].Figures)
	}
}

// Where nothing is injected both arms are control arms: a symptom in one of them alone is no more the fault's.
func TestSymptomWithoutFault(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	phase := func(kind PhaseKind, from, to int) Phase {
		return Phase{Kind: kind, Start: start.Add(time.Duration(from) * time.Second), End: start.Add(time.Duration(to) * time.Second)}
	}
	s := lab.Assertion{Role: "symptom", Kind: "x", Name: "y", Within: "5s", Do: counted{}}
	look := func(s int) lab.Observation {
		return lab.Observation{At: start.Add(time.Duration(s) * time.Second), Summary: "seen"}
	}
	record := &Record{
		Arms: []Arm{
			{Name: Fault, Phases: []Phase{phase(Baseline, 0, 2), phase(Inject, 2, 3), phase(InForce, 3, 9)}},
			{Name: Control, Phases: []Phase{phase(Baseline, 0, 2), phase(Hold, 2, 9)}},
		},
		Observations: map[string]map[string][]lab.Observation{
			Fault: {s.Address(): {look(1), look(4), look(5)}}, Control: {s.Address(): {look(1), look(4)}},
		},
	}
	for _, c := range []struct {
		faults []lab.Fault
		want   lab.Verdict
	}{{[]lab.Fault{{Kind: "x", Name: "f"}}, lab.Reproduced}, {nil, lab.ControlDirty}} {
		if o := Judge(&lab.Lab{Faults: c.faults, Symptoms: []lab.Assertion{s}}, record); o.Verdict != c.want {
			t.Errorf("with %d faults: %s (%s), want %s", len(c.faults), o.Verdict, o.Because, c.want)
		}
	}
}
