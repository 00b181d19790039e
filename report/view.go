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
	run         string // "run 20260301-100000-k3f9, 6 trials"
	title       string // of the lab
	trials, nth int    // of how many, and the one under way
	trial       runner.Event
	arm         string
	phase       runner.Event
	step        runner.Event
	seen        []seen
	ended       bool
}

// seen is what is known of one assertion. It stays from arm to arm, so that the lines keep their places.
type seen struct {
	address string
	known   bool // something was observed in this phase
	holds   bool
	blind   bool
	text    string
}

// event takes an event in and returns the lines to print for good.
func (v *view) event(st Style, e runner.Event) []string {
	g := st.glyphs()
	switch e.Type {
	case runner.RunStarted:
		*v = view{run: clean(runName(e)), trials: e.Trials}
		return v.say(st, v.run)
	case runner.Prepared:
		v.step = runner.Event{}
		return v.say(st, st.paint(green, g.good)+" "+clean(e.Text))
	case runner.TrialStarted:
		v.nth++
		v.trial, v.arm, v.phase, v.step, v.seen = e, "", runner.Event{}, runner.Event{}, nil
		out := append([]string{""}, v.say(st, st.paint(bold, clean(trialName(e, v.nth, v.trials))))...)
		if e.Text != "" && e.Text != v.title {
			v.title = e.Text
			out = append(out, v.say(st, st.paint(dim, clean(e.Text)))...)
		}
		return out
	case runner.ArmStarted:
		v.arm, v.phase, v.step = e.Arm, runner.Event{}, runner.Event{}
		for i := range v.seen {
			v.seen[i] = seen{address: v.seen[i].address}
		}
	case runner.PhaseStarted:
		v.arm, v.phase, v.step = e.Arm, e, runner.Event{}
		for i := range v.seen {
			v.seen[i].known = false
		}
	case runner.PhaseEnded:
		took, text := Duration(e.At.Sub(v.phase.At)), e.Text
		if text == "" && role(v.step.Subject) == "remedy" && strings.HasPrefix(e.Phase, string(runner.Soak)) {
			text = v.step.Text // what came of the remedy
		}
		v.step = runner.Event{}
		return v.say(st, fmt.Sprintf("%s  %s  %s", padLeft(took, elapsedWidth), armPhase(e), st.paint(dim, clean(text))))
	case runner.Step:
		v.step = e
		if st.Level >= Verbose {
			return v.say(st, st.paint(dim, padLeft("", elapsedWidth)+"  "+clean(e.Text)))
		}
	case runner.Observed:
		v.observe(e)
	case runner.Appeared:
		if remedied(e) {
			return nil // the live line shows it, and the end of the soak says what came of the remedy
		}
		c, sign := green, g.present
		if e.Arm != runner.Fault || e.Phase == string(runner.Baseline) {
			c, sign = red, g.bad
		}
		return v.say(st, fmt.Sprintf("%s  %s %s after %s  %s", padLeft("", elapsedWidth), st.paint(c, sign), clean(short(e.Subject)),
			Duration(e.At.Sub(v.phase.At)), st.paint(dim, clean(e.Text))))
	case runner.Broken, runner.Failed, runner.Leaked:
		return v.trouble(st, e, st.paint(red, g.bad+" "+string(e.Type)+":"))
	case runner.Warning:
		return v.trouble(st, e, st.paint(yellow, "! warning:"))
	case runner.TrialEnded:
		v.trial, v.phase, v.step, v.seen = runner.Event{}, runner.Event{}, runner.Event{}, nil
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
	lines := wrap(clean(joinText(e.Subject, e.Text)), st.Width-width(indent+sign)-1)
	out := []string{indent + sign + " " + lines[0]}
	for _, line := range lines[1:] {
		out = append(out, indent+"  "+line)
	}
	for _, line := range explanation(st, e.Hint, e.Tail, tailLines) {
		out = append(out, st.fit(indent+"  "+line))
	}
	return out
}

func (v *view) observe(e runner.Event) {
	i := slices.IndexFunc(v.seen, func(s seen) bool { return s.address == e.Subject })
	if i < 0 {
		v.seen = append(v.seen, seen{address: e.Subject})
		slices.SortStableFunc(v.seen, func(a, b seen) int { return cmp.Compare(rank(a.address), rank(b.address)) })
		i = slices.IndexFunc(v.seen, func(s seen) bool { return s.address == e.Subject })
	}
	s := &v.seen[i]
	s.known, s.holds, s.blind, s.text = true, e.Holds, false, clean(e.Text)
	if o := e.Observation; o != nil {
		s.text = clean(o.Summary)
		if o.Err != "" {
			s.blind, s.text = true, "could not look: "+clean(o.Err)
		}
	}
}

func rank(address string) int {
	return slices.Index([]string{"ready", "symptom", "invariant"}, role(address))
}

// lines are the live lines: who, where and for how long, the step, and the assertions.
func (v *view) lines(st Style, now time.Time) []string {
	if v.ended || v.trial.At.IsZero() && v.step.At.IsZero() {
		return nil
	}
	g := st.glyphs()
	var out []string
	head := cmp.Or(clean(v.trial.Variant), v.run)
	if v.trials > 1 && v.nth > 0 {
		head += fmt.Sprintf("  %d of %d", v.nth, v.trials)
	}
	if !v.trial.At.IsZero() {
		took := running(now.Sub(v.trial.At))
		head = st.cut(head, st.Width-width(took)-2)
		head = pad(head, st.Width-width(took)) + took
	}
	out = append(out, st.paint(dim, strings.Repeat(g.rule, st.Width)), st.paint(bold, head))
	phase, step := "", "" // their lines stay when there is nothing to say, so that the rest does not jump
	if !v.phase.At.IsZero() {
		phase = st.fit(v.arm + " arm, " + clean(v.phase.Phase) + "  " + spent(v.phase, now) + after("  ", st.paint(dim, clean(v.phase.Text))))
	}
	if !v.step.At.IsZero() {
		took := spent(v.step, now)
		step = "  " + pad(st.cut(clean(v.step.Text), st.Width-width(took)-4), st.Width-width(took)-4) + "  " + took
	}
	if !v.trial.At.IsZero() {
		out = append(out, phase)
	}
	out = append(out, step)
	longest := 0
	for _, s := range v.seen {
		longest = max(longest, width(short(s.address)))
	}
	longest = min(longest, st.Width*2/5)
	for _, s := range v.seen {
		if role(s.address) == "ready" && (s.holds || !s.known) {
			continue
		}
		out = append(out, v.assertion(st, s, longest))
	}
	return out
}

// assertion is one assertion's line. Whether a symptom should be there depends on where the trial is: in the fault
// phase it is wanted, without the fault it must not be there, and of a remedy only its verdict says.
func (v *view) assertion(st Style, s seen, longest int) string {
	g := st.glyphs()
	c, sign := dim, g.absent
	wanted := v.phase.Phase == string(runner.InForce)
	unwanted := v.phase.Phase == string(runner.Baseline) || v.phase.Phase == string(runner.Hold)
	switch {
	case !s.known:
		sign = " "
	case s.blind:
		c, sign = yellow, g.blind
	case role(s.address) != "symptom" && s.holds:
		c, sign = green, g.good
	case role(s.address) == "ready":
	case role(s.address) != "symptom":
		c, sign = red, g.bad
	case s.holds && wanted:
		c, sign = green, g.present
	case s.holds && unwanted:
		c, sign = red, g.bad
	case s.holds:
		c, sign = yellow, g.present
	case unwanted:
		c = green
	}
	text := s.text
	if !s.known || c == dim {
		text = st.paint(dim, text)
	}
	name := st.cut(clean(short(s.address)), longest)
	return st.fit("  " + st.paint(c, sign) + " " + pad(name, longest) + "  " + text)
}

// spent is "12 s of 2 m 00 s".
func spent(e runner.Event, now time.Time) string {
	s := running(now.Sub(e.At))
	if e.Budget > 0 {
		s += " of " + Duration(e.Budget)
	}
	return s
}

func armPhase(e runner.Event) string { return pad(e.Arm, len(runner.Control)) + "  " + clean(e.Phase) }

// after puts a separator before text that is not empty.
func after(sep, text string) string {
	if text == "" {
		return ""
	}
	return sep + text
}
