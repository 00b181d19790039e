package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// view is what the terminal knows of the run under way.
type view struct {
	run   string // "run 20260301-100000-k3f9, 6 trials"
	title string // of the lab
	total string // how many trials there are
	nth   int    // the one under way
	trial runner.Event
	step  runner.Event // of no arm
	arms  []*armView   // in the order in which they began
	rows  []string     // addresses of assertions, of both arms
	ended bool
}

// event takes an event in and returns the lines to print for good.
func (v *view) event(st Style, e runner.Event) []string {
	g := st.glyphs()
	arm := v.arm(e)
	switch e.Type {
	case runner.RunStarted:
		*v = view{run: clean(runName(e)), total: ofTrials(e)}
		return v.say(st, v.run)
	case runner.DriverChosen:
		var out []string
		if e.Text != "" {
			for _, line := range wrap(clean(e.Text), st.Width) {
				out = append(out, v.say(st, st.paint(dim, line))...)
			}
		}
		return out
	case runner.Prepared:
		v.step = runner.Event{}
		return v.say(st, st.paint(green, g.good)+" "+clean(e.Text))
	case runner.TrialStarted:
		v.nth++
		v.trial, v.step, v.arms, v.rows = e, runner.Event{}, nil, nil
		out := append([]string{""}, v.say(st, st.paint(bold, clean(trialName(e, v.nth, v.total))))...)
		if e.Text != "" && e.Text != v.title {
			v.title = e.Text
			out = append(out, v.say(st, st.paint(dim, clean(e.Text)))...)
		}
		return out
	case runner.ArmStarted:
		v.step = runner.Event{}
	case runner.ArmEnded:
		if arm != nil {
			arm.ended, arm.step = true, runner.Event{}
		}
	case runner.PhaseStarted:
		if arm != nil {
			arm.begin(e)
		}
		if e.Phase == string(runner.Paused) {
			return v.say(st, padLeft("paused", elapsedWidth)+"  "+armName(e)+clean(e.Text))
		}
	case runner.PhaseEnded:
		if arm != nil {
			took, text := arm.end(e)
			if e.Phase == string(runner.Paused) {
				text = "over"
			}
			return v.say(st, padLeft(Duration(took), elapsedWidth)+"  "+armName(e)+clean(e.Phase)+after("  ", st.paint(dim, clean(text))))
		}
	case runner.Step:
		if arm != nil {
			arm.step = e
		} else {
			v.step = e
		}
		if e.Hint != "" { // a command to be copied is never cut
			return []string{padLeft("", elapsedWidth) + "  " + armName(e) + clean(e.Hint)}
		}
		if st.Level >= Verbose {
			return v.say(st, padLeft("", elapsedWidth)+"  "+st.paint(dim, armName(e)+clean(e.Text)))
		}
	case runner.Observed:
		if arm != nil {
			arm.observe(e)
			v.row(e.Subject)
		}
	case runner.Appeared:
		if arm == nil || remedied(e) {
			return nil // the live line shows it, and the end of the soak says what came of the remedy
		}
		arm.shown[e.Subject] = true
		c, sign := green, g.present
		if e.Arm != runner.Fault || e.Phase == string(runner.Baseline) {
			c, sign = red, g.bad
		}
		return v.say(st, fmt.Sprintf("%s  %s%s %s after %s  %s", padLeft("", elapsedWidth), armName(e), st.paint(c, sign),
			clean(short(e.Subject)), Duration(e.At.Sub(arm.since)), st.paint(dim, clean(e.Text))))
	case runner.Broken, runner.Failed, runner.Leaked:
		return v.trouble(st, e, st.paint(red, g.bad+" "+string(e.Type)+":"))
	case runner.Warning:
		return v.trouble(st, e, st.paint(yellow, "! warning:"))
	case runner.TrialEnded:
		v.trial, v.step, v.arms, v.rows = runner.Event{}, runner.Event{}, nil, nil
		if o := e.Outcome; o != nil {
			return v.verdict(st, o)
		}
	case runner.RunEnded:
		v.ended = true
	}
	return nil
}

// remedied says whether an event is of a phase after the fault's own.
func remedied(e runner.Event) bool {
	return strings.HasPrefix(e.Phase, string(runner.Treat)) || strings.HasPrefix(e.Phase, string(runner.Soak))
}

