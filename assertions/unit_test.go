package assertions

import (
	"context"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

const (
	managerRuns   = "Manager=user@1000.service\nLoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=0\n"
	managerKilled = "Manager=user@1000.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\nResult=signal\nNRestarts=0\n"
)

func TestUnit(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    Unit
		says    string // systemctl, by way of the script
		summary string
		holds   bool
	}{
		{"system", Unit{Name: "ssh.service", State: "active", Sub: "running"},
			"LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=3\n", "active (running)", true},
		{"another sub-state", Unit{Name: "ssh.service", State: "active", Sub: "exited"},
			"LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\n", "active (running)", false},
		{"result", Unit{Name: "ssh.service", Result: "oom-kill"},
			"LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=oom-kill\n", "failed (failed, oom-kill)", true},
		{"nobody knows it", Unit{Name: "shh.service", State: "inactive"},
			"LoadState=not-found\nActiveState=inactive\nSubState=dead\n", "not_found", false},
		{"gone, and still running", Unit{Name: "dbus.socket", State: "active", Account: "alice"},
			managerRuns + "\nLoadState=not-found\nActiveState=active\nSubState=running\nResult=success\n", "active (running)", true},
		{"not found", Unit{Name: "dbus.socket", State: "not_found", Account: "alice"},
			managerRuns + "\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n", "not_found", true},
		{"dead manager", Unit{Name: "dbus.socket", State: "no_manager", Account: "alice"},
			managerKilled, "no user manager: user@1000.service is failed (failed, signal)", true},
		{"a dead manager's units are not inactive", Unit{Name: "dbus.socket", State: "inactive", Account: "alice"},
			managerKilled, "no user manager: user@1000.service is failed (failed, signal)", false},
		{"the manager", Unit{State: "failed", Result: "signal", Account: "alice"}, managerKilled, "failed (failed, signal)", true},
	} {
		var asked []string
		w := stale(func(_ context.Context, cmd lab.Command) (lab.Result, error) {
			asked = cmd.Argv
			return lab.Result{Stdout: []byte(c.says)}, nil
		})
		o := look(t, &c.kind, w)
		if o.Summary != c.summary || c.kind.Holds([]lab.Observation{o}) != c.holds {
			t.Errorf("%s: %q %q, holds %v", c.name, o.Summary, o.Lines, !c.holds)
		}
		if got := strings.Join(asked[len(asked)-2:], " "); got != string(c.kind.Account)+" "+c.kind.Name {
			t.Errorf("%s: asked %q", c.name, got)
		}
		if want := truth(strings.Contains(c.says, "Manager=user@1000.service\nLoadState=loaded\nActiveState=active")); c.kind.Account != "" && o.Values["manager"] != want {
			t.Errorf("%s: manager %v", c.name, o.Values["manager"])
		}
	}
	w := stale(func(_ context.Context, cmd lab.Command) (lab.Result, error) {
		if cmd.Argv[len(cmd.Argv)-2] != "alice" {
			t.Errorf("asked %q", cmd.Argv)
		}
		return lab.Result{Code: 1, Stderr: []byte("Failed to connect to bus: Connection refused\n")}, nil
	})
	cannotLook(t, &Unit{Stack: "stack.alice", Name: "dbus.socket", State: "active"}, w, "cannot look at unit dbus.socket: code 1: Failed to connect")
	cannotLook(t, &Unit{Stack: "stack.bob", State: "active"}, w, "cannot find stack.bob")
	cannotLook(t, &Unit{Name: "a.service", State: "active"}, stale(func(context.Context, lab.Command) (lab.Result, error) { return lab.Result{}, nil }), "says nothing of it")
}

func TestUnitCheck(t *testing.T) {
	for _, c := range []struct {
		kind Unit
		want string
	}{
		{Unit{Machine: "machine.m", Name: "ssh.service", State: "active"}, ""},
		{Unit{Stack: "stack.a", State: "failed"}, ""},
		{Unit{Machine: "machine.m", State: "failed"}, "name: no unit is named"},
		{Unit{Machine: "machine.m", Name: "dbus", State: "failed"}, "name: not the name of a unit"},
		{Unit{Machine: "machine.m", Name: "dbus.socket"}, ": nothing is asserted"},
		{Unit{Machine: "machine.m", Name: "dbus.socket", State: "running"}, "state: no such state"},
		{Unit{Machine: "machine.m", Name: "dbus.socket", State: "no_manager"}, "state: no user manager is asked"},
		{Unit{Stack: "stack.a", State: "no_manager"}, "state: no user manager is asked"},
		{Unit{Stack: "stack.a", Name: "dbus.socket", State: "not_found", Sub: "dead"}, "state: such a unit has no sub-state and no result"},
		{Unit{Machine: "machine.m", Stack: "stack.a", Name: "dbus.socket", State: "active"}, ": one place is needed"},
	} {
		wantProblems(t, &c.kind, c.want)
	}
}

// wantProblems compares "attr: summary" of each problem.
func wantProblems(t *testing.T, kind lab.Checker, want string) {
	t.Helper()
	var got []string
	for _, p := range kind.Check() {
		got = append(got, p.Attr+": "+p.Summary)
		if !strings.HasSuffix(p.Detail, ".") {
			t.Errorf("%+v: detail is no full sentence: %q", kind, p.Detail)
		}
	}
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("%+v: got %q, want %q", kind, s, want)
	}
}
