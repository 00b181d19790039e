package report

import (
	"bytes"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// sideBySide are two trials, of which the second overtakes the first.
func sideBySide() []runner.Event {
	clock := began
	one, two := "debian:bookworm trigger:port_taken", "debian:trixie trigger:port_taken"
	at := func(after time.Duration, e runner.Event) runner.Event {
		clock = clock.Add(after)
		e.At = clock
		return e
	}
	of := func(variant string, t runner.EventType, phase runner.PhaseKind, text string) runner.Event {
		e := runner.Event{Type: t, Variant: variant, Trial: 1, Phase: string(phase), Text: text}
		if phase != "" {
			e.Arm = runner.Fault
		}
		return e
	}
	ended := of(two, runner.TrialEnded, "", "")
	ended.Outcome = &runner.Outcome{Lab: "stale-dns", Verdict: lab.NotReproduced, Expect: lab.NotReproduced, Took: 9 * time.Second}
	return []runner.Event{
		at(0, runner.Event{Type: runner.RunStarted, Text: "20260301-100000-k3f9", Trials: 2}),
		at(time.Second, of(one, runner.TrialStarted, "", "nginx is slow")),
		at(time.Second, of(two, runner.TrialStarted, "", "nginx is slow")),
		at(time.Second, of(two, runner.Prepared, "", "image.host, 1.0 s")),
		at(time.Second, of(one, runner.PhaseStarted, runner.Baseline, "")),
		at(time.Second, of(two, runner.PhaseStarted, runner.Baseline, "")),
		at(2*time.Second, of(two, runner.PhaseEnded, runner.Baseline, "")),
		at(time.Second, of(one, runner.PhaseEnded, runner.Baseline, "")),
		at(time.Second, of(one, runner.PhaseStarted, runner.InForce, "")),
		at(time.Second, of(two, runner.PhaseStarted, runner.InForce, "")),
		at(time.Second, of(one, runner.Step, runner.InForce, "injecting fault.port_taken")),
		at(time.Second, ended),
		at(time.Second, of(one, runner.PhaseEnded, runner.InForce, "")),
	}
}

func TestSideBySide(t *testing.T) {
	v := newVT(t, 80, 24)
	clock := began
	term := newTerminal(v, Style{Parallel: true}, v.size, func() time.Time { return clock })
	var both, one string
	replay(term, &clock, sideBySide(), func(e runner.Event) {
		switch e.Type {
		case runner.Step:
			both = v.screen()
		case runner.TrialEnded:
			one = v.screen()
		}
	})
	term.Close()
	if v.folded > 0 {
		t.Errorf("%d lines were wider than the terminal", v.folded)
	}
	golden(t, "terminal-parallel.txt", []byte(both))
	golden(t, "terminal-parallel-last.txt", []byte(one))
	var w bytes.Buffer
	play(NewPlain(&w, Style{Parallel: true}), sideBySide())
	golden(t, "plain-parallel.txt", w.Bytes())
}
