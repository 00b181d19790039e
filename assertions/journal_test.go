package assertions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// diary is a journal: what it has, and what it was asked for.
type diary struct {
	entries []string
	at      []time.Time
	cut     int // so many of the oldest were deleted
	asked   []string
}

func (d *diary) write(at time.Time, message any) {
	text, _ := json.Marshal(message)
	d.at = append(d.at, at)
	d.entries = append(d.entries, fmt.Sprintf(`{"__CURSOR":"s=1;i=%d","__REALTIME_TIMESTAMP":"%d","MESSAGE":%s}`, len(d.entries), at.UnixMicro(), text))
}

func (d *diary) run(_ context.Context, cmd lab.Command) (lab.Result, error) {
	d.asked = cmd.Argv[len(cmd.Argv)-3:]
	var since float64
	if _, err := fmt.Sscan(d.asked[0], &since); err != nil {
		return lab.Result{}, err
	}
	out := ""
	for i := d.cut; i < len(d.entries); i++ {
		if float64(d.at[i].UnixMicro())/1e6 >= since-1e-6 {
			out += d.entries[i] + "\n"
		}
	}
	return lab.Result{Stdout: []byte(out)}, nil
}

func TestJournal(t *testing.T) {
	d := &diary{}
	w := stale(d.run)
	const bad = "Failed to connect to bus: No such file or directory"
	d.write(time.Now().Add(-time.Hour), bad)
	j := &Journal{Stack: "stack.alice", Unit: "dbus.socket", Match: "connect to bus", Count: "at least 4"}
	var history []lab.Observation
	step := func(n float64, holds bool) {
		t.Helper()
		history = append(history, look(t, j, w))
		if got := history[len(history)-1].Values["lines"]; got != n {
			t.Errorf("look %d: %v new lines, want %v", len(history), got, n)
		}
		if j.Holds(history) != holds {
			t.Errorf("look %d: holds %v", len(history), !holds)
		}
	}
	step(0, false) // what is old does not count
	same := time.Now()
	d.write(same, bad)
	d.write(same, bad) // two equal lines of one moment are two
	d.write(same, "Started.")
	d.write(same, nil)
	step(2, false)
	step(0, false) // none counts again
	d.write(same.Add(time.Millisecond), []int{'c', 'o', 'n', 'n', 'e', 'c', 't', ' ', 't', 'o', ' ', 'b', 'u', 's', 0xff})
	d.write(same.Add(time.Millisecond), []string{"first", "connect to bus"})
	step(2, true)
	if lines := strings.Join(history[3].Lines, "|"); lines != "connect to bus\xff|first\nconnect to bus" {
		t.Errorf("lines %q", lines)
	}
	if got := strings.Join(d.asked[1:], " "); got != "alice dbus.socket" {
		t.Errorf("asked for %q", got)
	}
	if got := j.Measure(history)["lines"]; got != 4 {
		t.Errorf("%v lines in all", got)
	}
	never := &Journal{Match: "x", Count: "exactly 0"}
	if !never.Holds(history[:1]) || never.Holds(history) {
		t.Error("a limit of exactly 0 is not judged over the whole phase")
	}
}

// What was deleted before it was read is not taken for nothing.
func TestJournalDeleted(t *testing.T) {
	d := &diary{}
	w := stale(d.run)
	j := &Journal{Machine: "machine.server", Match: "x", Count: "at least 1"}
	look(t, j, w)
	d.write(time.Now(), "a")
	d.write(time.Now(), "b")
	look(t, j, w)
	d.cut = 2
	d.write(time.Now(), "x")
	cannotLook(t, j, w, "entries were deleted")
	look(t, j, w) // from here on it is whole again
}

func TestJournalCannotLook(t *testing.T) {
	w := stale(func(context.Context, lab.Command) (lab.Result, error) {
		return lab.Result{Code: 1, Stderr: []byte("id: ‘carol’: no such user\n")}, nil
	})
	cannotLook(t, &Journal{Machine: "machine.server", Account: "carol", Match: "x"}, w, "no such user")
	cannotLook(t, &Journal{Stack: "stack.bob", Match: "x"}, w, "cannot find stack.bob")
	for _, bad := range []string{"nothing\n", `{"__CURSOR":"s=1"}` + "\n"} {
		w := stale(func(context.Context, lab.Command) (lab.Result, error) { return lab.Result{Stdout: []byte(bad)}, nil })
		cannotLook(t, &Journal{Machine: "machine.server", Match: "x"}, w, "cannot read the journal")
	}
}

func TestJournalCheck(t *testing.T) {
	for _, c := range []struct {
		kind Journal
		want string
	}{
		{Journal{Machine: "machine.m", Match: "x", Count: "exactly 0"}, ""},
		{Journal{Stack: "stack.a", Unit: "dbus.service", Match: "x", Count: "at least 1"}, ""},
		{Journal{Stack: "stack.a", Count: "at least 1"}, "match: nothing to look for"},
		{Journal{Stack: "stack.a", Unit: "dbus", Match: "x", Count: "at least 1"}, "unit: not the name of a unit"},
		{Journal{Match: "x", Count: "at least 1"}, ": one place is needed"},
		{Journal{Machine: "machine.m", Match: "x", Count: "at least 0"}, "count: every number is in the limit"},
	} {
		wantProblems(t, &c.kind, c.want)
	}
}