func (v *view) verdict(st Style, o *runner.Outcome) []string {
	g := st.glyphs()
	sign := g.bad
	switch o.Verdict {
	case o.Expect:
		sign = g.good
	case lab.Inconclusive:
		sign = g.blind
	}
	out := v.say(st, fmt.Sprintf("%s  %s", padLeft(Duration(o.Took), elapsedWidth),
		st.paint(verdictColour(o.Verdict, o.Expect), sign+" "+gotExpected(o.Verdict, o.Expect))))
	if !o.AsExpected() {
		const indent = elapsedWidth + 4
		for _, line := range wrap(clean(o.Because), st.Width-indent) {
			out = append(out, strings.Repeat(" ", indent)+line)
		}
	}
	return out
}

func (v *view) say(st Style, line string) []string {
	return []string{strings.TrimRight(st.fit(line), " ")}
}

func (v *view) trouble(st Style, e runner.Event, sign string) []string {
	indent := strings.Repeat(" ", elapsedWidth+2)
	sign = armName(e) + sign
	lines := wrap(clean(joinText(e.Subject, e.Text)), st.Width-width(indent+sign)-1)
	out := []string{indent + sign + " " + lines[0]}
	indent += strings.Repeat(" ", width(armName(e)))
	for _, line := range lines[1:] {
		out = append(out, indent+"  "+line)
	}
	for _, line := range explanation(st, e.Hint, e.Tail, tailLines) {
		out = append(out, st.fit(indent+"  "+line))
	}
	return out
}

// row gives an assertion its place: symptoms, then invariants, each in the order in which they were first seen. What
// has a row keeps it for the whole trial.
func (v *view) row(address string) {
	if slices.Contains(v.rows, address) {
		return
	}
	v.rows = append(v.rows, address)
	slices.SortStableFunc(v.rows, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
}

// rank puts last what is only shown while it does not hold.
func rank(address string) int {
	switch role(address) {
	case "symptom":
		return 0
	case "invariant":
		return 1
	}
	return 2
}

// lines are the live lines: the trial, a line for each arm, and what the assertions see.
func (v *view) lines(st Style, now time.Time) []string {
	if v.ended || v.trial.At.IsZero() && v.step.At.IsZero() {
		return nil
	}
	g := st.glyphs()
	var out []string
	out = append(out, st.paint(dim, strings.Repeat(g.rule, st.Width)), st.paint(bold, v.head(st, "", now)))
	out = append(out, v.armLines(st, now)...)
	quiet := !slices.ContainsFunc(v.arms, func(a *armView) bool { return !a.ended })
	switch {
	case quiet && !v.step.At.IsZero():
		out = append(out, "  "+v.stepLine(st, now))
	case len(v.arms) == 0:
		out = append(out, "") // its line stays when there is nothing to say
	}
	return append(out, v.table(st)...)
}

// head is the trial, and for how long it has been under way.
func (v *view) head(st Style, sign string, now time.Time) string {
	head := sign + cmp.Or(clean(v.trial.Variant), v.run)
	if v.total != "" && v.nth > 0 {
		head += fmt.Sprintf("  %d %s", v.nth, v.total)
	}
	if v.trial.At.IsZero() {
		return head
	}
	took := running(now.Sub(v.trial.At))
	return pad(st.cut(head, st.Width-width(took)-2), st.Width-width(took)) + took
}

// stepLine is the step of no arm.
func (v *view) stepLine(st Style, now time.Time) string {
	took := spent(v.step, now)
	return pad(st.cut(clean(v.step.Text), st.Width-width(took)-4), st.Width-width(took)-4) + "  " + took
}

// spent is "12 s of 2 m 00 s".
func spent(e runner.Event, now time.Time) string {
	s := running(now.Sub(e.At))
	if e.Budget > 0 {
		s += " of " + Duration(e.Budget)
	}
	return s
}

// armName begins what is printed for good of an arm.
func armName(e runner.Event) string {
	if e.Arm == "" {
		return ""
	}
	return pad(clean(e.Arm), len(runner.Control)) + "  "
}

// after puts a separator before text that is not empty.
func after(sep, text string) string {
	if text == "" {
		return ""
	}
	return sep + text
}
