package runner_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

// pausing runs a lab once on the fake driver, with a person at these points.
func pausing(t *testing.T, ctx context.Context, l *lab.Lab, dir string, sink *seen, person func(context.Context, runner.Pause), at ...runner.Point) *runner.Summary {
	t.Helper()
	points := map[runner.Point]bool{}
	for _, p := range at {
		points[p] = true
	}
	fill(l, dir)
	l.Machines[0].Accounts = []lab.Account{{Name: "alice", Session: lab.SessionLinger}}
	fake := &labtest.Driver{}
	r := runner.Runner{Driver: fake, Composer: noStacks{}, Sink: sink, Run: "r", Folder: t.TempDir(), Pause: person, PauseAt: points}
	s, err := r.All(ctx, []*lab.Lab{l}, 1)
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	if left := fake.Left(); len(left) > 0 {
		t.Errorf("left alive: %v", left)
	}
	return s
}

// An arm stops where it is asked to, and at what surprises: with the machine and the account concerned.
func TestPausePoints(t *testing.T) {
	dir := t.TempDir()
	sick := labtest.Switch{Value: "sick", To: 1, Lasting: true}
	cure := remedy(dir, "cure", "fake set sick 0\n", true, t)
	nothing := remedy(dir, "nothing", "fake get sick\n", true, t)
	nothing.Account = "alice"
	for _, c := range []struct {
		name string
		lab  lab.Lab
		at   []runner.Point
		want []string // point, account, what is said
	}{
		{"every point", lab.Lab{Faults: []lab.Fault{fault(sick)}, Remedies: []lab.Remedy{cure}}, runner.Points(), []string{
			"baseline m : the faults are injected next", "fault m : the faults are in force", "symptom m : every symptom has appeared",
			"remedy m : remedy.cure was applied", "soak m : remedy.cure: every symptom is gone",
		}},
		{"nothing surprises", lab.Lab{Faults: []lab.Fault{fault(sick)}, Remedies: []lab.Remedy{cure}}, []runner.Point{runner.AtFailure}, nil},
		{"a symptom does not appear", lab.Lab{Faults: []lab.Fault{fault(labtest.Switch{Value: "other", To: 1})}}, []runner.Point{runner.AtFailure},
			[]string{"failure m : symptom.fake.sick did not appear: sick is 0"}},
		{"and is not expected to", lab.Lab{Expect: lab.NotReproduced, Faults: []lab.Fault{fault(labtest.Switch{Value: "other", To: 1})}}, []runner.Point{runner.AtFailure}, nil},
		{"it appears against what is expected", lab.Lab{Expect: lab.NotReproduced, Faults: []lab.Fault{fault(sick)}}, []runner.Point{runner.AtFailure},
			[]string{"failure m : every symptom appeared, and the lab expects that one does not"}},
		{"a remedy does not cure", lab.Lab{Faults: []lab.Fault{fault(sick)}, Remedies: []lab.Remedy{nothing}}, []runner.Point{runner.AtFailure},
			[]string{"failure m alice: remedy.nothing did not cure: symptom.fake.sick (sick is 1)"}},
		{"a failed bring-up", lab.Lab{Ready: []lab.Assertion{reading("ready", "up", "over 0")}}, []runner.Point{runner.AtFailure},
			[]string{"failure m : ready.fake.up did not pass within 250ms (up is 0)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var got []string
			pausing(t, t.Context(), &c.lab, dir, &seen{}, func(_ context.Context, p runner.Pause) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, string(p.Point)+" "+p.Machine.Ref().Name()+" "+p.Account+": "+p.Why)
			}, c.at...)
			if !slices.Equal(got, c.want) {
				t.Errorf("stopped at %q, want %q", got, c.want)
			}
		})
	}
}

// The control arm stops too, when a symptom is there without the fault.
func TestPauseInControl(t *testing.T) {
	l := &lab.Lab{Faults: []lab.Fault{fault(labtest.Switch{Value: "sick", To: 1})}}
	var mu sync.Mutex
	var got []string
	fill(l, t.TempDir())
	fake := &labtest.Driver{Made: func(m *labtest.Machine) {
		if strings.HasSuffix(string(m.RunID), "-control") {
			m.Set("sick", 1)
		}
	}}
	r := runner.Runner{Driver: fake, Composer: noStacks{}, Sink: &seen{}, Run: "r", Folder: t.TempDir(), PauseAt: map[runner.Point]bool{runner.AtFailure: true},
		Pause: func(_ context.Context, p runner.Pause) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, string(p.Machine.(*labtest.Machine).RunID)+" "+p.Why)
		}}
	s, err := r.All(t.Context(), []*lab.Lab{l}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"r-control symptom.fake.sick is there without the fault: sick is 1"}; !slices.Equal(got, want) {
		t.Errorf("stopped at %q, want %q", got, want)
	}
	if o := s.Outcomes[0]; o.Verdict != lab.ControlDirty || !strings.Contains(o.Paused, "the control arm") {
		t.Errorf("%s, paused %q", o.Verdict, o.Paused)
	}
}

// What is seen in a pause counts for nothing, and the evidence says that there was one.
func TestPauseCountsForNothing(t *testing.T) {
	l := &lab.Lab{
		Faults:     []lab.Fault{fault(labtest.Switch{Value: "sick", To: 1, Lasting: true})},
		Invariants: []lab.Assertion{reading("invariant", "broken", "under 1")},
	}
	looks := make(chan string, 100)
	sink := &seen{each: func(e runner.Event) {
		if e.Type == runner.Observed && e.Phase == string(runner.Paused) && e.Holds == (e.Subject == "symptom.fake.sick") {
			select {
			case looks <- e.Subject:
			default:
			}
		}
	}}
	s := pausing(t, t.Context(), l, t.TempDir(), sink, func(_ context.Context, p runner.Pause) {
		m := p.Machine.(*labtest.Machine)
		m.Set("sick", 1)
		m.Set("broken", 1)
		late := time.After(20 * time.Second)
		for saw := map[string]bool{}; len(saw) < 2; {
			select {
			case address := <-looks:
				saw[address] = true
			case <-late:
				t.Errorf("only %v was looked at in the pause", saw)
				return
			}
		}
		m.Set("sick", 0)
		m.Set("broken", 0)
		// Looks that are under way may still see what was set: they began in the pause.
	}, runner.AtBaseline)
	o := s.Outcomes[0]
	if o.Verdict != lab.Reproduced {
		t.Errorf("%s: %s", o.Verdict, o.Because)
	}
	if !strings.HasPrefix(o.Paused, "the fault arm for ") || !strings.HasSuffix(o.Paused, "(the faults are injected next)") {
		t.Errorf("paused %q", o.Paused)
	}
	for _, e := range sink.all {
		if e.Phase == string(runner.Paused) && (e.Type == runner.Appeared || e.Type == runner.Broken) {
			t.Errorf("told of a pause: %+v", e)
		}
	}
}

// ^C ends a pause.
func TestPauseInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := &lab.Lab{Faults: []lab.Fault{fault(labtest.Switch{Value: "sick", To: 1})}}
	s := pausing(t, ctx, l, t.TempDir(), &seen{}, func(ctx context.Context, _ runner.Pause) {
		cancel()
		<-ctx.Done()
	}, runner.AtFault)
	if s.Exit != runner.ExitInterrupted {
		t.Errorf("exit code %d", s.Exit)
	}
}
