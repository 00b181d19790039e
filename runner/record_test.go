package runner

import (
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

func TestDuring(t *testing.T) {
	start := time.Date(2024, 6, 1, 9, 30, 0, 0, time.UTC)
	at := func(s float64, o lab.Observation) lab.Observation {
		o.At = start.Add(time.Duration(s * float64(time.Second)))
		return o
	}
	p := Phase{Kind: InForce, Start: start, End: start.Add(10 * time.Second)}
	seen, missed := during([]lab.Observation{
		at(-1, lab.Observation{Took: 18 * time.Second}),      // asked for in the phase before
		at(0, lab.Observation{}),                             // the first moment is in
		at(5, lab.Observation{Err: "no container"}),          // could not look
		at(6, lab.Observation{Late: 2 * time.Second}),        // the host was busy
		at(7, lab.Observation{Late: 100 * time.Millisecond}), // a little
		at(9, lab.Observation{Took: 18 * time.Second}),       // asked for in the phase, answered long after it
		at(10, lab.Observation{}),                            // the last moment is not
	}, p)
	if len(seen) != 3 || missed != 2 {
		t.Errorf("%d seen, %d missed", len(seen), missed)
	}
	if why := blindness(nil, p, nil, 0); why == "" {
		t.Error("no look at all, and yet the phase can be judged")
	}
	busy := []lab.Observation{at(1, lab.Observation{Late: time.Minute})}
	if why := blindness(busy, p, nil, 1); why != "1 of 1 looks do not count: the host was too busy, and kept the machine waiting for up to 1m0s" {
		t.Errorf("got %q", why)
	}
}

// A look that the fault, or the next remedy, came in between says nothing of the phase in which it began.
func TestWithin(t *testing.T) {
	start := time.Date(2024, 6, 1, 9, 30, 0, 0, time.UTC)
	p := Phase{Kind: Baseline, Start: start, End: start.Add(10 * time.Second)}
	looks := []lab.Observation{
		{At: start, Took: time.Second}, {At: start.Add(9 * time.Second), Took: time.Second}, {At: start.Add(9900 * time.Millisecond), Took: time.Second},
	}
	if got := within(looks, p); len(got) != 2 {
		t.Errorf("%d looks ended in the phase", len(got))
	}
	p.End = time.Time{}
	if got := within(looks, p); len(got) != 3 {
		t.Errorf("%d looks in a phase that goes on", len(got))
	}
}

// A build that began while the template was wrong, and ended after it was mended, is no sight of the fault.
func TestInForce(t *testing.T) {
	start := time.Date(2024, 6, 1, 9, 30, 0, 0, time.UTC)
	p := Phase{Kind: InForce, Start: start, End: start.Add(10 * time.Second)}
	s := lab.Assertion{Within: "8s", Do: &labtest.Reading{Is: "over 0"}}
	look := func(second int, took time.Duration, value float64) lab.Observation {
		return lab.Observation{At: start.Add(time.Duration(second) * time.Second), Took: took, Values: map[string]float64{"value": value}}
	}
	for _, c := range []struct {
		name string
		seen []lab.Observation
		want int
	}{
		{"seen, and then mended", []lab.Observation{look(1, time.Second, 2), look(7, 5*time.Second, 0)}, 1},
		{"seen in the last look only", []lab.Observation{look(1, time.Second, 0), look(7, 5*time.Second, 2)}, 2},
		{"overdue", []lab.Observation{look(1, time.Second, 0), look(9, time.Second, 2)}, 1},
	} {
		if got := inForce(c.seen, p, s); len(got) != c.want {
			t.Errorf("%s: %d looks count, not %d", c.name, len(got), c.want)
		}
	}
}
