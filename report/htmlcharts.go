package report

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// The states of a look, as letters: each has a shape of its own in the charts.
const (
	stateNot       = 'n' // the assertion did not hold after it
	stateHolds     = 'h'
	stateBlind     = 'b' // could not look
	stateUncounted = 'u' // does not count: the host was too busy, or the phase is not judged
)

// chartTrial is what the charts of one trial are drawn from; the page's script reads it as JSON. Times are milliseconds
// after the trial's first phase began.
type chartTrial struct {
	End    int64                   `json:"end"`
	Phases map[string][]chartPhase `json:"phases"` // by arm
	Probes []chartProbe            `json:"probes"`
}

type chartPhase struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Start int64  `json:"start"`
	End   int64  `json:"end"`
	Cured bool   `json:"cured,omitempty"` // the remedy of this phase cured
	Short string `json:"short"`           // to write on the band
	Nth   int    `json:"nth,omitempty"`   // of the remedies
}

type chartProbe struct {
	ID     string               `json:"id"`
	Name   string               `json:"name"`
	Role   string               `json:"role"`
	Label  string               `json:"label"`
	Time   bool                 `json:"time,omitempty"`
	Limits []chartLimit         `json:"limits,omitempty"`
	Steps  []float64            `json:"steps,omitempty"` // from, to: the time that each line accounts for
	Arms   map[string]chartLook `json:"arms"`
	Texts  []string             `json:"texts"`
}

type chartLimit struct {
	Text string   `json:"text"`
	Low  *float64 `json:"low"` // null: open
	High *float64 `json:"high"`
}

// chartLook is the looks of one arm, column by column.
type chartLook struct {
	At     []int64       `json:"at"`
	Value  []*float64    `json:"value"`  // null: there is none
	State  string        `json:"state"`  // a letter for each: what the assertion makes of it and the looks before it
	Mark   string        `json:"mark"`   // a letter for each: what it shows by itself, where a value says that
	Text   []int         `json:"text"`   // index into Texts: the look's summary, or why it failed
	Lines  map[int][]int `json:"lines"`  // by index; indices into Texts
	Counts map[int]int   `json:"counts"` // how many lines accounted for the time, by index
	Why    map[int]int   `json:"why"`    // why it does not count: index into Texts
}

// probe is one assertion of a trial with what was seen of it, ready to be drawn.
type probe struct {
	a     lab.Assertion
	d     drawn
	looks map[string][]seenLook
}

// seenLook is one observation, placed and judged.
type seenLook struct {
	lab.Observation
	phase int    // index into the arm's phases; -1: between two of them
	state rune   // what the assertion makes of it and of the looks before it
	mark  rune   // what it shows by itself: one fast page is no slow page, whatever the percentile of all is
	why   string // why it does not count
	value float64
	drawn bool
}

// probesOf places and judges every look of a trial, by the rules of the verdict: a look belongs to the phase in which it
// began, symptoms are not judged while a fault is injected or a remedy runs, and what the assertion makes of a look is
// what it makes of all that counted in the phase until then.
func probesOf(t *storedTrial) []probe {
	var out []probe
	for _, a := range slices.Concat(t.lab.Symptoms, t.lab.Invariants) {
		p := probe{a: a, looks: map[string][]seenLook{}}
		first := ""
		for _, arm := range []string{runner.Fault, runner.Control} {
			for _, o := range t.looks[arm][a.Address()] {
				for name := range o.Values {
					if first == "" || name < first {
						first = name
					}
				}
			}
		}
		p.d = drawnOf(a, first)
		for _, arm := range t.outcome.Arms {
			p.looks[arm.Name] = p.judge(arm.Phases, t.looks[arm.Name][a.Address()])
		}
		out = append(out, p)
	}
	return out
}

func (p *probe) judge(phases []runner.Phase, all []lab.Observation) []seenLook {
	var out []seenLook
	var history []lab.Observation
	in, sum := -1, 0.0
	for _, o := range all {
		l := seenLook{Observation: o, phase: phaseAt(phases, o.At)}
		if l.phase != in {
			in, sum, history = l.phase, 0, nil
		}
		why := runner.Uncounted(o)
		switch {
		case o.Err != "":
			l.state, l.why = stateBlind, o.Err
		case why != "":
			l.state, l.why = stateUncounted, why
		case l.phase < 0:
			l.state, l.why = stateUncounted, "no phase was going on"
		case p.a.Role == "symptom" && !judged(phases[l.phase].Kind):
			l.state, l.why = stateUncounted, "symptoms are not judged in this phase"
		default:
			history = append(history, o)
			l.state = stateNot
			if p.a.Do == nil {
				l.state, l.why = stateUncounted, "this saigen does not know how to judge it"
			} else if p.a.Do.Holds(history) {
				l.state = stateHolds
			}
		}
		if o.Err == "" {
			l.value, l.drawn = p.d.of(o)
			if p.d.sum && l.drawn {
				sum += l.value
				l.value = sum
			}
		}
		l.mark = p.d.mark(l)
		out = append(out, l)
	}
	return out
}

func judged(k runner.PhaseKind) bool { return k != runner.Inject && k != runner.Treat }

func phaseAt(phases []runner.Phase, at time.Time) int {
	for i, p := range phases {
		if !at.Before(p.Start) && (p.End.IsZero() || at.Before(p.End)) {
			return i
		}
	}
	return -1
}

