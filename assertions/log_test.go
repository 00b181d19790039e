package assertions

import (
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

func TestLog(t *testing.T) {
	w := stale(nil)
	write := func(at time.Time, text string) { w.Write("alice", "proxy", at, text) }
	const bad = "connect() failed (113: No route to host)"
	write(time.Now().Add(-time.Hour), bad)
	l := &Log{Stack: "stack.alice", Service: "proxy", Match: `failed \(113`, Count: "at least 3"}

	var history []lab.Observation
	step := func(n float64, holds bool) {
		t.Helper()
		history = append(history, look(t, l, w))
		if got := history[len(history)-1].Values["lines"]; got != n {
			t.Errorf("look %d: %v new lines, want %v", len(history), got, n)
		}
		if l.Holds(history) != holds {
			t.Errorf("look %d: holds %v", len(history), !holds)
		}
	}
	step(0, false) // what is old does not count
	same := time.Now()
	write(same, bad)
	write(same, bad) // two equal lines of one moment are two
	write(same, "GET / 200")
	step(2, false)
	step(0, false) // none counts again
	write(same.Add(-time.Millisecond), bad+" late")
	if same.Add(-time.Millisecond).Before(l.start) {
		t.Skip("the clock is too coarse for a late line")
	}
	step(1, true) // a line that came late is not lost
	if history[3].Lines[0] != bad+" late" {
		t.Errorf("lines %q", history[3].Lines)
	}
	never := &Log{Match: "x", Count: "exactly 0"}
	if !never.Holds(history[:1]) || never.Holds(history) {
		t.Error("a limit of exactly 0 is not judged over the whole phase")
	}
	cannotLook(t, &Log{Stack: "stack.alice", Service: "db", Match: "x"}, w, `cannot find service "db"`)
}
