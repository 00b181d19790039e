package runner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

// outcomes makes trials of one variant: k as expected, then wrong ones, then inconclusive ones.
func outcomes(rate lab.Rate, k, wrong, inconclusive int) []*runner.Outcome {
	var all []*runner.Outcome
	for i := range k + wrong + inconclusive {
		o := &runner.Outcome{Verdict: lab.Reproduced, Expect: lab.Reproduced, Rate: rate, Because: "fine"}
		switch {
		case i >= k+wrong:
			o.Verdict, o.Because = lab.Inconclusive, "the machine was lost"
		case i >= k:
			o.Verdict, o.Because = lab.NotReproduced, "never appeared"
		}
		all = append(all, o)
	}
	return all
}

func TestGate(t *testing.T) {
	for _, c := range []struct {
		name                   string
		rate                   lab.Rate
		until                  float64
		k, wrong, inconclusive int
		want                   runner.Decision
		exit                   int
		because                string
	}{
		{"every time", "", 0, 3, 0, 0, runner.Met, runner.ExitExpected, ""},
		{"not every time", "", 0, 30, 1, 0, runner.Missed, runner.ExitUnexpected, "never appeared"},
		{"one could not look", "", 0, 30, 0, 1, runner.Undecided, runner.ExitInconclusive, "the machine was lost"},
		{"nothing", "", 0, 0, 0, 2, runner.Undecided, runner.ExitInconclusive, "the machine was lost"},
		{"34 are too few for 0.9", ">= 0.9", 0, 34, 0, 0, runner.Undecided, runner.ExitInconclusive,
			"reproduced in 34 of 34 trials (95 % interval: 0.90 to 1.00) does not decide whether the rate is >= 0.9: more trials are needed"},
		{"35 are enough for 0.9", ">= 0.9", 0, 35, 0, 0, runner.Met, runner.ExitExpected, "35 of 35"},
		{"some other verdicts", ">= 0.5", 0, 20, 5, 0, runner.Met, runner.ExitExpected, "20 of 25 trials (95 % interval: 0.61 to 0.91), as the rate must be >= 0.5"},
		{"too rarely", ">= 0.9", 0, 20, 15, 0, runner.Missed, runner.ExitUnexpected, "20 of 35 trials"},
		{"within", "0.1 to 0.9", 0, 5, 5, 0, runner.Met, runner.ExitExpected, "5 of 10 trials (95 % interval: 0.24 to 0.76), as the rate must be 0.1 to 0.9"},
		{"never is not within", "0.1 to 0.9", 0, 0, 40, 0, runner.Missed, runner.ExitUnexpected, ""},
		{"always is not within", "0.1 to 0.9", 0, 40, 0, 0, runner.Missed, runner.ExitUnexpected, ", and the rate must be 0.1 to 0.9"},
		{"few are enough to be within", "0.1 to 0.9", 0, 2, 2, 0, runner.Met, runner.ExitExpected, ""},
		{"rarely enough", "<= 0.5", 0, 2, 18, 0, runner.Met, runner.ExitExpected, ""},
		{"not rarely enough", "<= 0.05", 0, 5, 5, 0, runner.Missed, runner.ExitUnexpected, ", and the rate must be <= 0.05"},
		{"some could not look", ">= 0.5", 0, 20, 0, 3, runner.Met, runner.ExitExpected, ""},
		{"too many could not look", ">= 0.5", 0, 12, 0, 4, runner.Undecided, runner.ExitInconclusive, "given up: 4 trials were inconclusive, and 12 were not; the last one: the machine was lost"},
		{"not too many of more", ">= 0.5", 0, 16, 0, 4, runner.Met, runner.ExitExpected, ""},
		{"until the usual verdict", "", 0.95, 4, 0, 0, runner.Met, runner.ExitExpected, ""},
		{"not yet the usual verdict", "", 0.95, 3, 0, 0, runner.Undecided, runner.ExitInconclusive, "does not make it the usual verdict: more trials are needed"},
		{"more confidence", "", 0.99, 6, 0, 0, runner.Undecided, runner.ExitInconclusive, "(99 % interval: 0.47 to 1.00)"},
		{"more trials", "", 0.99, 7, 0, 0, runner.Met, runner.ExitExpected, ""},
		{"another verdict decides", "", 0.95, 1, 1, 0, runner.Missed, runner.ExitUnexpected, "never appeared"},
		{"some could not look, until", "", 0.95, 4, 0, 2, runner.Met, runner.ExitExpected, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := runner.Gate{Until: c.until}.Summarise("l", "r", outcomes(c.rate, c.k, c.wrong, c.inconclusive))
			v := s.Variants[0]
			if v.Decision != c.want || s.Exit != c.exit || v.Exit() != c.exit || !strings.Contains(v.Because, c.because) {
				t.Errorf("%s, exit code %d: %s", v.Decision, s.Exit, v.Because)
			}
			if v.AsExpected.K != c.k || v.AsExpected.N != c.k+c.wrong || v.Inconclusive != c.inconclusive {
				t.Errorf("%+v", v)
			}
		})
	}
}

