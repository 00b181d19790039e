package faults

import (
	"context"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want an error with %q", err, part)
	}
}

func TestChurnPortTaken(t *testing.T) {
	d := newDebian()
	env, m := world(t, d.run)
	f := &ContainerChurn{Stack: "stack.alice", Service: "app", DiesOf: DiesOfPortTaken, Rounds: 3, ThenRestart: "proxy"}
	wantError(t, f.Verify(t.Context(), env), "cannot read what the fault did")
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	if n := ran(m, "podman start app"); n != 3 {
		t.Errorf("%d starts", n)
	}
	if len(d.units) != 0 || d.held[3000] || d.containers["app"] != "running" {
		t.Errorf("left: units %v, ports %v, containers %v", d.units, d.held, d.containers)
	}
	all := m.Commands()
	if last := strings.Join(all[len(all)-2].Argv, " "); last != "podman-compose restart -t 1 proxy" {
		t.Errorf("the last command was %q", last)
	}
	said := strings.Join(env.Said(), "\n")
	if !strings.Contains(said, "start 3 of 3 of app: code 125, Error: ") {
		t.Errorf("said:\n%s", said)
	}
}

func TestChurnPortTakenButNothingDied(t *testing.T) {
	d := newDebian()
	d.portIgnored = true
	env, _ := world(t, d.run)
	f := &ContainerChurn{Stack: "stack.alice", Service: "app", DiesOf: DiesOfPortTaken, Rounds: 2}
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.Verify(t.Context(), env), "start 2 ended with code 0: the port was not the reason")
	f.Rounds = 3
	wantError(t, f.Verify(t.Context(), env), "2 of 3 starts were made")
}

// Half an Inject leaves the port taken; healing frees it, and may run twice.
func TestChurnPortTakenHealsHalf(t *testing.T) {
	d := newDebian()
	env, m := world(t, d.run)
	f := &ContainerChurn{Stack: "stack.alice", Service: "app", DiesOf: DiesOfPortTaken, Rounds: 3}
	short, cancel := context.WithTimeout(t.Context(), 2*poll)
	defer cancel()
	if err := (port{TCP, 3000}).take(short, m, ""); err == nil || len(d.units) != 0 {
		t.Fatalf("took a port that was not free: %v", err)
	}
	delete(d.held, 3000)
	if err := (port{TCP, 3000}).take(t.Context(), m, ""); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Heal(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.units) != 0 || d.held[3000] {
		t.Errorf("left: %v, %v", d.units, d.held)
	}
	if n := ran(m, "systemctl stop"); n != 1 {
		t.Errorf("stopped %d times", n)
	}
}

func TestChurnOfNothing(t *testing.T) {
	d := newDebian()
	env, m := world(t, d.run)
	f := &ContainerChurn{Stack: "stack.alice", Service: "app", DiesOf: DiesOfNothing, Rounds: 2}
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	if ran(m, "podman rm") != 2 || ran(m, "podman-compose up -d") != 2 || d.containers["app"] != "running" {
		t.Errorf("containers %v after %v", d.containers, m.Commands())
	}
	if err := f.Heal(t.Context(), env); err != nil {
		t.Error(err)
	}
	d.sameID = true
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.Verify(t.Context(), env), "start 2 ended with code 0: container id4, and it was id4")
}

func TestChurnPodmanKilled(t *testing.T) {
	d := newDebian()
	d.busy = 2
	env, m := world(t, d.run)
	f := &ContainerChurn{Stack: "stack.alice", Service: "app", DiesOf: DiesOfPodmanKilled, At: "100ms", Rounds: 2}
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	if n := ran(m, "exit $? sh 0.1 app"); n != 2 {
		t.Errorf("%d kills", n)
	}
	if d.held[3000] || d.containers["app"] != "running" {
		t.Errorf("left: ports %v, containers %v", d.held, d.containers)
	}
	if said := strings.Join(env.Said(), "\n"); !strings.Contains(said, "still listened on port 3000") {
		t.Errorf("said:\n%s", said)
	}
	d.killMissed, d.orphan = true, false
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.Verify(t.Context(), env), "podman was not killed: it had ended before")
	if err := f.Heal(t.Context(), env); err != nil {
		t.Error(err)
	}
}

