package labtest

import (
	"bytes"
	"context"
	"crypto/rand"
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

// TestDriver is the conformance suite: what every driver promises, the fake as well as the real ones. The lab has one
// machine with at least one account that lingers; the probe is one that this machine can observe.
func TestDriver(t *testing.T, driver lab.Driver, l *lab.Lab, probe lab.Probe) {
	t.Helper()
	const run lab.RunID = "conformance"
	say := func(format string, args ...any) { t.Logf(format, args...) }
	for range 2 {
		if err := driver.Prepare(t.Context(), l, say); err != nil {
			t.Fatalf("prepare: %v", err)
		}
	}
	t.Run("start of a run that is over", func(t *testing.T) {
		over, cancel := context.WithCancel(t.Context())
		cancel()
		m, err := driver.Start(over, run, l, l.Machines[0])
		if err == nil {
			t.Error("a machine was started although its context had ended")
			_ = m.Destroy(context.Background())
		}
	})
	m, err := driver.Start(t.Context(), run, l, l.Machines[0])
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { _ = m.Destroy(context.Background()) })
	if want := lab.MachineRef("machine." + l.Machines[0].Name); m.Ref() != want {
		t.Errorf("the machine calls itself %q, not %q", m.Ref(), want)
	}
	s := &suite{m: m, account: l.Machines[0].Accounts[0].Name, probe: probe}
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"exit codes", s.exitCodes}, {"signals", s.signals}, {"no such program", s.noProgram},
		{"streams apart", s.streams}, {"big output", s.bigOutput}, {"binary input", s.binaryInput},
		{"output as it comes", s.streaming}, {"environment and folder", s.surroundings}, {"accounts", s.accounts},
		{"many at once", s.parallel}, {"cancelled", s.cancelled}, {"terminal", s.terminal},
		{"files", s.files}, {"watch", s.watch}, {"watch of an unknown kind", s.watchUnknown},
	} {
		t.Run(c.name, c.test)
	}
	t.Run("console", func(t *testing.T) {
		if _, err := m.Console(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("destroy", func(t *testing.T) {
		for range 2 {
			if err := m.Destroy(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if _, err := m.Run(t.Context(), lab.Command{Argv: []string{"true"}}); err == nil {
			t.Error("a command ran in a machine that was destroyed")
		}
	})
}

type suite struct {
	m       lab.Running
	account string
	probe   lab.Probe
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

func (s *suite) accounts(t *testing.T) {
	for account, want := range map[string]string{"": "root\n", s.account: s.account + "\n"} {
		if r := s.run(t, lab.Command{Argv: []string{"id", "-un"}, Account: account}); string(r.Stdout) != want {
			t.Errorf("account %q is %q", account, r.Stdout)
		}
	}
	if _, err := s.m.Run(t.Context(), lab.Command{Argv: []string{"true"}, Account: "nobody-declared"}); err == nil {
		t.Error("a command ran as an account that does not exist")
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
