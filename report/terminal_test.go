package report

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// replay hands events to a terminal at their times, with a frame after each and one every half second between.
// at is called after each event.
func replay(term *Terminal, clock *time.Time, events []runner.Event, at func(runner.Event)) {
	for _, e := range events {
		for clock.Before(e.At) {
			*clock = clock.Add(min(500*time.Millisecond, e.At.Sub(*clock)))
			term.frame()
		}
		term.Event(e)
		term.frame()
		at(e)
	}
}

func TestTerminalAt80x24(t *testing.T) {
	events, _ := staleDNS()
	v := newVT(t, 80, 24)
	clock := began
	term := newTerminal(v, Style{Color: true}, v.size, func() time.Time { return clock })
	shots := map[string]string{}
	replay(term, &clock, events, func(e runner.Event) {
		if e.Type == runner.PhaseEnded || e.Type == runner.Appeared || e.Type == runner.Step {
			shots[e.Arm+" "+e.Phase+" "+string(e.Type)+" "+short(e.Subject)] = v.screen()
		}
		if !v.hidden && e.Type != runner.RunStarted {
			t.Errorf("at %s the cursor is shown", e.Type)
		}
	})
	golden(t, "terminal-fault.txt", []byte(shots["fault fault appeared log.no_route"]))
	golden(t, "terminal-soak.txt", []byte(shots["fault soak forget_the_network step forget_the_network"]))
	golden(t, "terminal-waiting.txt", []byte(shots["control  step "]))
	term.Close()
	term.Close()
	if v.hidden {
		t.Error("the cursor stays hidden")
	}
	if v.folded > 0 {
		t.Errorf("%d lines were wider than the terminal", v.folded)
	}
	golden(t, "terminal-end.txt", []byte(v.screen()))
	golden(t, "terminal-all.txt", []byte(v.all()))
}

func TestTerminalWhenAllGoesWrong(t *testing.T) {
	v := newVT(t, 80, 24)
	clock := began
	term := newTerminal(v, Style{Level: Verbose}, v.size, func() time.Time { return clock })
	replay(term, &clock, troubled(), func(runner.Event) {})
	term.Close()
	golden(t, "terminal-troubled.txt", []byte(v.all()))
}

// The sign of a symptom says whether it should be there.
func TestTerminalMarks(t *testing.T) {
	for _, c := range []struct {
		phase, address string
		holds          bool
		err            string
		want           colour
		sign           string
	}{
		{"baseline", dnsDead, false, "", green, "○"}, {"baseline", dnsDead, true, "", red, "✗"},
		{"hold", dnsDead, true, "", red, "✗"}, {"hold", dnsDead, false, "", green, "○"}, {"inject", dnsDead, true, "", green, "●"},
		{"fault", dnsDead, true, "", green, "●"}, {"fault", dnsDead, false, "", dim, "○"},
		{"soak x", dnsDead, true, "", yellow, "●"}, {"fault", dnsDead, false, "no container", yellow, "?"},
		{"fault", bob, true, "", green, "✓"}, {"fault", bob, false, "", red, "✗"},
	} {
		var v view
		st := Style{Color: true, Width: 79}
		arm := runner.Fault
		if c.phase == "hold" {
			arm = runner.Control
		}
		v.event(st, runner.Event{Type: runner.TrialStarted, At: began})
		v.event(st, runner.Event{Type: runner.PhaseStarted, At: began, Arm: arm, Phase: c.phase})
		v.event(st, runner.Event{Type: runner.Observed, At: began, Arm: arm, Subject: c.address, Holds: c.holds, Observation: &lab.Observation{Err: c.err}})
		lines := v.lines(st, began)
		if last := lines[len(lines)-1]; !strings.Contains(last, st.paint(c.want, c.sign)) {
			t.Errorf("%+v: %q", c, last)
		}
	}
}

