package labtest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

func oneMachine() *lab.Lab {
	return &lab.Lab{
		Name:     "conformance",
		Images:   []lab.Image{{Name: "host", Debian: "bookworm"}},
		Machines: []lab.Machine{{Name: "server", Image: "image.host", Accounts: []lab.Account{{Name: "alice", Session: lab.SessionLinger}}}},
	}
}

func reading(value string) lab.Probe {
	s, _ := json.Marshal(Reading{Machine: "machine.server", Value: value, Is: "over 0"})
	return lab.Probe{Address: "symptom.fake." + value, Kind: "fake", Settings: s, Every: 10 * time.Millisecond, Timeout: time.Second}
}

func started(t *testing.T, d *Driver) *Machine {
	t.Helper()
	l := oneMachine()
	if err := d.Prepare(t.Context(), l, t.Logf); err != nil {
		t.Fatal(err)
	}
	m, err := d.Start(t.Context(), "run", l, l.Machines[0])
	if err != nil {
		t.Fatal(err)
	}
	return m.(*Machine)
}

func TestFakeConforms(t *testing.T) {
	l := everySession()
	d := &Driver{Handler: HostCommands(t.TempDir(), l.Machines[0].Accounts...)}
	TestDriver(t, d, l, reading("slow"))
	if left := d.Left(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestFakeSnapshotsConform(t *testing.T) {
	for _, own := range []bool{false, true} {
		l := everySession()
		d := &SnapshotDriver{Driver: &Driver{Handler: HostCommands(t.TempDir(), l.Machines[0].Accounts...)}, OwnRun: own}
		TestSnapshots(t, d, l, !own)
		if left := d.Left(); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
}

func everySession() *lab.Lab {
	l := oneMachine()
	l.Machines[0].Accounts = []lab.Account{
		{Name: "alice", Session: lab.SessionLinger}, {Name: "log", Session: lab.SessionLogin},
		{Name: "sue", Session: lab.SessionSu}, {Name: "non", Session: lab.SessionNone},
	}
	return l
}

// A fault makes the symptom appear, healing makes it go: all through the interfaces that a run uses.
func TestFakeSymptomComesAndGoes(t *testing.T) {
	m := started(t, &Driver{})
	env := &Env{Machines: []lab.Running{m}}
	f := &Switch{Machine: m.Ref(), Value: "slow", To: 3}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := &Reading{Is: "over 2"}
	var told []bool
	err := m.Watch(ctx, reading("slow"), func(o lab.Observation) {
		now := r.Holds([]lab.Observation{o})
		if len(told) > 0 && told[len(told)-1] == now {
			return
		}
		told = append(told, now)
		switch len(told) {
		case 1:
			if err := errors.Join(f.Inject(ctx, env), f.Verify(ctx, env)); err != nil {
				t.Error(err)
			}
		case 2:
			if err := f.Heal(ctx, env); err != nil {
				t.Error(err)
			}
		case 3:
			cancel()
		}
	})
	if err != nil || len(told) != 3 || told[0] || !told[1] || told[2] {
		t.Errorf("the symptom was %v, %v", told, err)
	}
	if said := env.Said(); len(said) != 1 || said[0] != "setting slow to 3" {
		t.Errorf("said %q", said)
	}
}

func TestFakeFailures(t *testing.T) {
	d := &Driver{FailStart: errors.New("no room")}
	if err := d.Prepare(t.Context(), oneMachine(), t.Logf); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Start(t.Context(), "run", oneMachine(), oneMachine().Machines[0]); err == nil || len(d.Left()) != 0 {
		t.Errorf("start: %v, left %q", err, d.Left())
	}
	if _, err := new(Driver).Start(t.Context(), "run", oneMachine(), oneMachine().Machines[0]); err == nil {
		t.Error("a machine of a lab that was not prepared was started")
	}

	d = &Driver{Handler: HostCommands(t.TempDir())}
	m := started(t, d)
	m.Break("slow", errors.New("no route to the value"))
	ctx, cancel := context.WithCancel(t.Context())
	err := m.Watch(ctx, reading("slow"), func(o lab.Observation) {
		if o.Err != "no route to the value" || o.Values != nil {
			t.Errorf("%+v", o)
		}
		cancel()
	})
	if err != nil {
		t.Error(err)
	}

	// A machine that is lost ends what is under way, and everything after it.
	for name, f := range map[string]func() error{
		"watch": func() error {
			return m.Watch(t.Context(), reading("fine"), func(lab.Observation) { m.Lose() })
		},
		"run":        func() error { _, err := m.Run(t.Context(), lab.Command{Argv: []string{"true"}}); return err },
		"put":        func() error { return m.Put(t.Context(), lab.File{Path: "/x"}) },
		"containers": func() error { _, err := m.Containers(t.Context(), "alice"); return err },
	} {
		m.Lose()
		if err := f(); !errors.Is(err, ErrLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := d.Left(); len(left) != 1 || left[0] != "machine.server" {
		t.Errorf("left %q", left)
	}
}

func TestFakeLostWhileRunning(t *testing.T) {
	m := started(t, &Driver{Handler: HostCommands(t.TempDir())})
	out := &watcher{want: "up", then: m.Lose}
	cmd := shell("echo up; sleep 1000")
	cmd.Stdout = out
	if r, err := m.Run(t.Context(), cmd); !errors.Is(err, ErrLost) {
		t.Errorf("%+v, %v", r, err)
	}
	if m.Running() != 0 {
		t.Errorf("%d commands still run", m.Running())
	}
}

func TestFakeScripts(t *testing.T) {
	m := started(t, &Driver{})
	put := func(path, text string) {
		t.Helper()
		if err := m.Put(t.Context(), lab.File{Path: path, Data: []byte(text), Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
	}
	put("/cure", FakeShebang+"# the diary's\nfake set slow 0\nfake get slow\n")
	put("/fail", FakeShebang+"fake set slow 7\nexit 4\nfake set slow 8\n")
	m.Set("slow", 3)
	r, err := m.Run(t.Context(), lab.Command{Argv: []string{"sh", "/cure"}, Account: "alice"})
	if err != nil || r.Code != 0 || string(r.Stdout) != "0" || m.Value("slow") != 0 {
		t.Errorf("%+v, %v, slow %v", r, err, m.Value("slow"))
	}
	r, err = m.Run(t.Context(), lab.Command{Argv: []string{"/fail"}})
	if err != nil || r.Code != 4 || m.Value("slow") != 7 {
		t.Errorf("%+v, %v, slow %v", r, err, m.Value("slow"))
	}
}

func TestFakeKindsDecodeEmpty(t *testing.T) {
	for _, k := range Observers() {
		if err := json.Unmarshal([]byte("{}"), k.New()); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
	for _, k := range Breakers() {
		if err := json.Unmarshal([]byte("{}"), k.New()); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
	s := &Switch{Fail: "heal"}
	if err := s.Heal(t.Context(), &Env{}); err == nil || !strings.Contains(err.Error(), "told to fail") {
		t.Error(err)
	}
}
