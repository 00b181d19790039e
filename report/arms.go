package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/runner"
)

// armView is what the terminal knows of one arm. The two arms of a trial run side by side, so nothing is shared.
type armView struct {
	name   string
	since  time.Time    // when the phase under way began; outside a phase: when the last one ended, or the arm began
	phase  runner.Event // the phase under way, or the last one; zero before the first
	within bool         // the phase is under way
	ended  bool
	step   runner.Event
	looks  map[string]look // by address
	shown  map[string]bool // the symptoms that have appeared in this phase
}

// look is what an assertion saw last in an arm.
type look struct {
	known bool // something was observed in this phase
	holds bool
	blind bool
	text  string
}

// arm returns the state of the event's arm, a new one where there is none; nil for what is told of no arm.
func (v *view) arm(e runner.Event) *armView {
	if e.Arm == "" {
		return nil
	}
	for _, a := range v.arms {
		if a.name == e.Arm {
			return a
		}
	}
	a := &armView{name: e.Arm, since: e.At, looks: map[string]look{}, shown: map[string]bool{}}
	v.arms = append(v.arms, a)
	return a
}

func (a *armView) begin(e runner.Event) {
	a.phase, a.since, a.within, a.step, a.shown = e, e.At, true, runner.Event{}, map[string]bool{}
	for address, l := range a.looks {
		l.known = false
		a.looks[address] = l
	}
}

// end returns how long the phase took and what came of it.
func (a *armView) end(e runner.Event) (took time.Duration, text string) {
	took, text = e.At.Sub(a.since), e.Text
	if text == "" && role(a.step.Subject) == "remedy" && strings.HasPrefix(e.Phase, string(runner.Soak)) {
		text = a.step.Text
	}
	a.since, a.within, a.step = e.At, false, runner.Event{}
	return took, text
}

func (a *armView) observe(e runner.Event) {
	l := look{known: true, holds: e.Holds, text: clean(e.Text)}
	if o := e.Observation; o != nil {
		l.text = clean(o.Summary)
		switch why := runner.Uncounted(*o); {
		case o.Err != "":
			l.blind, l.text = true, "could not look: "+clean(o.Err)
		case why != "":
			l.blind, l.text = true, "does not count: "+clean(why)
		}
	}
	a.looks[e.Subject] = l
}

// in says whether one of the phases is under way.
func (a *armView) in(kinds ...runner.PhaseKind) bool {
	return slices.Contains(kinds, runner.PhaseKind(a.phase.Phase))
}

// stage is where the arm is.
func (a *armView) stage() string {
	switch {
	case a.ended:
		return "ended"
	case a.within:
		return clean(a.phase.Phase)
	case a.phase.Phase != "":
		return "after " + clean(a.phase.Phase)
	}
	return "start"
}

// idle says that the arm has nothing to do for now: a control arm that waits for the verdict.
func (a *armView) idle() bool { return a.ended || !a.within && a.phase.Phase != "" }

// armLines are a line for each arm: where it is, for how long, and its step.
func (v *view) armLines(st Style, now time.Time) []string {
	const least, times = 8, 8 // columns of a phase and of a time, so that the usual ones do not move what comes after
	names, stages, budgets := len(runner.Control), least, 0
	for _, a := range v.arms {
		names = max(names, width(clean(a.name)))
		stages = max(stages, width(a.stage()))
		budgets = max(budgets, width(a.budget()))
	}
	stages = min(stages, max(least, st.Width/3))
	var out []string
	for _, a := range v.arms {
		took := ""
		if !a.ended {
			took = running(now.Sub(a.since))
		}
		line := pad(clean(a.name), names) + "  " + pad(st.cut(a.stage(), stages), stages) + "  " +
			padLeft(took, times)
		if a.idle() {
			line = st.paint(dim, line)
		}
		line += st.paint(dim, pad(a.budget(), budgets))
		if rest := st.Width - width(line) - 2; rest > 0 {
			line += "  " + a.doing(st, now, rest, v.rows)
		}
		out = append(out, strings.TrimRight(st.fit(line), " "))
	}
	return out
}

// doing is the step in n columns, with its own time where it has a limit and there is room. Between steps it is what the arm
// waits for.
func (a *armView) doing(st Style, now time.Time, n int, rows []string) string {
	const least = 24 // columns of the text
	if a.step.At.IsZero() {
		return st.paint(dim, st.cut(cmp.Or(clean(a.phase.Text), a.waiting(rows)), n))
	}
	text, took := clean(a.step.Text), spent(a.step, now)
	if left := n - width(took) - 2; a.step.Budget > 0 && left >= least {
		return pad(st.cut(text, left), left) + "  " + took
	}
	return st.cut(text, n)
}

