package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

// noStacks is for labs without stacks.
type noStacks struct{}

func (noStacks) Up(context.Context, lab.Running, string, lab.Stack) error { return nil }
func (noStacks) Ready(lab.Stack) []lab.Assertion                          { return nil }
func (noStacks) Trouble(context.Context, lab.Running, lab.Stack) (*lab.InfraError, bool) {
	return nil, false
}
func (noStacks) Compose(context.Context, lab.Running, lab.Stack, ...string) (lab.Result, error) {
	return lab.Result{}, errors.New("there is no stack")
}

// seen collects events, and calls each with every one of them.
type seen struct {
	mu   sync.Mutex
	all  []runner.Event
	each func(runner.Event)
}

func (s *seen) Event(e runner.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, e)
	if s.each != nil {
		s.each(e)
	}
}

// The pieces of labs under test. The value "sick" is what the fault sets, and "broken" what an invariant watches.
func reading(role, value, is string) lab.Assertion {
	do := &labtest.Reading{Machine: "machine.m", Value: value, Is: lab.Limit(is)}
	settings, err := json.Marshal(do)
	if err != nil {
		panic(err)
	}
	return lab.Assertion{
		Role: role, Kind: "fake", Name: value, Machine: "machine.m", Every: "5ms", Within: "250ms", Hint: "the hint of " + value,
		Settings: settings, Do: do,
	}
}

func fault(s labtest.Switch) lab.Fault {
	s.Machine = "machine.m"
	return lab.Fault{Kind: "fake", Name: "f", Do: &s}
}