// Between steps an arm says what it waits for, and a look that the host was too busy for counts for nothing.
func TestTerminalWaits(t *testing.T) {
	var v view
	st := Style{Width: 79}
	tell := func(e runner.Event) {
		e.At = began
		if e.Arm == "" {
			e.Arm = runner.Fault
		}
		v.event(st, e)
	}
	want := func(arm int, text string) {
		t.Helper()
		if line := v.armLines(st, began)[arm]; !strings.HasSuffix(line, "  "+text) {
			t.Errorf("%q does not say %q", line, text)
		}
	}
	tell(runner.Event{Type: runner.TrialStarted})
	tell(runner.Event{Type: runner.PhaseStarted, Phase: "baseline"})
	want(0, "waiting for a first look at everything")
	tell(runner.Event{Type: runner.Observed, Subject: slow, Observation: &lab.Observation{Summary: "200"}})
	tell(runner.Event{Type: runner.Observed, Subject: dnsDead, Observation: &lab.Observation{Summary: "0 dead", Late: 800 * time.Millisecond}})
	if rows := v.table(st); !strings.Contains(rows[1], "? does not count: the host was too busy") {
		t.Errorf("%q", rows[1])
	}
	tell(runner.Event{Type: runner.PhaseStarted, Phase: "hold", Arm: runner.Control})
	want(1, "nothing is injected here")
	tell(runner.Event{Type: runner.PhaseStarted, Phase: "fault"})
	want(0, "waiting for slow_pages, dead_addresses")
	tell(runner.Event{Type: runner.Appeared, Phase: "fault", Subject: slow})
	want(0, "waiting for dead_addresses")
	tell(runner.Event{Type: runner.Appeared, Phase: "fault", Subject: dnsDead})
	want(0, "waiting for a last look at everything")
	tell(runner.Event{Type: runner.PhaseStarted, Phase: "soak x"})
	want(0, "the symptoms must stay away")
}

// Rows are sorted by role and then stay where they are; both arms' figures stand beside each other where there is room.
func TestTerminalTable(t *testing.T) {
	const unready = "ready.http.app_answers"
	var v view
	v.event(Style{}, runner.Event{Type: runner.TrialStarted, At: began})
	see := func(arm, address, text string, holds bool) {
		v.event(Style{}, runner.Event{Type: runner.Observed, At: began, Arm: arm, Subject: address, Holds: holds,
			Observation: &lab.Observation{Summary: text}})
	}
	want := func(cols int, lines ...string) {
		t.Helper()
		if diff := cmp.Diff(lines, v.table(Style{Width: cols})); diff != "" {
			t.Errorf("at %d columns (-want +got):\n%s", cols, diff)
		}
	}
	see(runner.Fault, bob, "200", true)
	see(runner.Fault, unready, "503", false)
	see(runner.Fault, slow, "p95 6 s", true)
	see(runner.Fault, dnsDead, "3 dead", true)
	want(79,
		"  http_latency.slow_pages     ● p95 6 s",
		"  dns_answers.dead_addresses  ● 3 dead",
		"  http.bob_is_served          ✓ 200",
		"  http.app_answers            ○ 503")
	see(runner.Control, dnsDead, "0 dead", false)
	see(runner.Fault, unready, "200", true)
	v.event(Style{}, runner.Event{Type: runner.PhaseStarted, At: began, Arm: runner.Fault, Phase: "inject"})
	see(runner.Fault, dnsDead, "4 dead of far too many addresses", true)
	want(79,
		"                                control                 fault",
		"  http_latency.slow_pages                               p95 6 s",
		"  dns_answers.dead_addresses  ○ 0 dead                ● 4 dead of far too many…",
		"  http.bob_is_served                                    200")
	want(50,
		"                          fault",
		"  http_latency.slow_p…    p95 6 s",
		"  dns_answers.dead_ad…  ● 4 dead of far too many …",
		"  http.bob_is_served      200")
}

const live = "fault    fault  " // how the fault arm's live line begins

