package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/runner"
)

// lanes is the view of a run whose trials may run side by side. With one trial at a time it is that trial's view.
type lanes struct {
	view         // of the run; without Parallel of the trial under way too
	side []*lane // the trials under way, in the order of their start
}

// lane is one of several trials under way.
type lane struct {
	view
	key string
}

// event takes an event in and returns the lines to print for good; those of a trial begin with its number.
func (v *lanes) event(st Style, e runner.Event) []string {
	if e.Type == runner.RunStarted {
		v.side = nil
	}
	if !st.Parallel || e.Trial == 0 {
		return v.view.event(st, e)
	}
	if e.Type == runner.TrialStarted {
		v.side = append(v.side, &lane{view{run: v.run, title: v.title, total: v.total, nth: v.nth}, trialKey(e)})
		v.nth++
	}
	i := slices.IndexFunc(v.side, func(l *lane) bool { return l.key == trialKey(e) })
	if i < 0 {
		return v.view.event(st, e)
	}
	l := v.side[i]
	narrow := st
	narrow.Width = max(0, st.Width-len(l.sign()))
	var out []string
	for _, line := range l.event(narrow, e) {
		if line != "" {
			out = append(out, st.paint(dim, l.sign())+line)
		}
	}
	v.title = l.title
	if e.Type == runner.TrialEnded {
		v.side = slices.Delete(v.side, i, i+1)
	}
	return out
}

// sign is what the lines of the trial begin with.
func (l *lane) sign() string { return fmt.Sprintf("#%d ", l.nth) }

// lines are the live lines. With several trials under way each has a line and those of its arms; what their assertions see
// would not fit.
func (v *lanes) lines(st Style, now time.Time) []string {
	switch len(v.side) {
	case 0:
		return v.view.lines(st, now)
	case 1:
		return v.side[0].lines(st, now)
	}
	out := []string{st.paint(dim, strings.Repeat(st.glyphs().rule, st.Width))}
	for _, l := range v.side {
		out = append(out, st.paint(bold, l.head(st, l.sign(), now)))
		out = append(out, l.armLines(st, now)...)
		if len(l.arms) == 0 && !l.step.At.IsZero() {
			out = append(out, "  "+l.stepLine(st, now))
		}
	}
	return out
}