func remedy(dir, name, script string, cures bool, t *testing.T) lab.Remedy {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(labtest.FakeShebang+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return lab.Remedy{Name: name, Machine: "machine.m", Run: lab.Path(name), Cures: cures, Soak: "100ms", Timeout: "5s"}
}

func TestVerdicts(t *testing.T) {
	dir := t.TempDir()
	sick := labtest.Switch{Value: "sick", To: 1, Lasting: true}
	cure := remedy(dir, "cure", "fake set sick 0\n", true, t)
	placebo := remedy(dir, "placebo", "fake get sick\n", false, t)
	for _, c := range []struct {
		name    string
		lab     lab.Lab
		made    func(*labtest.Machine)
		want    lab.Verdict
		because string
	}{
		{"reproduced, no remedy", lab.Lab{Faults: []lab.Fault{fault(sick)}}, nil, lab.Reproduced, "absent without the fault and present with it"},
		{"reproduced and cured", lab.Lab{Faults: []lab.Fault{fault(sick)}, Remedies: []lab.Remedy{placebo, cure}}, nil, lab.Reproduced,
			"gone after cure; placebo did not cure, as declared"},
		{"no fault", lab.Lab{}, nil, lab.NotReproduced, "never appeared: symptom.fake.sick (sick is 0)"},
		{"the fault does something else", lab.Lab{Faults: []lab.Fault{fault(labtest.Switch{Value: "other", To: 1})}}, nil, lab.NotReproduced, "symptom.fake.sick"},
		{"sick from the start", lab.Lab{Faults: []lab.Fault{fault(sick)}}, func(m *labtest.Machine) { m.Set("sick", 1) }, lab.ControlDirty, "the lab makes the symptom"},
		{"the remedy does nothing", lab.Lab{Faults: []lab.Fault{fault(sick)}, Remedies: []lab.Remedy{remedy(dir, "nothing", "fake get sick\n", true, t)}}, nil,
			lab.RemedyIneffective, "remedy.nothing did not cure: symptom.fake.sick (sick is 1)"},
		{"the wrong remedy cures", lab.Lab{Faults: []lab.Fault{fault(sick)}, Remedies: []lab.Remedy{remedy(dir, "oops", "fake set sick 0\n", false, t)}}, nil,
			lab.UnexpectedCure, "remedy.oops is declared not to cure"},
		{"the remedy leaves the machine not ready", lab.Lab{
			Ready: []lab.Assertion{reading("ready", "down", "under 1")}, Faults: []lab.Fault{fault(sick)},
			Remedies: []lab.Remedy{remedy(dir, "kill", "fake set sick 0\nfake set down 1\n", true, t)},
		}, nil, lab.RemedyIneffective, "ready.fake.down did not pass within 250ms"},
		{"an invariant breaks with the fault", lab.Lab{
			Invariants: []lab.Assertion{reading("invariant", "broken", "under 1")},
			Faults:     []lab.Fault{fault(sick), {Kind: "fake", Name: "g", Do: &labtest.Switch{Machine: "machine.m", Value: "broken", To: 1, Lasting: true}}},
		}, nil, lab.InvariantBroken, "invariant.fake.broken did not hold in the fault arm"},
		{"the fault cannot be injected", lab.Lab{Faults: []lab.Fault{fault(labtest.Switch{Value: "sick", Fail: "inject"})}}, nil, lab.Inconclusive, "cannot inject fault.fake.f"},
		{"the fault is not in force", lab.Lab{Faults: []lab.Fault{fault(labtest.Switch{Value: "sick", Fail: "verify"})}}, nil, lab.Inconclusive, "fault.fake.f is not in force"},
		{"a readiness probe never passes", lab.Lab{Ready: []lab.Assertion{reading("ready", "up", "over 0")}}, nil, lab.Inconclusive, "ready.fake.up did not pass within 250ms (up is 0)"},
		{"a remedy's script fails", lab.Lab{Faults: []lab.Fault{fault(sick)}, Remedies: []lab.Remedy{remedy(dir, "fails", "exit 3\n", false, t)}}, nil,
			lab.Inconclusive, "remedy.fails: fails ended with code 3"},
	} {
		check := func(driver lab.Driver, fake *labtest.Driver, most int) func(*testing.T) {
			return func(t *testing.T) {
				t.Parallel()
				l := c.lab
				s := run(t, context.Background(), driver, &l, dir, 1, &seen{})
				o := s.Outcomes[0]
				if o.Verdict != c.want {
					t.Fatalf("got %s (%s), want %s", o.Verdict, o.Because, c.want)
				}
				if !strings.Contains(o.Because, c.because) {
					t.Errorf("because %q, want %q in it", o.Because, c.because)
				}
				if left := fake.Left(); len(left) > 0 {
					t.Errorf("left alive: %v", left)
				}
				if n := len(fake.Machines()); n > most {
					t.Errorf("%d machines were started", n)
				}
			}
		}
		plain, cloned := &labtest.Driver{Made: c.made}, &labtest.Driver{Made: c.made}
		t.Run(c.name, check(plain, plain, 2))
		t.Run(c.name+", with snapshots", check(&labtest.SnapshotDriver{Driver: cloned}, cloned, 3))
	}
}

func run(t *testing.T, ctx context.Context, d lab.Driver, l *lab.Lab, dir string, repeat int, sink runner.Sink) *runner.Summary {
	t.Helper()
	fill(l, dir)
	r := runner.Runner{
		Driver: d, Composer: noStacks{}, Sink: sink, Run: "r", Folder: t.TempDir(), Keep: runner.KeepNever,
	}
	s, err := r.All(ctx, []*lab.Lab{l}, repeat)
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	return s
}

// The control arm lasts as long as the fault arm's inject and fault phases.
func TestControlLastsAsLong(t *testing.T) {
	l := &lab.Lab{Faults: []lab.Fault{fault(labtest.Switch{Value: "sick", To: 1, Takes: "200ms"})}}
	o := run(t, context.Background(), &labtest.Driver{}, l, t.TempDir(), 1, &seen{}).Outcomes[0]
	var fault, hold time.Duration
	for _, a := range o.Arms {
		for _, p := range a.Phases {
			switch p.Kind {
			case runner.Inject, runner.InForce:
				fault += p.End.Sub(p.Start)
			case runner.Hold:
				hold += p.End.Sub(p.Start)
			}
		}
	}
	if fault < 200*time.Millisecond || hold < fault {
		t.Errorf("the fault took %s, and the control arm held for %s", fault, hold)
	}
}

// Whenever a run is interrupted, nothing stays alive, and what was injected is healed.
func TestInterruptedAnywhere(t *testing.T) {
	dir := t.TempDir()
	cure := remedy(dir, "cure", "fake set sick 0\n", true, t)
	for _, at := range []struct {
		what  runner.EventType
		phase string
	}{
		{runner.TrialStarted, ""}, {runner.ArmStarted, ""}, {runner.PhaseStarted, "baseline"}, {runner.PhaseStarted, "inject"},
		{runner.PhaseStarted, "fault"}, {runner.Appeared, "fault"}, {runner.PhaseStarted, "remedy cure"},
		{runner.PhaseStarted, "soak cure"}, {runner.PhaseEnded, "soak cure"}, {runner.PhaseStarted, "hold"}, {runner.ArmEnded, "soak cure"}, {runner.ArmEnded, "hold"},
	} {
		t.Run(string(at.what)+" "+at.phase, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			sink := &seen{each: func(e runner.Event) {
				if e.Type == at.what && e.Phase == at.phase {
					cancel()
				}
			}}
			driver := &labtest.Driver{}
			l := &lab.Lab{Faults: []lab.Fault{fault(labtest.Switch{Value: "sick", To: 1})}, Remedies: []lab.Remedy{cure}}
			s := run(t, ctx, driver, l, dir, 1, sink)
			if ctx.Err() == nil {
				t.Fatal("the event never came")
			}
			if s.Exit != runner.ExitInterrupted {
				t.Errorf("exit code %d, want %d", s.Exit, runner.ExitInterrupted)
			}
			if left := driver.Left(); len(left) > 0 {
				t.Errorf("left alive: %v", left)
			}
			for _, m := range driver.Machines() {
				if v := m.Value("sick"); v != 0 {
					t.Errorf("not healed: sick is %g", v)
				}
			}
		})
	}
}