func TestSessionKill(t *testing.T) {
	for _, c := range []struct {
		name      string
		login     bool
		lingers   bool
		migrates  int
		managerOn bool
	}{
		{"with a login open", true, true, 3, true},
		{"alone", false, true, 0, true},
		{"without lingering", true, false, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDebian()
			d.lingers = c.lingers
			env, m := world(t, d.run)
			f := &SessionKill{Stack: "stack.alice", Rounds: 3, LoginSession: c.login, ThenRestart: "proxy"}
			if !c.lingers {
				f.Rounds = 1 // the manager does not come back by itself
			}
			if err := f.Inject(t.Context(), env); err != nil {
				t.Fatal(err)
			}
			if err := f.Verify(t.Context(), env); err != nil {
				t.Error(err)
			}
			if n := ran(m, "system migrate"); n != c.migrates {
				t.Errorf("%d times podman system migrate", n)
			}
			if d.login != c.login || d.active != c.managerOn {
				t.Errorf("login %v, manager %v", d.login, d.active)
			}
			for range 2 {
				if err := f.Heal(t.Context(), env); err != nil {
					t.Error(err)
				}
			}
			if len(d.units) != 0 || d.login || d.active != c.managerOn {
				t.Errorf("left: %v, login %v, manager %v", d.units, d.login, d.active)
			}
		})
	}
}

func TestSessionKillNeedsAManager(t *testing.T) {
	d := newDebian()
	d.active = false
	env, _ := world(t, d.run)
	f := &SessionKill{Stack: "stack.alice", Rounds: 1}
	wantError(t, f.Inject(t.Context(), env), `cannot kill user@1000.service: it is failed`)
	wantError(t, f.Verify(t.Context(), env), "0 of 1 rounds were made")
}

func TestCommand(t *testing.T) {
	env, m := world(t, nil)
	script := func(text string) []byte { return []byte(labtest.FakeShebang + text) }
	env.Files = map[lab.Path][]byte{
		"fault/inject.sh": script("fake set limit 300\n"), "check.sh": script("fake get limit\n"),
		"heal.sh": script("fake set limit 0\n"), "bad.sh": script("exit 4\n"),
	}
	f := &Command{Machine: "machine.server", Account: "alice", Break: "fault/inject.sh", Confirm: "check.sh", Undo: "heal.sh"}
	if err := f.Inject(t.Context(), env); err != nil || m.Value("limit") != 300 {
		t.Errorf("%v, limit %v", err, m.Value("limit"))
	}
	if file, _ := m.File(folder + "/fault_inject.sh"); file.Mode != 0o755 {
		t.Errorf("the script was put as %+v", file)
	}
	if err := f.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	if err := f.Heal(t.Context(), env); err != nil || m.Value("limit") != 0 {
		t.Errorf("%v, limit %v", err, m.Value("limit"))
	}
	f.Confirm = "bad.sh"
	wantError(t, f.Verify(t.Context(), env), "cannot run script bad.sh: ")
	f.Confirm = "none.sh"
	wantError(t, f.Verify(t.Context(), env), "cannot find none.sh")
}

func TestListens(t *testing.T) {
	table := []byte("  sl  local_address rem_address   st\n" +
		"   0: 00000000:0BB8 00000000:0000 0A 0:0 0:0 0 0 0 34782 1\n" +
		"   1: 0100007F:1F90 0100007F:C001 01 0:0 0:0 0 0 0 34783 1\n" +
		"   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 34784 1\n")
	for number, want := range map[int]bool{3000: true, 8080: false, 80: true, 3001: false} {
		if got := (port{TCP, number}).in(table); len(got) > 0 != want {
			t.Errorf("port %d: %v", number, got)
		}
	}
}
