package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// seat answers what session_break asks a machine, as systemd and logind would for the account alice.
type seat struct {
	mu sync.Mutex
	seatState
}

type seatState struct {
	terminal   bool
	manager    string
	folder     bool
	bus        bool
	lingers    bool
	noTime     bool // a drop-in keeps the manager from starting
	masked     bool
	hasPackage bool // with dbus.socket
	reopens    bool // a command as the account logs it in
	logins     int
}

func newSeat() *seat {
	return &seat{seatState: seatState{terminal: true, manager: "active", folder: true, bus: true, hasPackage: true, logins: 1}}
}

func (s *seat) logIn() {
	s.logins++
	if s.manager != "active" {
		s.folder = true
		s.manager = "failed"
		if !s.noTime {
			s.manager, s.bus = "active", s.hasPackage && !s.masked
		}
	}
}

func (s *seat) logOut() {
	s.terminal = false
	if !s.lingers {
		s.manager, s.folder, s.bus = "inactive", false, false
	}
}

func (s *seat) run(_ context.Context, cmd lab.Command) (lab.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := strings.Join(cmd.Argv, " ")
	has := func(part string) bool { return strings.Contains(line, part) }
	say := func(format string, args ...any) (lab.Result, error) {
		return lab.Result{Stdout: fmt.Appendf(nil, format+"\n", args...)}, nil
	}
	code := func(ok bool) (lab.Result, error) {
		return lab.Result{Code: map[bool]int{true: 0, false: 1}[ok]}, nil
	}
	switch {
	case has("id -u alice"):
		return say("1000")
	case has("test -e /var/lib/systemd/linger"):
		return code(s.lingers)
	case has("test -e " + busSocket):
		return code(s.hasPackage)
	case has(lookAtSession):
		return say("%s%s%s", s.manager, map[bool]string{true: "\nfolder"}[s.folder], map[bool]string{true: "\nbus"}[s.bus])
	case has("-p ActiveState --value saigen-login-alice"):
		return say("%s", map[bool]string{true: "active", false: "inactive"}[s.terminal])
	case has("-p LoadState --value saigen-login-alice"):
		return say("%s", map[bool]string{true: "loaded", false: "not-found"}[s.terminal])
	case has("systemctl stop saigen-login-alice"):
		s.logOut()
	case has("reset-failed"):
	case has("disable-linger"):
		s.lingers = false
	case has("enable-linger"):
		s.lingers, s.folder = true, true
	case has("terminate-user"):
		s.logOut()
	case has("PAMName=login"):
		s.terminal = true
		s.logIn()
	case has("-p MainPID"):
		return say("%d", 100+s.logins)
	case has("loginctl show-session"):
		if s.terminal {
			return say("Id=%d\nLeader=%d\nClass=user\nState=active\nScope=session-%d.scope\n", s.logins, 100+s.logins, s.logins)
		}
	case has("systemctl kill -s KILL user@1000"):
		s.manager = "failed"
	case has("systemctl start user@1000"):
		if s.noTime {
			return code(false)
		}
		if s.manager != "active" {
			s.manager, s.bus = "active", s.hasPackage && !s.masked
		}
	case has("systemctl daemon-reload") && has("rm "):
		s.noTime = false
	case has("systemctl daemon-reload"):
		s.noTime = true
	case has("start dbus.socket"):
		s.bus = s.bus || s.hasPackage && !s.masked
	case has(maskBus):
		s.masked = true
	case has(unmaskBus):
		s.masked = false
	case cmd.Account == "alice" && line == "true":
		if s.reopens {
			s.logIn()
		}
	case has("cat " + folder):
		return code(false)
	default:
		return lab.Result{}, fmt.Errorf("the test's machine does not know %q", line)
	}
	return lab.Result{}, nil
}

func TestSessionBreak(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault SessionBreak
		begin func(*seat)
		state string
	}{
		{"bus", SessionBreak{What: BreakBus, By: ByFailedStart}, nil, "its user manager is active, with runtime folder and no bus"},
		{"bus without the package", SessionBreak{What: BreakBus, By: ByFailedStart}, func(s *seat) { s.hasPackage = false }, "its user manager is active, with runtime folder and no bus"},
		{"manager", SessionBreak{What: BreakManager, By: ByFailedStart}, nil, "its user manager is failed, with runtime folder and no bus"},
		{"manager of who lingers", SessionBreak{What: BreakManager, By: ByFailedStart}, func(s *seat) { s.lingers, s.terminal = true, false }, "its user manager is failed, with runtime folder and no bus"},
		{"manager killed", SessionBreak{What: BreakManager, By: ByKill}, nil, "its user manager is failed, with runtime folder and bus"},
		{"manager killed, nobody logged in", SessionBreak{What: BreakManager, By: ByKill}, func(s *seat) { s.lingers, s.terminal = true, false }, "its user manager is failed, with runtime folder and bus"},
		{"runtime folder", SessionBreak{What: BreakRuntimeDir, By: ByFailedStart}, nil, "its user manager is inactive, with no runtime folder and no bus"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSeat()
			if c.begin != nil {
				c.begin(s)
			}
			before := s.seatState
			env, m := world(t, s.run)
			f := c.fault
			f.Machine, f.Account = "machine.server", "alice"
			wantError(t, f.Verify(t.Context(), env), "cannot read what the fault did")
			if err := f.Heal(t.Context(), env); err != nil || s.logins != before.logins {
				t.Errorf("healing what was not broken: %v", err)
			}
			if err := f.Inject(t.Context(), env); err != nil {
				t.Fatal(err)
			}
			if err := f.Verify(t.Context(), env); err != nil {
				t.Error(err)
			}
			u, err := userOf(t.Context(), m, "alice")
			if err != nil {
				t.Fatal(err)
			}
			if state, err := u.look(t.Context()); state.String() != c.state {
				t.Errorf("%s, %v", state, err)
			}
			if s.noTime {
				t.Error("the manager is kept from starting for good")
			}
			for range 2 {
				if err := f.Heal(t.Context(), env); err != nil {
					t.Fatal(err)
				}
				if s.manager != "active" || !s.folder || s.bus != before.hasPackage || s.lingers != before.lingers || s.terminal != before.terminal || s.masked || s.noTime {
					t.Errorf("healed: manager %s, folder %v, bus %v, lingers %v, terminal %v, masked %v", s.manager, s.folder, s.bus, s.lingers, s.terminal, s.masked)
				}
			}
			if before.hasPackage {
				wantError(t, f.Verify(t.Context(), env), "cannot confirm session_break of alice")
			}
		})
	}
}

// Half an Inject, and a session that the lab's own commands repair.
func TestSessionBreakHalf(t *testing.T) {
	s := newSeat()
	env, _ := world(t, s.run)
	f := SessionBreak{Machine: "machine.server", Account: "alice", What: BreakManager, By: ByFailedStart}
	s.reopens = true
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	s.manager, s.folder = "inactive", false
	wantError(t, f.Verify(t.Context(), env), "its user manager is active, with runtime folder and bus")

	s = newSeat()
	s.noTime = true // and then the process was gone
	env, _ = world(t, s.run)
	m, err := env.Machine("machine.server")
	if err != nil {
		t.Fatal(err)
	}
	if err := keep(t.Context(), m, f.evidence(), breakEvidence{Terminal: true}); err != nil {
		t.Fatal(err)
	}
	s.logOut()
	if err := f.Heal(t.Context(), env); err != nil || s.noTime || s.manager != "active" || !s.terminal {
		t.Errorf("%v: %+v", err, s)
	}
}