// A machine that is lost makes the trial inconclusive, wherever it happens.
func TestMachineLost(t *testing.T) {
	for _, phase := range []string{"baseline", "inject", "fault", "hold"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			driver := &labtest.Driver{}
			sink := &seen{each: func(e runner.Event) {
				if e.Type == runner.PhaseStarted && e.Phase == phase {
					machines := driver.Machines()
					machines[len(machines)-1].Lose()
				}
			}}
			l := &lab.Lab{Faults: []lab.Fault{fault(labtest.Switch{Value: "sick", To: 1, Takes: "50ms"})}}
			o := run(t, context.Background(), driver, l, t.TempDir(), 1, sink).Outcomes[0]
			if o.Verdict != lab.Inconclusive {
				t.Errorf("got %s (%s)", o.Verdict, o.Because)
			}
			if left := driver.Left(); len(left) > 0 {
				t.Errorf("left alive: %v", left)
			}
		})
	}
}

// A probe that cannot look is never taken for an absent symptom.
func TestCannotLook(t *testing.T) {
	blind := func(m *labtest.Machine) { m.Break("sick", errors.New("nothing to see")) }
	o := run(t, context.Background(), &labtest.Driver{Made: func(m *labtest.Machine) {
		// The first look of an arm must succeed, or the baseline would already say so.
		m.Set("sick", 0)
	}}, &lab.Lab{}, t.TempDir(), 1, &seen{}).Outcomes[0]
	if o.Verdict != lab.NotReproduced {
		t.Fatalf("without a fault: %s", o.Verdict)
	}
	driver := &labtest.Driver{}
	sink := &seen{each: func(e runner.Event) {
		if e.Type == runner.PhaseStarted && e.Phase == "fault" {
			blind(driver.Machines()[0])
		}
	}}
	o = run(t, context.Background(), driver, &lab.Lab{}, t.TempDir(), 1, sink).Outcomes[0]
	if o.Verdict != lab.Inconclusive || !strings.Contains(o.Because, "nothing to see") {
		t.Errorf("blind in the fault phase: %s (%s)", o.Verdict, o.Because)
	}
}