// during is the values that counted in the phases that are asked for.
func (p *probe) during(arm runner.Arm, want func(runner.Phase) bool) []float64 {
	var out []float64
	for _, l := range p.looks[arm.Name] {
		if l.phase >= 0 && l.drawn && (l.state == stateHolds || l.state == stateNot) && want(arm.Phases[l.phase]) {
			out = append(out, l.value)
		}
	}
	return out
}

// beginning is when the first phase of a trial began: the zero of its time axis.
func beginning(o *runner.Outcome) time.Time {
	var first time.Time
	for _, a := range o.Arms {
		if len(a.Phases) > 0 && (first.IsZero() || a.Phases[0].Start.Before(first)) {
			first = a.Phases[0].Start
		}
	}
	if first.IsZero() {
		return o.Started
	}
	return first
}

func chartsOf(id string, t *storedTrial, probes []probe) chartTrial {
	zero := beginning(t.outcome)
	ms := func(at time.Time) int64 { return at.Sub(zero).Milliseconds() }
	c := chartTrial{Phases: map[string][]chartPhase{}, Probes: []chartProbe{}}
	cured, nth := map[string]bool{}, map[string]int{}
	for i, r := range t.outcome.Remedies {
		cured[r.Name], nth[r.Name] = r.Cured, i+1
	}
	for _, a := range t.outcome.Arms {
		for i, p := range a.Phases {
			end := p.End
			if end.IsZero() { // the run ended in it
				end = lastLook(t.looks[a.Name], p.Start)
			}
			c.End = max(c.End, ms(end))
			c.Phases[a.Name] = append(c.Phases[a.Name], chartPhase{
				Kind: string(p.Kind), Name: clean(p.Name()), Start: ms(p.Start), End: ms(end),
				Cured: cured[p.Remedy], Short: bandName(a.Phases, i), Nth: nth[p.Remedy],
			})
		}
	}
	for i, p := range probes {
		texts := textTable{at: map[string]int{}, all: []string{}}
		cp := chartProbe{ID: probeID(id, i), Name: spoken(p.a.Name), Role: p.a.Role, Label: p.d.label, Time: p.d.time, Arms: map[string]chartLook{}}
		for _, l := range p.d.limits {
			cp.Limits = append(cp.Limits, chartLimit{l.text, finite(l.low), finite(l.high)})
		}
		if p.d.steps != nil {
			cp.Steps = []float64{p.d.steps.low, p.d.steps.high}
		}
		for _, a := range t.outcome.Arms {
			cp.Arms[a.Name] = columns(p.looks[a.Name], p.d, &texts, ms)
		}
		cp.Texts = texts.all
		c.Probes = append(c.Probes, cp)
	}
	return c
}

func columns(looks []seenLook, d drawn, texts *textTable, ms func(time.Time) int64) chartLook {
	c := chartLook{Lines: map[int][]int{}, Counts: map[int]int{}, Why: map[int]int{}, At: []int64{}, Value: []*float64{}, Text: []int{}}
	var states, marks strings.Builder
	for i, l := range looks {
		c.At = append(c.At, ms(l.At))
		var v *float64
		if l.drawn {
			short := math.Round(l.value*1e5) / 1e5
			v = &short
		}
		c.Value = append(c.Value, v)
		states.WriteRune(l.state)
		marks.WriteRune(l.mark)
		c.Text = append(c.Text, texts.index(clean(l.Summary)))
		if l.mark == stateUncounted && l.why == "" {
			l.why = "no page came, so there is no time to compare"
		}
		if l.why != "" {
			c.Why[i] = texts.index(clean(l.why))
		}
		for _, line := range l.Lines {
			c.Lines[i] = append(c.Lines[i], texts.index(clean(line)))
		}
		if n := l.Values["lines"]; d.steps != nil && l.drawn && n > 0 {
			c.Counts[i] = int(n)
		}
	}
	c.State, c.Mark = states.String(), marks.String()
	return c
}

// textTable holds each text once.
type textTable struct {
	at  map[string]int
	all []string
}

func (t *textTable) index(s string) int {
	i, ok := t.at[s]
	if !ok {
		i = len(t.all)
		t.at[s] = i
		t.all = append(t.all, s)
	}
	return i
}

func finite(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

// bandName is what is written on a phase's band: a remedy and its soak share one, on the longer of the two.
func bandName(phases []runner.Phase, i int) string {
	p := phases[i]
	switch p.Kind {
	case runner.Inject:
		return "injecting the fault"
	case runner.InForce:
		return "fault in force"
	case runner.Treat, runner.Soak:
	default:
		return string(p.Kind)
	}
	for _, q := range phases {
		if q.Remedy == p.Remedy && q.Kind != p.Kind {
			mine, other := p.End.Sub(p.Start), q.End.Sub(q.Start)
			if mine < other || (mine == other && p.Kind == runner.Soak) {
				return ""
			}
		}
	}
	return clean(spoken(p.Remedy))
}

func lastLook(looks map[string][]lab.Observation, at time.Time) time.Time {
	for _, all := range looks {
		for _, o := range all {
			if end := o.At.Add(o.Took); end.After(at) {
				at = end
			}
		}
	}
	return at
}

// spoken is a name without its underscores.
func spoken(name string) string { return strings.ReplaceAll(clean(name), "_", " ") }
