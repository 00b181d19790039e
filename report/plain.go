package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/runner"
)

// tailLines is how much of a failure's output is shown; the rest is in the evidence.
const tailLines = 12

// Plain writes one line per event that matters, with the time since the run's start: for pipes and CI.
type Plain struct {
	w       io.Writer
	st      Style
	start   time.Time
	phases  map[string]time.Time // when the phase of an arm of a trial began: they may run side by side
	total   string               // how many trials there are
	started map[string]int       // which trial it is, in the order of their start
}

// NewPlain returns a sink that writes to w, without colour; a line of an event is as long as it is.
func NewPlain(w io.Writer, st Style) *Plain {
	st.Color = false
	return &Plain{w: w, st: st, phases: map[string]time.Time{}, started: map[string]int{}}
}

// Event prints the event when it matters at the style's level.
func (p *Plain) Event(e runner.Event) {
	if p.start.IsZero() {
		p.start = e.At
	}
	switch e.Type {
	case runner.RunStarted:
		p.total, p.started = ofTrials(e), map[string]int{}
		p.line(e, runName(e))
	case runner.DriverChosen:
		if e.Text != "" {
			p.line(e, e.Text)
		}
	case runner.TrialStarted:
		p.started[trialKey(e)] = len(p.started) + 1
		p.line(e, joinText(p.trial(e), e.Text))
	case runner.PhaseStarted:
		p.phases[trialKey(e)+e.Arm] = e.At
		p.line(e, joinText(p.where(e)+" started"+atMost(e.Budget), e.Text))
	case runner.PhaseEnded:
		p.line(e, joinText(p.where(e)+" ended after "+Duration(e.At.Sub(p.phases[trialKey(e)+e.Arm])), e.Text))
	case runner.Step:
		p.line(e, joinText(p.where(e), e.Text+atMost(e.Budget)))
		if e.Hint != "" {
			p.explain(e)
		}
	case runner.Observed:
		if p.st.Level >= Verbose {
			p.line(e, joinText(p.where(e), e.Subject+" "+observed(e)))
		}
	case runner.Appeared:
		if !strings.HasPrefix(e.Phase, string(runner.Treat)) { // while a remedy runs nothing is judged
			p.line(e, joinText(p.where(e), "appeared "+e.Subject, e.Text))
		}
	case runner.TrialEnded:
		p.trialEnded(e)
	case runner.RunEnded:
		if e.Summary != nil {
			put(p.w, "")
			Summary(p.w, p.st, e.Summary)
		}
	case runner.ArmStarted, runner.ArmEnded: // the phases say it
	case runner.Broken, runner.Warning, runner.Failed, runner.Leaked:
		p.trouble(e)
	default: // prepared, and what a later runner may tell
		p.line(e, joinText(p.of(e), string(e.Type), e.Text))
	}
}

func (p *Plain) trialEnded(e runner.Event) {
	if e.Outcome == nil {
		return
	}
	o := e.Outcome
	text := joinText(p.trial(e), gotExpected(o.Verdict, o.Expect)+" ("+Duration(o.Took)+")")
	if p.st.Level > Quiet || !o.AsExpected() {
		p.write(e.At, joinText(text, o.Because))
	}
}

// trouble is printed at every level.
func (p *Plain) trouble(e runner.Event) {
	p.write(e.At, joinText(p.where(e), strings.ToUpper(string(e.Type))+" "+e.Subject, e.Text))
	p.explain(e)
}

func (p *Plain) explain(e runner.Event) {
	indent := strings.Repeat(" ", elapsedWidth+4)
	for _, line := range explanation(p.st, e.Hint, e.Tail, tailLines) {
		put(p.w, indent+line)
	}
}

func (p *Plain) line(e runner.Event, text string) {
	if p.st.Level > Quiet {
		p.write(e.At, text)
	}
}

const elapsedWidth = 9

func (p *Plain) write(at time.Time, text string) {
	put(p.w, padLeft(Duration(at.Sub(p.start)), elapsedWidth)+"  "+clean(text))
}

// explanation is a hint and the last lines of output, as both printers show them below a failure.
func explanation(st Style, hint, tail string, most int) []string {
	var lines []string
	if hint != "" {
		lines = append(lines, "hint: "+clean(hint))
	}
	for _, line := range lastLines(tail, most) {
		lines = append(lines, st.paint(dim, "| "+line))
	}
	return lines
}

// trialKey tells trials apart.
func trialKey(e runner.Event) string { return fmt.Sprintf("%s\n%d\n", e.Variant, e.Trial) }

func (p *Plain) trial(e runner.Event) string { return trialName(e, p.started[trialKey(e)], p.total) }

// of is the trial that a line is about, where several run side by side.
func (p *Plain) of(e runner.Event) string {
	if !p.st.Parallel || e.Trial == 0 {
		return ""
	}
	return p.trial(e) + ":"
}

func (p *Plain) where(e runner.Event) string { return joinText(p.of(e), where(e)) }

// where is "fault arm, soak forget_the_network:"; empty outside an arm.
func where(e runner.Event) string {
	switch {
	case e.Arm == "":
		return ""
	case e.Phase == "":
		return e.Arm + " arm:"
	}
	return e.Arm + " arm, " + e.Phase + ":"
}

func observed(e runner.Event) string {
	if e.Observation == nil {
		return e.Text
	}
	if e.Observation.Err != "" {
		return "could not look: " + e.Observation.Err
	}
	holds := "does not hold"
	if e.Holds {
		holds = "holds"
	}
	return holds + ": " + e.Observation.Summary + ", took " + Duration(e.Observation.Took)
}

// runName is "run 20260301-100000-k3f9, 6 trials"; or "…, at most 200 trials, until 95 % confidence, seed 4711".
func runName(e runner.Event) string {
	name := strings.TrimSpace("run " + e.Text)
	switch n := counted(e.Trials, "trial"); {
	case n == "":
	case e.Until > 0:
		name += fmt.Sprintf(", at most %s, until %.4g %% confidence", n, 100*e.Until)
	default:
		name += ", " + n
	}
	if e.Seed != 0 {
		name += fmt.Sprintf(", seed %d", e.Seed)
	}
	return name
}

// ofTrials is "of 6", or "of at most 100"; empty when there is one.
func ofTrials(e runner.Event) string {
	switch {
	case e.Trials < 2:
		return ""
	case e.Until > 0:
		return fmt.Sprintf("of at most %d", e.Trials)
	}
	return fmt.Sprintf("of %d", e.Trials)
}

func trialName(e runner.Event, n int, of string) string {
	name := e.Variant
	if name == "" {
		name = "the only variant"
	}
	if of != "" {
		name += fmt.Sprintf(" (trial %d %s)", n, of)
	}
	return name
}

func atMost(budget time.Duration) string {
	if budget <= 0 {
		return ""
	}
	return ", at most " + Duration(budget)
}

func counted(n int, what string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// joinText puts the parts that are not empty into one sentence: a part that ends with a colon introduces the next.
func joinText(parts ...string) string {
	s := ""
	for _, p := range parts {
		p = strings.TrimSpace(p)
		switch {
		case p == "":
		case s == "":
			s = p
		case strings.HasSuffix(s, ":"):
			s += " " + p
		default:
			s += ": " + p
		}
	}
	return s
}
