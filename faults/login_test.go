package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// logind answers as a Debian machine with logind would: units that hold a login of bob, and what becomes of him when they end.
type logind struct {
	mu       sync.Mutex
	units    map[string]int // what holds a login: its leader
	sessions map[int]string // by leader: state
	lingers  bool
	stays    bool // processes of a closed session run on
	folder   bool // /run/user/1001
	forget   int  // looks until logind removes it
	deaf     bool // leaders ignore SIGHUP
	next     int
	asBob    int // commands run as bob

	said string // what a typed script prints
	code int
	dies bool // the login ends before its script
}

func newLogind() *logind {
	l := &logind{units: map[string]int{}, sessions: map[int]string{}, next: 70}
	l.open("saigen-login-bob.service")
	return l
}

func (l *logind) open(unit string) int {
	l.next++
	l.units[unit], l.sessions[l.next], l.folder, l.forget = l.next, "online", true, 3
	return l.next
}

func (l *logind) close(leader int) {
	for unit, pid := range l.units {
		if pid == leader {
			delete(l.units, unit)
		}
	}
	if l.stays {
		l.sessions[leader] = "closing"
	} else {
		delete(l.sessions, leader)
	}
}

func (l *logind) run(put func(lab.File)) labtest.Handler {
	return func(_ context.Context, cmd lab.Command) (lab.Result, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		a := cmd.Argv
		line := strings.Join(a, " ")
		has := func(part string) bool { return strings.Contains(line, part) }
		say := func(format string, args ...any) (lab.Result, error) {
			return lab.Result{Stdout: fmt.Appendf(nil, format+"\n", args...)}, nil
		}
		code := func(ok bool) (lab.Result, error) { return lab.Result{Code: map[bool]int{true: 0, false: 1}[ok]}, nil }
		unit := a[len(a)-1]
		switch {
		case cmd.Account == "bob":
			l.asBob++
			return ok, nil
		case has("id -u"):
			return say("1001")
		case has("test -e /var/lib/systemd/linger"):
			return code(l.lingers)
		case has("test -d"):
			if len(l.sessions) == 0 && !l.lingers {
				if l.forget--; l.forget < 0 {
					l.folder = false
				}
			}
			return code(l.folder)
		case has("-p LoadState"):
			if l.units[unit] != 0 {
				return say("loaded")
			}
			return say("not-found")
		case has("-p ActiveState"):
			return say("%s", map[bool]string{true: "active", false: "inactive"}[l.units[unit] != 0 && !l.dies])
		case a[0] == "cat": // no such file
			return code(false)
		case has("-p MainPID"):
			return say("%d", l.units[unit])
		case has("systemctl stop"):
			l.close(l.units[unit])
			return ok, nil
		case has("reset-failed"):
			return code(false)
		case a[0] == "systemd-run":
			name := a[4]
			l.open(name)
			for i, w := range a {
				if said, typed := strings.CutPrefix(w, "StandardOutput=append:"); typed {
					put(lab.File{Path: said, Data: fmt.Appendf(nil, "%s%s%d\n", l.said, typedCode, l.code)})
					if l.dies {
						put(lab.File{Path: said, Data: []byte(l.said)})
					}
					if a[i+5] != "-c" || a[i+6] != typeScript {
						return lab.Result{}, fmt.Errorf("typed by %q", a)
					}
				}
			}
			return ok, nil
		case has("loginctl show-user"):
			out := ""
			for leader, state := range l.sessions {
				out += fmt.Sprintf("Id=%d\nLeader=%d\nClass=user\nState=%s\nScope=session-%d.scope\n\n", leader-70, leader, state, leader-70)
			}
			// From systemd 256 on the user manager has a session as well, which nobody can log out of.
			return say("%sId=m\nLeader=9\nClass=manager\nState=online\nScope=\n", out)
		case has("cgroup.procs"):
			return say("conmon\nrootlessport")
		case a[0] == "kill":
			for leader := range l.sessions {
				if !l.deaf && fmt.Sprint(leader) == unit {
					l.close(leader)
				}
			}
			return ok, nil
		}
		return lab.Result{}, fmt.Errorf("the test's machine does not know %q", line)
	}
}

