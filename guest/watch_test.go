package guest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// TestObserveTiming runs in a bubble whose clock moves only when everything waits, so the times are exact.
func TestObserveTiming(t *testing.T) {
	const second = time.Second
	for _, test := range []struct {
		name    string
		takes   []time.Duration // of each look
		begins  []time.Duration // after the start
		late    []time.Duration
		timeout time.Duration
	}{
		{"steady", []time.Duration{0, second / 2, 0, 0}, []time.Duration{0, second, 2 * second, 3 * second}, make([]time.Duration, 4), 0},
		{"a long look moves the plan", []time.Duration{0, 5 * second / 2, 0, 0}, []time.Duration{0, second, 7 * second / 2, 9 * second / 2}, make([]time.Duration, 4), 0},
		{"a timeout ends a look", []time.Duration{0, time.Hour, 0}, []time.Duration{0, second, 4 * second}, make([]time.Duration, 3), 3 * second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				n := 0
				look := func(ctx context.Context) (lab.Observation, error) {
					select {
					case <-time.After(test.takes[n]):
						return lab.Observation{}, nil
					case <-ctx.Done():
						return lab.Observation{}, ctx.Err()
					}
				}
				err := observe(ctx, lab.Probe{Every: second, Timeout: test.timeout}, new(atomic.Int64), newPacer(idle), look, func(o lab.Observation) error {
					if got := o.At.Sub(start); got != test.begins[n] || o.Late != test.late[n] {
						t.Errorf("look %d began after %v, %v late; want %v, %v late", n, got, o.Late, test.begins[n], test.late[n])
					}
					want := test.takes[n]
					if test.timeout > 0 && want > test.timeout {
						want = test.timeout
						if !strings.Contains(o.Err, "no answer in 3s") {
							t.Errorf("look %d: got error %q", n, o.Err)
						}
					} else if o.Err != "" {
						t.Errorf("look %d: got error %q", n, o.Err)
					}
					if o.Took != want {
						t.Errorf("look %d took %v, want %v", n, o.Took, want)
					}
					if n++; n == len(test.takes) {
						cancel()
					}
					return nil
				})
				if err != nil || n != len(test.takes) {
					t.Errorf("%d looks, %v", n, err)
				}
			})
		})
	}
}

// TestObserveResumed: a look that a restore cut in two is not told, and the next is not late.
func TestObserveResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start, looks := time.Now(), 0
		var resumed atomic.Int64
		look := func(context.Context) (lab.Observation, error) {
			if looks++; looks == 2 {
				<-time.After(time.Hour)
				resumed.Add(1)
			}
			return lab.Observation{}, nil
		}
		var seen []time.Duration
		err := observe(ctx, lab.Probe{Every: time.Second}, &resumed, newPacer(idle), look, func(o lab.Observation) error {
			if o.Late != 0 || o.Took != 0 {
				t.Errorf("got %+v", o)
			}
			if seen = append(seen, o.At.Sub(start)); len(seen) == 3 {
				cancel()
			}
			return nil
		})
		want := []time.Duration{0, time.Hour + time.Second, time.Hour + 2*time.Second}
		if err != nil || !slices.Equal(seen, want) {
			t.Errorf("looks at %v, %v; want %v", seen, err, want)
		}
	})
}

func probe(kind, settings string) lab.Probe {
	var raw json.RawMessage
	if settings != "" {
		raw = json.RawMessage(settings)
	}
	return lab.Probe{
		Address: "symptom." + kind + ".x", Kind: kind, Settings: raw, Every: 5 * time.Millisecond, Timeout: 20 * time.Millisecond,
		Stacks: []lab.Stack{{Name: "web", Account: "alice"}},
	}
}

func watch(t *testing.T, c *Client, p lab.Probe, n int) ([]lab.Observation, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out []lab.Observation
	err := c.Watch(ctx, p, func(o lab.Observation) {
		if out = append(out, o); len(out) == n {
			cancel()
		}
	})
	return out, err
}