// waiting is what a phase waits for that has no step.
func (a *armView) waiting(rows []string) string {
	if !a.within {
		return ""
	}
	kind, _, _ := strings.Cut(a.phase.Phase, " ")
	switch runner.PhaseKind(kind) {
	case runner.Baseline:
		return "waiting for a first look at everything"
	case runner.Hold:
		return "nothing is injected here"
	case runner.Soak:
		return "the symptoms must stay away"
	case runner.InForce:
		if len(rows) == 0 {
			return "waiting for the symptoms"
		}
		var missing []string
		for _, address := range rows {
			if role(address) == "symptom" && !a.shown[address] {
				missing = append(missing, clean(address[strings.LastIndexByte(address, '.')+1:]))
			}
		}
		if len(missing) == 0 {
			return "waiting for a last look at everything"
		}
		return "waiting for " + strings.Join(missing, ", ")
	}
	return ""
}

func (a *armView) budget() string {
	if !a.within || a.phase.Budget <= 0 {
		return ""
	}
	return " of " + Duration(a.phase.Budget)
}

// twoArms is how wide a terminal must be to show what both arms see.
const twoArms = 64

// columns are the arms whose figures are shown: control beside fault; where there is room for one, fault.
func (v *view) columns(st Style) []*armView {
	arms := slices.Clone(v.arms)
	slices.SortStableFunc(arms, func(a, b *armView) int { return strings.Compare(a.name, b.name) })
	if len(arms) > 1 && st.Width < twoArms {
		return arms[len(arms)-1:]
	}
	return arms
}

// table is a row for each assertion, with what it saw last in each arm.
func (v *view) table(st Style) []string {
	const indent, gap = 2, 2
	arms := v.columns(st)
	first := 0
	for _, address := range v.rows {
		first = max(first, width(clean(short(address))))
	}
	sizes := []int{0}
	if len(arms) > 1 {
		first = min(first, st.Width/3)
		left := max(0, st.Width-indent-first-2*gap)
		sizes = []int{left * 12 / 25, left - left*12/25} // the fault's figures are the longer ones
	} else {
		first = min(first, st.Width*2/5)
		sizes[0] = max(0, st.Width-indent-first-gap)
	}
	row := func(name string, cell func(*armView) string) string {
		line := strings.Repeat(" ", indent) + pad(st.cut(name, first), first)
		for i, a := range arms {
			line += strings.Repeat(" ", gap) + pad(st.cut(cell(a), sizes[i]), sizes[i])
		}
		return strings.TrimRight(st.fit(line), " ")
	}
	var out []string
	if len(v.arms) > 1 && len(v.rows) > 0 {
		out = append(out, row("", func(a *armView) string { return st.paint(bold, "  "+clean(a.name)) }))
	}
	for _, address := range v.rows {
		unready := func(a *armView) bool { return a.looks[address].known && !a.looks[address].holds }
		if role(address) == "ready" && !slices.ContainsFunc(arms, unready) {
			continue
		}
		out = append(out, row(clean(short(address)), func(a *armView) string { return a.cell(st, address) }))
	}
	return out
}

// cell is what an assertion saw last. Whether a symptom should be there depends on the arm and its phase: with the
// fault it is wanted, without it must not be there, and of a remedy only its verdict says.
func (a *armView) cell(st Style, address string) string {
	g := st.glyphs()
	l, seen := a.looks[address]
	if !seen {
		return ""
	}
	c, sign := dim, g.absent
	unwanted := a.name != runner.Fault || a.in(runner.Baseline)
	switch {
	case !l.known:
		sign = " "
	case l.blind:
		c, sign = yellow, g.blind
	case role(address) != "symptom" && l.holds:
		c, sign = green, g.good
	case role(address) == "ready":
	case role(address) != "symptom":
		c, sign = red, g.bad
	case l.holds && unwanted:
		c, sign = red, g.bad
	case l.holds && a.in(runner.Inject, runner.InForce):
		c, sign = green, g.present
	case l.holds:
		c, sign = yellow, g.present
	case unwanted:
		c = green
	}
	text := l.text
	if c == dim {
		text = st.paint(dim, text)
	}
	return fmt.Sprintf("%s %s", st.paint(c, sign), text)
}