// A window that became narrower has folded the live lines; the next frame replaces all of their rows.
func TestTerminalResized(t *testing.T) {
	events, _ := staleDNS()
	v := newVT(t, 100, 24)
	clock := began
	term := newTerminal(v, Style{}, v.size, func() time.Time { return clock })
	replay(term, &clock, events, func(e runner.Event) {
		if e.Type != runner.Appeared || e.Subject != dnsDead || e.Phase != string(runner.InForce) {
			return
		}
		for _, cols := range []int{80, 41, 60} {
			if cols < v.cols {
				v.narrow(cols)
			} else {
				v.cols = cols
			}
			term.frame()
			all := "\n" + v.all()
			if strings.Count(all, "\n─") != 1 || strings.Count(all, "\n"+live) != 1 || strings.Count(all, "\n\n") != 1 {
				t.Errorf("at %d columns:\n%s", cols, v.all())
			}
		}
	})
	term.Close()
	if strings.Contains(v.all(), "\n"+live) {
		t.Errorf("a live line is left:\n%s", v.all())
	}
}

func TestTerminalTooLow(t *testing.T) {
	events, _ := staleDNS()
	v := newVT(t, 80, 6)
	clock := began
	term := newTerminal(v, Style{}, v.size, func() time.Time { return clock })
	replay(term, &clock, events, func(e runner.Event) {
		if n := strings.Count(v.all(), "\n"+live); n > 1 {
			t.Fatalf("%d times the same live line:\n%s", n, v.all())
		}
	})
	term.Close()
}

// No size is too small to survive, and the cursor comes back.
func TestTerminalOfAnySize(t *testing.T) {
	events, _ := staleDNS()
	for cols := 1; cols < 100; cols += 3 {
		for rows := 1; rows < 20; rows += 4 {
			v := newVT(t, cols, rows)
			clock := began
			term := newTerminal(v, Style{Color: true, Level: Verbose}, v.size, func() time.Time { return clock })
			for _, e := range append(events[:len(events):len(events)], troubled()...) {
				clock = e.At
				term.Event(e)
				term.frame()
			}
			term.Close()
			if v.hidden {
				t.Errorf("%d×%d: the cursor stays hidden", cols, rows)
			}
		}
	}
}

// blocked is a terminal whose output the user has stopped.
type blocked struct{ resume chan struct{} }

func (b blocked) Write(p []byte) (int, error) {
	<-b.resume
	return len(p), nil
}

// A terminal that takes no output must not stop the run.
func TestTerminalDoesNotHoldTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := blocked{make(chan struct{})}
		term := NewTerminal(w, Style{}, func() (int, int) { return 80, 24 })
		term.Event(runner.Event{Type: runner.TrialStarted, At: time.Now()})
		time.Sleep(time.Second) //nolint:forbidigo // synctest's clock: the first frame is stuck now
		synctest.Wait()
		events, _ := staleDNS()
		play(term, events) // a deadlock fails the test
		close(w.resume)
		term.Close()
	})
}

// Without a change nothing is written; with changes there are at most ten frames a second.
func TestTerminalRedrawsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVT(t, 80, 24)
		term := NewTerminal(v, Style{}, v.size)
		now := time.Now()
		term.Event(runner.Event{Type: runner.TrialStarted, At: now})
		term.Event(runner.Event{Type: runner.PhaseStarted, At: now, Arm: runner.Fault, Phase: "fault"})
		synctest.Wait()
		before := v.writes.Load()
		for i := range 5000 {
			term.Event(runner.Event{Type: runner.Observed, At: now, Arm: runner.Fault, Subject: dnsDead, Observation: &lab.Observation{Summary: time.Duration(i).String()}})
			time.Sleep(time.Millisecond) //nolint:forbidigo // synctest's clock: no time passes
		}
		synctest.Wait()
		if n := v.writes.Load() - before; n < 45 || n > 51 {
			t.Errorf("%d frames in 5 s", n)
		}
		before = v.writes.Load()
		time.Sleep(5 * time.Second) //nolint:forbidigo // synctest's clock
		synctest.Wait()
		if n := v.writes.Load() - before; n > 6 { // the elapsed seconds
			t.Errorf("%d frames in 5 s without events", n)
		}
		_, _ = term.Write([]byte("a line of the log\nand half"))
		term.Close()
		if got := v.all(); !strings.Contains(got, "a line of the log\nand half\n") {
			t.Errorf("the log is not on the screen:\n%s", got)
		}
	})
}