func TestWatch(t *testing.T) {
	c := pair(t)
	for _, test := range []struct{ settings, summary, err string }{
		{``, "default", ""},
		{`{"answer":"set"}`, "set", ""},
		{`{"fail":true}`, "", "as told"},
		{`{"panic":true}`, "", "the assertion panicked: as told"},
		{`{"hang":true}`, "", "no answer in 20ms"},
		{`{"big":true}`, "", "larger than 1 MiB"},
	} {
		got, err := watch(t, c, probe("fake", test.settings), 3)
		if err != nil || len(got) != 3 {
			t.Errorf("%s: got %d observations, %v", test.settings, len(got), err)
			continue
		}
		for i, o := range got {
			if o.Summary != test.summary || !strings.Contains(o.Err, test.err) || (o.Err == "") != (test.err == "") {
				t.Errorf("%s: got %+v", test.settings, o)
			}
			if test.err == "" && (len(o.Lines) != 1 || o.Lines[0] != "alice") {
				t.Errorf("%s: the stack is not there: %+v", test.settings, o)
			}
			if i > 0 && !o.At.After(got[i-1].At) {
				t.Errorf("%s: look %d began at %v, after %v", test.settings, i, o.At, got[i-1].At)
			}
		}
	}
}

func TestWatchRefused(t *testing.T) {
	c := pair(t)
	never := probe("fake", "")
	never.Every = 0
	for _, test := range []struct {
		p    lab.Probe
		want string
	}{
		{probe("nonesuch", ""), `knows no assertion of kind "nonesuch"`},
		{probe("fake", `{"answr":"x"}`), `unknown field "answr"`},
		{probe("fake", `{`), "cannot write the request"},
		{probe("fake", `[]`), "cannot read the settings of a fake"},
		{never, "look every 0s"},
	} {
		got, err := watch(t, c, test.p, 1)
		if err == nil || len(got) != 0 || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, %v, want %q", got, err, test.want)
		}
	}
}

func TestWatchLost(t *testing.T) {
	c := pair(t)
	err := c.Watch(t.Context(), probe("fake", ""), func(lab.Observation) { _ = c.Close() })
	var infra *lab.InfraError
	if !errors.As(err, &infra) {
		t.Errorf("got %v, want an error of the infrastructure", err)
	}
}

func TestPlaceRuns(t *testing.T) {
	c := pair(t)
	p := probe("place", `{"call":"run","argv":["sh","-c","echo here; exit 6"]}`)
	p.Timeout = 10 * time.Second
	got, err := watch(t, c, p, 1)
	if err != nil || got[0].Err != "" {
		t.Fatal(err, got)
	}
	var r lab.Result
	if err := json.Unmarshal([]byte(got[0].Summary), &r); err != nil || r.Code != 6 || string(r.Stdout) != "here\n" {
		t.Errorf("got %+v, %v", r, err)
	}
}

// idle is a process that needs no processor.
func idle() time.Duration { return 0 }

// TestLooksThatCostMuch: three probes that want to look at once, all the time, each look costing 60 ms of the processor.
func TestLooksThatCostMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used atomic.Int64
		pace := newPacer(func() time.Duration { return time.Duration(used.Load()) })
		var looks atomic.Int64
		look := func(context.Context) (lab.Observation, error) {
			looks.Add(1)
			<-time.After(60 * time.Millisecond)
			used.Add(int64(60 * time.Millisecond))
			return lab.Observation{}, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var late atomic.Int64
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				_ = observe(ctx, lab.Probe{Every: time.Millisecond}, new(atomic.Int64), pace, look, func(o lab.Observation) error {
					late.Store(max(late.Load(), int64(o.Late)))
					return nil
				})
			})
		}
		all.Wait()
		// A quarter of a minute's processor time, and what was spent before the cost was known.
		if got := time.Duration(used.Load()); got < 14*time.Second || got > 20*time.Second {
			t.Errorf("%d looks used %v of a minute", looks.Load(), got)
		}
		if late := time.Duration(late.Load()); late > beat {
			t.Errorf("a look that was held back is late by %v", late)
		}
	})
}

// Somebody sets the machine's clock: what the two clocks say is read apart, and a look keeps the time that it would have had.
func TestSteady(t *testing.T) {
	start := time.Now()
	clock := since(start)
	for _, by := range []time.Duration{0, time.Hour, -time.Hour, 300 * time.Microsecond} {
		at, stepped := clock.readAs(start.Round(0).Add(2*time.Second+by), 2*time.Second)
		want := by
		if by.Abs() < time.Millisecond {
			want = 0
		}
		if !at.Equal(start.Add(2*time.Second).Round(0)) || stepped != want {
			t.Errorf("set by %v: %v, stepped %v", by, at.Sub(start), stepped)
		}
	}
	if at, stepped := clock.read(start.Add(time.Second)); at.Sub(start) != time.Second || stepped != 0 {
		t.Errorf("a second later it is %v later, stepped %v", at.Sub(start), stepped)
	}
}
