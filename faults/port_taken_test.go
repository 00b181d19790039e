package faults

import (
	"context"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

func TestPortTaken(t *testing.T) {
	for _, c := range []struct {
		name     string
		fault    PortTaken
		holder   string // the command that holds the port
		deployed string // what the events say of the deploy
	}{
		{"tcp", PortTaken{Port: 3000, Protocol: TCP}, "systemd-socket-activate -l 0.0.0.0:3000 sleep", ""},
		{"udp", PortTaken{Port: 3000, Protocol: UDP}, "systemd-socket-activate -l 0.0.0.0:3000 --datagram sleep", ""},
		{"of an account", PortTaken{Port: 3000, Protocol: TCP, Account: "bob"}, "--uid bob systemd-socket-activate", ""},
		{"under a stack", PortTaken{Port: 3000, Protocol: TCP, Redeploy: "stack.alice"}, "systemd-socket-activate", "alice brings alice up: code 0, Error: rootlessport listen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDebian()
			if c.fault.Redeploy == "" {
				delete(d.held, 3000)
			}
			env, m := world(t, d.run)
			f := &c.fault
			f.Machine = "machine.server"
			wantError(t, f.Verify(t.Context(), env), "is inactive")
			if err := f.Inject(t.Context(), env); err != nil {
				t.Fatal(err)
			}
			if err := f.Verify(t.Context(), env); err != nil {
				t.Error(err)
			}
			if ran(m, c.holder) != 1 {
				t.Errorf("no %q among %v", c.holder, m.Commands())
			}
			if said := strings.Join(env.Said(), "\n"); !strings.Contains(said, c.deployed) {
				t.Errorf("said:\n%s", said)
			}
			if want := map[bool]string{true: "running", false: "created"}[c.deployed == ""]; d.containers["app"] != want {
				t.Errorf("app is %s, not %s", d.containers["app"], want)
			}
			for range 2 {
				if err := f.Heal(t.Context(), env); err != nil {
					t.Error(err)
				}
			}
			if len(d.units) != 0 || d.held[3000] {
				t.Errorf("left: %v, %v", d.units, d.held)
			}
			wantError(t, f.Verify(t.Context(), env), "is inactive")
		})
	}
}

// A process that runs proves nothing: the port itself is tried.
func TestPortTakenIsTried(t *testing.T) {
	d := newDebian()
	delete(d.held, 3000)
	env, _ := world(t, d.run)
	f := &PortTaken{Machine: "machine.server", Port: 3000, Protocol: TCP}
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	d.shared = true
	wantError(t, f.Verify(t.Context(), env), "another process could have port 3000")
}

// Who has the port keeps it; and half an injection is healed.
func TestPortTakenNotFree(t *testing.T) {
	d := newDebian()
	env, _ := world(t, d.run)
	f := &PortTaken{Machine: "machine.server", Port: 3000, Protocol: TCP}
	short, cancel := context.WithTimeout(t.Context(), 2*poll)
	defer cancel()
	if err := f.Inject(short, env); err == nil || len(d.units) != 0 || !d.held[3000] {
		t.Errorf("%v, units %v, held %v", err, d.units, d.held)
	}
	delete(d.held, 3000)
	d.noPermission = true
	short, cancel = context.WithTimeout(t.Context(), 2*poll)
	defer cancel()
	if err := f.Inject(short, env); err == nil || len(d.units) != 1 {
		t.Errorf("%v, units %v", err, d.units)
	}
	if err := f.Heal(t.Context(), env); err != nil || len(d.units) != 0 {
		t.Errorf("%v, units %v", err, d.units)
	}
}

func TestPortTakenElsewhere(t *testing.T) {
	env, _ := world(t, newDebian().run)
	env.Stacks = append(env.Stacks, lab.Stack{Name: "other", Machine: "machine.other"})
	f := &PortTaken{Machine: "machine.server", Port: 3000, Protocol: TCP, Redeploy: "stack.other"}
	wantError(t, f.Inject(t.Context(), env), "cannot redeploy stack.other: it is on machine.other")
}