func TestKeepOnFailure(t *testing.T) {
	driver := &labtest.Driver{}
	l := &lab.Lab{Name: "test", Dir: t.TempDir(), Expect: lab.Reproduced, Machines: []lab.Machine{{Name: "m"}},
		Symptoms: []lab.Assertion{reading("symptom", "sick", "over 0")}}
	r := runner.Runner{Driver: driver, Composer: noStacks{}, Sink: &seen{}, Run: "r", Folder: t.TempDir(), Keep: runner.KeepOnFailure}
	s, err := r.All(context.Background(), []*lab.Lab{l}, 3)
	if err != nil {
		t.Fatal(err)
	}
	machines := driver.Machines()
	if id, kept := r.Kept(); !kept || id != "r" || len(machines) != 2 || machines[0].Destroys() != 0 || machines[1].Destroys() != 1 {
		t.Errorf("kept %v as %s, %d machines", kept, id, len(machines))
	}
	if o := s.Outcomes[0]; len(s.Outcomes) != 1 || o.Verdict != lab.NotReproduced {
		t.Errorf("%d outcomes, the first %s (%s)", len(s.Outcomes), o.Verdict, o.Because)
	}
	if err := driver.Machines()[0].Destroy(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Stored evidence gives the verdict that the run gave.
func TestJudgeStoredEvidence(t *testing.T) {
	l := &lab.Lab{Faults: []lab.Fault{fault(labtest.Switch{Value: "sick", To: 1})}}
	o := run(t, context.Background(), &labtest.Driver{}, l, t.TempDir(), 1, &seen{}).Outcomes[0]
	data, err := os.ReadFile(filepath.Join(o.Folder, runner.ObservationsFile))
	if err != nil {
		t.Fatal(err)
	}
	record := &runner.Record{Arms: o.Arms, Observations: map[string]map[string][]lab.Observation{}}
	for line := range strings.Lines(string(data)) {
		var s runner.StoredObservation
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		if record.Observations[s.Arm] == nil {
			record.Observations[s.Arm] = map[string][]lab.Observation{}
		}
		record.Observations[s.Arm][s.Address] = append(record.Observations[s.Arm][s.Address], s.Observation)
	}
	again := runner.Judge(l, record)
	if again.Verdict != o.Verdict || again.Because != o.Because || !slices.Equal(again.Symptoms, o.Symptoms) {
		t.Errorf("judged again: %s (%s) %v\nfirst: %s (%s) %v", again.Verdict, again.Because, again.Symptoms, o.Verdict, o.Because, o.Symptoms)
	}
}

// A trial whose evidence cannot be kept is an error, never a silent success.
func TestNoEvidence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l := &lab.Lab{Name: "test", Expect: lab.Reproduced, Machines: []lab.Machine{{Name: "m"}}, Symptoms: []lab.Assertion{reading("symptom", "sick", "over 0")}}
	r := runner.Runner{Driver: &labtest.Driver{}, Composer: noStacks{}, Sink: &seen{}, Run: "r", Folder: file}
	_, err := r.All(context.Background(), []*lab.Lab{l}, 1)
	var infra *lab.InfraError
	if !errors.As(err, &infra) {
		t.Errorf("got %v", err)
	}
}

func TestSummarise(t *testing.T) {
	v := lab.Variant{{Axis: "a", Value: "x"}}
	outcome := func(verdict lab.Verdict) *runner.Outcome {
		return &runner.Outcome{Variant: v, Verdict: verdict, Expect: lab.Reproduced}
	}
	for _, c := range []struct {
		verdicts []lab.Verdict
		k, n     int
		unsure   int
		exit     int
	}{
		{[]lab.Verdict{lab.Reproduced, lab.Reproduced}, 2, 2, 0, runner.ExitExpected},
		{[]lab.Verdict{lab.Reproduced, lab.Inconclusive}, 1, 1, 1, runner.ExitInconclusive},
		{[]lab.Verdict{lab.NotReproduced, lab.Inconclusive, lab.Reproduced}, 1, 2, 1, runner.ExitUnexpected},
		{[]lab.Verdict{lab.ControlDirty}, 0, 1, 0, runner.ExitUnexpected},
	} {
		var all []*runner.Outcome
		for _, verdict := range c.verdicts {
			all = append(all, outcome(verdict))
		}
		s := runner.Summarise("l", "r", all)
		got := s.Variants[0]
		if got.AsExpected.K != c.k || got.AsExpected.N != c.n || got.Inconclusive != c.unsure || s.Exit != c.exit {
			t.Errorf("%v: %d of %d, %d inconclusive, exit %d", c.verdicts, got.AsExpected.K, got.AsExpected.N, got.Inconclusive, s.Exit)
		}
	}
}

// The figures are those of R's binom.confint(method = "wilson").
func TestRate(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{{10, 10, 0.7225, 1}, {0, 10, 0, 0.2775}, {5, 10, 0.2366, 0.7634}, {0, 0, 0, 1}} {
		r := runner.NewRate(c.k, c.n)
		if diff(r.Low, c.low) > 5e-5 || diff(r.High, c.high) > 5e-5 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", c.k, c.n, r.Low, r.High, c.low, c.high)
		}
	}
}

func diff(a, b float64) float64 { return max(a-b, b-a) }