// Trials end when they decide, and inconclusive ones are made good, as long as there are few of them.
// With Again, a trial that could not look is made good by another one, and a wrong verdict by none.
func TestAgain(t *testing.T) {
	for _, c := range []struct {
		name     string
		again    int
		blind    int // trials that cannot look, the first ones
		wrong    bool
		trials   int
		decision runner.Decision
	}{
		{"nothing to make good", 1, 0, false, 2, runner.Met},
		{"one made good", 1, 1, false, 3, runner.Met},
		{"one of two made good", 1, 2, false, 3, runner.Undecided},
		{"two made good", 2, 2, false, 4, runner.Met},
		{"not asked for", 0, 1, false, 2, runner.Undecided},
		{"a wrong verdict stays", 2, 0, true, 2, runner.Missed},
		{"a wrong verdict after one that could not look", 2, 1, true, 3, runner.Missed},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &flaky{Driver: &labtest.Driver{}, fails: func(n int) bool { return n < c.blind }}
			l := fill(sickLab(), t.TempDir())
			if c.wrong {
				l.Expect = lab.NotReproduced
			}
			r := runner.Runner{Driver: d, Composer: noStacks{}, Sink: &seen{}, Run: "r", Folder: t.TempDir(), Again: c.again}
			sum, err := r.All(t.Context(), []*lab.Lab{l}, 2)
			if err != nil {
				t.Fatal(err)
			}
			v := sum.Variants[0]
			if len(sum.Outcomes) != c.trials || v.Decision != c.decision || sum.Again != c.again {
				t.Errorf("%d trials, %s: %s", len(sum.Outcomes), v.Decision, v.Because)
			}
		})
	}
}

func TestUntil(t *testing.T) {
	for _, c := range []struct {
		name     string
		rate     lab.Rate
		until    float64
		fails    func(trial int) bool // its machine cannot be started
		healthy  bool                 // the fault does nothing
		repeat   int
		trials   int // conclusive
		blind    int
		exit     int
		said     string
		parallel int
	}{
		{"the usual verdict", "", 0.95, nil, false, 50, 4, 0, runner.ExitExpected, "decided: reproduced in 4 of 4 trials (95 % interval: 0.51 to 1.00)", 1},
		{"a rate", ">= 0.7", 0.95, nil, false, 50, 17, 0, runner.ExitExpected, "decided: reproduced in 17 of 17", 1},
		{"a rate, less confidence", ">= 0.7", 0.8, nil, false, 50, 12, 0, runner.ExitExpected, "decided: reproduced in 12 of 12", 1},
		{"another verdict", ">= 0.7", 0.95, nil, true, 50, 4, 0, runner.ExitUnexpected, "decided: reproduced in 0 of 4", 1},
		{"outside on the low side", "0.4 to 0.9", 0.95, nil, true, 50, 11, 0, runner.ExitUnexpected, "decided: reproduced in 0 of 11", 1},
		{"as needed", "", 0, nil, false, runner.AsNeeded, 1, 0, runner.ExitExpected, "", 1},
		{"as a rate needs", ">= 0.7", 0, nil, false, runner.AsNeeded, 17, 0, runner.ExitExpected, "decided: reproduced in 17 of 17 trials (95 % interval: 0.82 to 1.00)", 1},
		{"as a rate needs, not all started", ">= 0.5", 0, func(n int) bool { return n < 2 }, false, runner.AsNeeded, 8, 2, runner.ExitExpected, "decided", 1},
		{"too few allowed", ">= 0.7", 0.95, nil, false, 5, 5, 0, runner.ExitInconclusive, "", 1},
		{"two could not be started", "", 0.95, func(n int) bool { return n < 2 }, false, 4, 4, 2, runner.ExitExpected, "", 1},
		{"none can be started", "", 0.95, func(int) bool { return true }, false, 50, 0, 4, runner.ExitInconclusive, "given up: 4 trials were inconclusive, and 0 were not", 1},
		{"none can be started, as often as was asked for", "", 0, func(int) bool { return true }, false, 50, 0, 4, runner.ExitInconclusive, "given up", 1},
		{"side by side", "", 0.95, nil, false, 50, 4, 0, runner.ExitExpected, "decided", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := &flaky{Driver: &labtest.Driver{}, fails: c.fails}
			said := &seen{}
			l := fill(sickLab(), t.TempDir())
			l.Rate = c.rate
			if c.healthy {
				l.Faults = nil
				l.Symptoms[0].Within = "100ms"
			}
			r := runner.Runner{Driver: d, Composer: noStacks{}, Sink: said, Run: "r", Folder: t.TempDir(), Until: c.until, Parallel: c.parallel}
			s, err := r.All(context.Background(), []*lab.Lab{l}, c.repeat)
			if err != nil {
				t.Fatal(err)
			}
			v := s.Variants[0]
			if most := c.trials + c.parallel - 1; v.AsExpected.N < c.trials || v.AsExpected.N > most || v.Inconclusive != c.blind || s.Exit != c.exit || s.Until != c.until {
				t.Errorf("%d trials, want %d; %d inconclusive, want %d; exit code %d, want %d", v.AsExpected.N, c.trials, v.Inconclusive, c.blind, s.Exit, c.exit)
				for _, o := range s.Outcomes {
					t.Logf("trial %d: %s (%s)", o.Trial, o.Verdict, o.Because)
				}
			}
			if told := slices.ContainsFunc(said.all, func(e runner.Event) bool { return e.Arm == "" && strings.HasPrefix(e.Text, c.said) }); c.said != "" && !told {
				t.Errorf("nobody was told %q", c.said)
			}
			if left := d.Left(); len(left) > 0 {
				t.Errorf("left alive: %q", left)
			}
		})
	}
}