// loginWorld starts bob's machine.
func loginWorld(t *testing.T, l *logind) (*labtest.Env, *labtest.Machine) {
	t.Helper()
	var m *labtest.Machine
	on := &lab.Lab{Machines: []lab.Machine{{Name: "server", Accounts: []lab.Account{{Name: "bob", Session: lab.SessionSu, LoggedIn: true}}}}}
	d := &labtest.Driver{Handler: func(ctx context.Context, cmd lab.Command) (lab.Result, error) {
		return l.run(func(f lab.File) { _ = m.Put(ctx, f) })(ctx, cmd)
	}}
	if err := d.Prepare(t.Context(), on, func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Start(t.Context(), "run", on, on.Machines[0]); err != nil {
		t.Fatal(err)
	}
	m = d.Machines()[0]
	return &labtest.Env{Machines: []lab.Running{m}}, m
}

func TestLogin(t *testing.T) {
	l := newLogind()
	env, m := loginWorld(t, l)
	f := &Login{Machine: "machine.server", Account: "bob", Timeout: "2m"}
	wantError(t, f.Verify(t.Context(), env), "cannot read what the fault did")
	l.close(71)
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	if ran(m, "PAMName=login") != 1 || len(l.units) != 1 {
		t.Errorf("units %v", l.units)
	}
	for range 2 {
		if err := f.Heal(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.units) != 0 || len(l.sessions) != 0 {
		t.Errorf("left: %v, %v", l.units, l.sessions)
	}
	wantError(t, f.Verify(t.Context(), env), "session 2 of bob is not open")
}

func TestLoginTypes(t *testing.T) {
	l := newLogind()
	l.said = "exit code: 125\nError: rootlessport listen tcp 0.0.0.0:3001: bind: address already in use\n"
	env, m := loginWorld(t, l)
	env.Files = map[lab.Path][]byte{"typed/deploy it.sh": []byte("#!/bin/sh\npodman-compose up -d\n")}
	f := &Login{Machine: "machine.server", Account: "bob", Run: "typed/deploy it.sh", Timeout: "1s"}
	for range 2 { // the second time in a login of its own
		if err := f.Inject(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		if err := f.Verify(t.Context(), env); err != nil {
			t.Error(err)
		}
	}
	if l.units["saigen-login-bob.deploy_it.service"] != 73 || l.units["saigen-login-bob.service"] != 71 {
		t.Errorf("units %v", l.units)
	}
	if script, _ := m.File(folder + "/login-bob.deploy_it"); script.Mode != 0o755 {
		t.Errorf("the script was put as %+v", script)
	}
	if said := strings.Join(env.Said(), "\n"); !strings.Contains(said, "bob types typed/deploy it.sh: code 0, Error: rootlessport listen") {
		t.Errorf("said:\n%s", said)
	}
	l.code = 3
	wantError(t, f.Inject(t.Context(), env), "ended with code 3:\nexit code: 125")
	l.dies = true
	wantError(t, f.Inject(t.Context(), env), "the login of bob ended before the script did")
	if err := f.Heal(t.Context(), env); err != nil || l.units["saigen-login-bob.service"] != 71 {
		t.Errorf("%v, units %v", err, l.units)
	}
}

func TestLogout(t *testing.T) {
	for _, c := range []struct {
		name           string
		lingers, stays bool
		said           string
		folder         bool
	}{
		{"forgotten", false, false, "logind has stopped the user manager of bob and removed /run/user/1001", false},
		{"lingers", true, false, "bob lingers: its user manager and /run/user/1001 stay", true},
		{"closing", false, true, "session 1 is closing only, for processes of it run on (conmon, rootlessport)", true},
	} {
		synced(t, c.name, func(t *testing.T) {
			l := newLogind()
			l.lingers, l.stays = c.lingers, c.stays
			env, m := loginWorld(t, l)
			f := &Logout{Machine: "machine.server", Account: "bob"}
			wantError(t, f.Verify(t.Context(), env), "cannot read what the fault did")
			if err := f.Heal(t.Context(), env); err != nil {
				t.Errorf("nothing was done, and healing it says %v", err)
			}
			if err := f.Inject(t.Context(), env); err != nil {
				t.Fatal(err)
			}
			if err := f.Verify(t.Context(), env); err != nil {
				t.Error(err)
			}
			if said := strings.Join(env.Said(), "\n"); !strings.Contains(said, c.said) || l.folder != c.folder {
				t.Errorf("/run/user/1001 is there: %v; said:\n%s", l.folder, said)
			}
			if ran(m, "kill -s HUP 71") != 1 || l.asBob != 0 {
				t.Errorf("%d commands as bob", l.asBob)
			}
			for range 2 {
				if err := f.Heal(t.Context(), env); err != nil {
					t.Fatal(err)
				}
			}
			if l.units["saigen-login-bob.service"] != 72 || l.asBob != 2 {
				t.Errorf("after healing: %v, %d commands as bob", l.units, l.asBob)
			}
		})
	}
}

// A login that is the account's own session is opened again by a command; nobody had a terminal besides.
func TestLogoutOfTheOwnSession(t *testing.T) {
	l := newLogind()
	l.close(71)
	l.open("saigen-login-bob-x1y2.service")
	env, m := loginWorld(t, l)
	f := &Logout{Machine: "machine.server", Account: "bob"}
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if err := f.Heal(t.Context(), env); err != nil || l.asBob != 1 || ran(m, "systemd-run") != 0 {
		t.Errorf("%v, %d commands as bob, units %v", err, l.asBob, l.units)
	}
	wantError(t, f.Inject(t.Context(), env), "cannot log bob out: it is not logged in")
}

func TestLogoutThatIsIgnored(t *testing.T) {
	l := newLogind()
	l.deaf = true
	env, _ := loginWorld(t, l)
	f := &Logout{Machine: "machine.server", Account: "bob"}
	ctx, cancel := context.WithTimeout(t.Context(), 2*poll)
	defer cancel()
	if err := f.Inject(ctx, env); err == nil {
		t.Error("logged out somebody who stayed")
	}
	wantError(t, f.Verify(t.Context(), env), "session 1 of bob is open")
	if err := f.Heal(t.Context(), env); err != nil || l.units["saigen-login-bob.service"] != 71 {
		t.Errorf("%v, units %v", err, l.units)
	}
}

// synced runs a test in which time costs nothing.
func synced(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestSettled(t *testing.T) {
	var s settled
	start := time.Now()
	for _, c := range []struct {
		what  string
		after time.Duration
		want  bool
	}{{"a", 0, false}, {"a", 2 * time.Second, true}, {"b", 3 * time.Second, false}, {"b", 4 * time.Second, false}, {"b", 5 * time.Second, true}} {
		if got := s.with(c.what, start.Add(c.after)); got != c.want {
			t.Errorf("%s after %s: %v", c.what, c.after, got)
		}
	}
}
