package labtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// patience is how long one step of the suite may take on the slowest machine.
const patience = time.Minute

// TestDriver is the conformance suite: what every driver promises, the fake as well as the real ones. The first account
// of the lab's first machine lingers; its others should be one of each kind of session. The network is looked at when the
// lab has several machines. The probe is one that the first machine can observe. A driver that saves machines
// passes TestSnapshots too.
func TestDriver(t *testing.T, driver lab.Driver, l *lab.Lab, probe lab.Probe) {
	t.Helper()
	const run lab.RunID = "conformance"
	prepare(t, driver, l)
	t.Run("start of a run that is over", func(t *testing.T) {
		over, cancel := context.WithCancel(t.Context())
		cancel()
		m, err := driver.Start(over, run, l, l.Machines[0])
		if err == nil {
			t.Error("a machine was started although its context had ended")
			_ = m.Destroy(context.Background())
		}
	})
	t.Run("start that is given up", func(t *testing.T) {
		// What it leaves behind would be in the way of the start below, under the same name.
		hurried, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if m, err := driver.Start(hurried, run, l, l.Machines[0]); err == nil {
			if err := m.Destroy(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	machines := start(t, driver, run, l)
	m, accounts := machines[0], l.Machines[0].Accounts
	s := &suite{m: m, account: accounts[0].Name, accounts: accounts, probe: probe}
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"exit codes", s.exitCodes}, {"signals", s.signals}, {"no such program", s.noProgram},
		{"streams apart", s.streams}, {"big output", s.bigOutput}, {"binary input", s.binaryInput},
		{"output as it comes", s.streaming}, {"environment and folder", s.surroundings}, {"accounts", s.identities},
		{"sessions", s.sessions}, {"many at once", s.parallel}, {"cancelled", s.cancelled}, {"terminal", s.terminal},
		{"files", s.files}, {"watch", s.watch}, {"watch of an unknown kind", s.watchUnknown}, {"clock", s.clock},
	} {
		t.Run(c.name, c.test)
	}
	if w, ok := m.(lab.Waiter); ok {
		t.Run("waiting", func(t *testing.T) { waiting(t, w, driver, l.Machines[0]) })
	}
	t.Run("console", func(t *testing.T) {
		if _, err := m.Console(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if len(machines) > 1 {
		t.Run("machines reach each other", func(t *testing.T) { testNetwork(t, machines) })
		t.Run("no way out", func(t *testing.T) { testNoWayOut(t, m) })
	}
	t.Run("destroy", func(t *testing.T) {
		for _, m := range machines {
			for range 2 {
				if err := m.Destroy(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
		s.gone(t)
	})
}

func prepare(t *testing.T, driver lab.Driver, l *lab.Lab) {
	t.Helper()
	for range 2 {
		if err := driver.Prepare(t.Context(), l, t.Logf); err != nil {
			t.Fatalf("prepare: %v", err)
		}
	}
}

// start starts the lab's machines side by side, as a run does, and destroys them after the test.
func start(t *testing.T, driver lab.Driver, run lab.RunID, l *lab.Lab) []lab.Running {
	t.Helper()
	machines, errs := make([]lab.Running, len(l.Machines)), make([]error, len(l.Machines))
	var all sync.WaitGroup
	for i := range l.Machines {
		all.Go(func() { machines[i], errs[i] = driver.Start(t.Context(), run, l, l.Machines[i]) })
	}
	all.Wait()
	for i, m := range machines {
		if errs[i] != nil {
			continue
		}
		t.Cleanup(func() { _ = m.Destroy(context.Background()) })
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("start: %v", err)
	}
	inOrder(t, l, machines)
	return machines
}

// inOrder: the machines are the lab's, and say so.
func inOrder(t *testing.T, l *lab.Lab, machines []lab.Running) {
	t.Helper()
	if len(machines) != len(l.Machines) {
		t.Fatalf("%d machines of a lab that has %d", len(machines), len(l.Machines))
	}
	for i, m := range machines {
		if want := lab.MachineRef("machine." + l.Machines[i].Name); m.Ref() != want {
			t.Errorf("machine %d calls itself %q, not %q", i, m.Ref(), want)
		}
	}
}

type suite struct {
	m        lab.Running
	account  string
	accounts []lab.Account
	probe    lab.Probe
}

// run runs a command that must be possible to run.
func (s *suite) run(t *testing.T, cmd lab.Command) lab.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := s.m.Run(ctx, cmd)
	if err != nil {
		t.Fatalf("%q: %v", cmd.Argv, err)
	}
	return r
}

func shell(line string) lab.Command { return lab.Command{Argv: []string{"sh", "-c", line}} }

func (s *suite) exitCodes(t *testing.T) {
	for _, code := range []int{0, 1, 3, 126, 255} {
		r := s.run(t, shell(fmt.Sprintf("exit %d", code)))
		if r.Code != code || r.Signal != "" {
			t.Errorf("exit %d: code %d, signal %q", code, r.Code, r.Signal)
		}
	}
}

func (s *suite) signals(t *testing.T) {
	for name, code := range map[string]int{"SIGKILL": 137, "SIGTERM": 143} {
		r := s.run(t, shell("kill -"+strings.TrimPrefix(name, "SIG")+" $$"))
		if r.Code != code || r.Signal != name {
			t.Errorf("%s: code %d, signal %q", name, r.Code, r.Signal)
		}
	}
}

func (s *suite) noProgram(t *testing.T) {
	if r, err := s.m.Run(t.Context(), lab.Command{Argv: []string{"/no/such/program"}}); err == nil {
		t.Errorf("a program that does not exist ran: %+v", r)
	}
}

func (s *suite) streams(t *testing.T) {
	r := s.run(t, shell("echo out; echo err >&2"))
	if string(r.Stdout) != "out\n" || string(r.Stderr) != "err\n" {
		t.Errorf("stdout %q, stderr %q", r.Stdout, r.Stderr)
	}
	var out, errOut bytes.Buffer
	cmd := shell("echo out; echo err >&2")
	cmd.Stdout, cmd.Stderr = &out, &errOut
	r = s.run(t, cmd)
	if out.String() != "out\n" || errOut.String() != "err\n" || len(r.Stdout)+len(r.Stderr) != 0 {
		t.Errorf("to writers: stdout %q, stderr %q; kept %q, %q", out.String(), errOut.String(), r.Stdout, r.Stderr)
	}
}

func (s *suite) bigOutput(t *testing.T) {
	const size = 8 << 20
	r := s.run(t, lab.Command{Argv: []string{"head", "-c", fmt.Sprint(size), "/dev/zero"}})
	if !bytes.Equal(r.Stdout, make([]byte, size)) {
		t.Errorf("%d of %d bytes arrived, or not as they were", len(r.Stdout), size)
	}
}

func (s *suite) binaryInput(t *testing.T) {
	in := make([]byte, 1<<20)
	_, _ = rand.Read(in)
	r := s.run(t, lab.Command{Argv: []string{"cat"}, Stdin: bytes.NewReader(in)})
	if !bytes.Equal(r.Stdout, in) {
		t.Errorf("%d bytes went in, %d came back, or not the same", len(in), len(r.Stdout))
	}
	if r := s.run(t, lab.Command{Argv: []string{"cat"}}); len(r.Stdout) != 0 {
		t.Errorf("without input, cat printed %q", r.Stdout)
	}
	// A command that does not read its input ends all the same.
	s.run(t, lab.Command{Argv: []string{"true"}, Stdin: bytes.NewReader(in)})
}

// streaming answers what a command asks while it runs: each side must see the other's bytes at once.
func (s *suite) streaming(t *testing.T) {
	in, answer := io.Pipe()
	defer answer.Close()
	out := &watcher{want: "name?\n", then: func() { fmt.Fprintln(answer, "saigen") }}
	cmd := shell("echo name?; read x; echo hello $x")
	cmd.Stdin, cmd.Stdout = in, out
	s.run(t, cmd)
	if got := out.String(); got != "name?\nhello saigen\n" {
		t.Errorf("got %q", got)
	}
}

func (s *suite) surroundings(t *testing.T) {
	cmd := shell(`echo "$A|$B|$(pwd)"`)
	cmd.Env, cmd.Dir = []string{"A=one two", "B=$A"}, "/"
	if r := s.run(t, cmd); string(r.Stdout) != "one two|$A|/\n" {
		t.Errorf("got %q", r.Stdout)
	}
	cmd = shell(`test "$(pwd -P)" = "$(cd "$HOME" && pwd -P)" && echo home`)
	cmd.Account = s.account
	if r := s.run(t, cmd); string(r.Stdout) != "home\n" {
		t.Error("a command does not begin in its account's home")
	}
}

func (s *suite) identities(t *testing.T) {
	want := map[string]string{"": "root\n"}
	for _, a := range s.accounts {
		want[a.Name] = a.Name + "\n"
	}
	for account, want := range want {
		if r := s.run(t, lab.Command{Argv: []string{"id", "-un"}, Account: account}); string(r.Stdout) != want {
			t.Errorf("account %q is %q", account, r.Stdout)
		}
	}
	if _, err := s.m.Run(t.Context(), lab.Command{Argv: []string{"true"}, Account: "nobody-declared"}); err == nil {
		t.Error("a command ran as an account that does not exist")
	}
}

// sessions: what a program of the account can tell of how it is logged in.
func (s *suite) sessions(t *testing.T) {
	for _, a := range s.accounts {
		cmd := lab.Command{Argv: []string{"id", "-u"}, Account: a.Name}
		own := "/run/user/" + strings.TrimSpace(string(s.run(t, cmd).Stdout))
		cmd = shell(`echo "$XDG_RUNTIME_DIR"; echo "$XDG_SESSION_ID"`)
		cmd.Account = a.Name
		got := strings.Split(string(s.run(t, cmd).Stdout), "\n")
		if a.Session == lab.SessionSu || a.Session == lab.SessionNone {
			own = ""
		}
		if len(got) != 3 || got[0] != own || (got[1] != "") != (a.Session == lab.SessionLogin) {
			t.Errorf("account %s, whose session is of kind %s, has the runtime folder and session %q", a.Name, a.Session, got)
		}
	}
}

// clock: the machine's clock is the host's. A machine that is emulated on a busy host answers late, and the answer is as
// much less certain.
func (s *suite) clock(t *testing.T) {
	began := time.Now()
	off, err := s.m.Clock(t.Context())
	if took := time.Since(began); err != nil || off.Abs() > time.Second+took/2 {
		t.Errorf("the clock of %s is %v off, asked for %v: %v", s.m.Ref(), off, took, err)
	}
	began = time.Now()
	r := s.run(t, lab.Command{Argv: []string{"date", "+%s.%N"}})
	ended := time.Now()
	var at float64
	if _, err := fmt.Sscan(string(r.Stdout), &at); err != nil {
		t.Fatal(err)
	}
	if now := time.UnixMicro(int64(at * 1e6)); now.Before(began.Add(-time.Second)) || now.After(ended.Add(time.Second)) {
		t.Errorf("a process in %s says that it is %v, asked between %v and %v", s.m.Ref(), now, began, ended)
	}
}

// gone: a machine that was destroyed does nothing any more, and says so at once.
func (s *suite) gone(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, run := s.m.Run(ctx, lab.Command{Argv: []string{"true"}})
	_, clock := s.m.Clock(ctx)
	put := s.m.Put(ctx, lab.File{Path: "/var/tmp/x", Mode: 0o600})
	watch := s.m.Watch(ctx, s.probe, func(o lab.Observation) { t.Errorf("observed %+v", o) })
	for what, err := range map[string]error{"ran a command": run, "told its clock": clock, "took a file": put, "watched": watch} {
		if err == nil || ctx.Err() != nil {
			t.Errorf("a machine that is gone %s: %v", what, err)
		}
	}
}

func (s *suite) parallel(t *testing.T) {
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			r, err := s.m.Run(t.Context(), shell(fmt.Sprintf("echo %d; exit %d", i, i)))
			if err != nil || r.Code != i || string(r.Stdout) != fmt.Sprintf("%d\n", i) {
				t.Errorf("command %d: %+v, %v", i, r, err)
			}
		})
	}
	all.Wait()
}

// waiting of a machine's processors is counted for each of them, and goes one way only.
func waiting(t *testing.T, w lab.Waiter, driver lab.Driver, spec lab.Machine) {
	var before []time.Duration
	for range 20 {
		all, err := w.Waited()
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := driver.(lab.Hypervisor); ok && len(all) != h.Processors(spec) {
			t.Fatalf("%d processors have waited; the machine has %d", len(all), h.Processors(spec))
		}
		for i := range before {
			if all[i] < before[i] {
				t.Errorf("processor %d has waited %v, and then %v", i, before[i], all[i])
			}
		}
		before = all
	}
}
