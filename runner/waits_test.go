package runner

import (
	"errors"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// waiter has two processors, which have waited for what the test says.
type waiter struct {
	waited []time.Duration
	err    error
}

func (w *waiter) Waited() ([]time.Duration, error) { return w.waited, w.err }

func TestWaitsDuring(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	w := &waits{of: &waiter{err: errors.New("it is gone")}}
	for i, waited := range [][]time.Duration{{0, 0}, {0, 0}, {time.Second, 0}, {time.Second, 2 * time.Second}, {time.Second, 2 * time.Second}} {
		w.notes = append(w.notes, note{at(float64(i)), waited})
	}
	for _, c := range []struct {
		from, took float64
		want       time.Duration
	}{
		{0, 1, 0},               // nobody waited
		{0.5, 0.3, 0},           // between two notes
		{1.2, 0.5, time.Second}, // in the same second as one processor
		{1, 2, 2 * time.Second}, // the one that waited longest
		{1.5, 30, 0},            // less than a tenth of it
		{3, 0.9, 0},             // after it
		{3.5, 100, 0},           // longer than there are notes
		{-5, 5.5, 0},            // before there were any
		{-5, 8.5, 2 * time.Second},
	} {
		o := lab.Observation{At: at(c.from), Took: time.Duration(c.took * float64(time.Second))}
		if got := w.during(o); got != c.want {
			t.Errorf("from %v for %v s it waited %v, not %v", c.from, c.took, got, c.want)
		}
	}
	if got := (*waits)(nil).during(lab.Observation{Took: time.Second}); got != 0 {
		t.Errorf("nobody waited %v", got)
	}
}

func TestWaitsForget(t *testing.T) {
	now := newClock(nil).now
	w := &waits{of: &waiter{waited: []time.Duration{1}}, now: now, notes: []note{{at: now().Add(-3 * waitsKept)}, {at: now().Add(-2 * waitsKept)}}}
	w.note()
	w.note()
	if len(w.notes) != 3 { // one is before what is kept: a look may have begun between it and the next
		t.Errorf("%d notes are kept", len(w.notes))
	}
}