// flaky is a driver of which some starts fail.
type flaky struct {
	*labtest.Driver
	fails  func(start int) bool
	mu     sync.Mutex
	starts int
}

func (d *flaky) Start(ctx context.Context, run lab.RunID, l *lab.Lab, m lab.Machine) (lab.Running, error) {
	d.mu.Lock()
	n := d.starts
	d.starts++
	d.mu.Unlock()
	if d.fails != nil && d.fails(n) {
		return nil, errors.New("no room")
	}
	return d.Driver.Start(ctx, run, l, m)
}

// A seed gives an order of its own, the same each time; results are in the order as declared all the same.
func TestSeed(t *testing.T) {
	order := func(seed uint64) (started []string) {
		said := &seen{}
		r := runner.Runner{Driver: &labtest.Driver{}, Composer: noStacks{}, Sink: said, Run: "r", Folder: t.TempDir(), Seed: seed}
		s, err := r.All(context.Background(), variants(t, "x", "y", "z"), 3)
		if err != nil || s.Seed != seed || said.all[0].Seed != seed {
			t.Fatalf("%v, seed %d", err, s.Seed)
		}
		for i, o := range s.Outcomes {
			if o.Trial != i%3+1 || o.Variant[0].Value != string("xyz"[i/3]) {
				t.Errorf("outcome %d is trial %d of %s", i, o.Trial, o.Variant)
			}
		}
		next := map[string]int{}
		for _, e := range said.all {
			if e.Type == runner.TrialStarted {
				started = append(started, e.Variant)
				if next[e.Variant]++; next[e.Variant] != e.Trial {
					t.Errorf("trial %d of %s comes before %d", e.Trial, e.Variant, next[e.Variant])
				}
			}
		}
		return started
	}
	declared, one, again, two := order(0), order(7), order(7), order(8)
	if !slices.IsSorted(declared) || len(declared) != 9 {
		t.Errorf("as declared: %v", declared)
	}
	if !slices.Equal(one, again) || slices.Equal(one, declared) || slices.Equal(one, two) {
		t.Errorf("seed 7: %v, again %v, seed 8: %v", one, again, two)
	}
}

func TestTimes(t *testing.T) {
	var hundred []time.Duration
	for i := 100; i > 0; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	for _, c := range []struct {
		all  []time.Duration
		want runner.Times
	}{
		{[]time.Duration{5}, runner.Times{N: 1, Min: 5, Median: 5, P95: 5, Max: 5}},
		{[]time.Duration{9, 1}, runner.Times{N: 2, Min: 1, Median: 5, P95: 9, Max: 9}},
		{[]time.Duration{3, 1, 2}, runner.Times{N: 3, Min: 1, Median: 2, P95: 3, Max: 3}},
		{hundred, runner.Times{N: 100, Min: 1, Median: 50, P95: 95, Max: 100}},
	} {
		if got := runner.NewTimes(c.all); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.all, got, c.want)
		}
	}
	all := outcomes("", 2, 0, 0)
	for i, o := range all {
		o.Symptoms = []runner.SymptomResult{{Address: "symptom.a.b", Appeared: true, After: time.Duration(i+1) * time.Second}}
	}
	v := runner.Summarise("l", "r", all).Variants[0]
	if got := v.Times["symptom.a.b"]; got.Median != 1500*time.Millisecond || got.N != 2 {
		t.Errorf("%+v", got)
	}
}
