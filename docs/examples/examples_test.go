package examples

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/labtest"
)

// shell runs a machine's commands here.
func shell(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	out, err := exec.CommandContext(ctx, cmd.Argv[0], cmd.Argv[1:]...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return lab.Result{Code: exit.ExitCode(), Stderr: out}, nil
	}
	return lab.Result{Stdout: out}, err
}

func TestFileMissing(t *testing.T) {
	m := &labtest.Machine{World: labtest.NewWorld(shell), Spec: lab.Machine{Name: "server"}}
	env := &labtest.Env{Machines: []lab.Running{m}}
	path := filepath.Join(t.TempDir(), "zone info")
	if err := os.WriteFile(path, []byte("UTC"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &FileMissing{Machine: "machine.server", Path: path}
	for _, step := range []struct {
		name  string
		do    func(context.Context, lab.Env) error
		works bool
		there bool
	}{
		{"verify before", f.Verify, false, true},
		{"heal before", f.Heal, true, true},
		{"inject", f.Inject, true, false},
		{"verify", f.Verify, true, false},
		{"heal", f.Heal, true, true},
		{"heal again", f.Heal, true, true},
		{"verify after", f.Verify, false, true},
	} {
		err := step.do(t.Context(), env)
		_, missing := os.Stat(path)
		if (err == nil) != step.works || (missing == nil) != step.there {
			t.Errorf("%s: %v; the file: %v", step.name, err, missing)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if f.Inject(t.Context(), env) == nil || f.Verify(t.Context(), env) == nil {
		t.Error("a file that never was could be taken away")
	}
}

func TestMemory(t *testing.T) {
	meminfo := "MemTotal:       16316412 kB\nMemFree:          262144 kB\nMemAvailable:     102400 kB\n"
	w := labtest.NewWorld(func(_ context.Context, cmd lab.Command) (lab.Result, error) {
		if strings.Join(cmd.Argv, " ") != "cat /proc/meminfo" {
			return lab.Result{}, errors.New("no such program")
		}
		return lab.Result{Stdout: []byte(meminfo)}, nil
	})
	for limit, holds := range map[lab.Limit]bool{"under 200MiB": true, "under 100MiB": false, "exactly 100MiB": true} {
		m := &Memory{Available: limit}
		o, err := m.Observe(t.Context(), w)
		if err != nil || m.Holds([]lab.Observation{o}) != holds {
			t.Errorf("%s: %+v, %v", limit, o, err)
		}
	}
	meminfo = "MemTotal: 16316412 kB\n"
	if o, err := (&Memory{Available: "under 1GiB"}).Observe(t.Context(), w); err == nil {
		t.Errorf("a machine that does not say was looked at: %+v", o)
	}
}

// Everything that a page shows of a kind is read as saigen reads its own.
func TestKinds(t *testing.T) {
	if _, err := labfile.Describe(Faults(), Sources()); err != nil {
		t.Error(err)
	}
	if _, err := labfile.Describe(Assertions(), Sources()); err != nil {
		t.Error(err)
	}
	_, diags := labfile.Load("kinds/lab.hcl", labfile.Kinds{Faults: Faults(), Assertions: Assertions()}, nil)
	for _, d := range diags {
		t.Error(d)
	}
	for _, c := range []lab.Checker{&FileMissing{Path: "etc/hosts"}, &Memory{Available: "at least 0"}} {
		if len(c.Check()) != 1 {
			t.Errorf("%+v is taken", c)
		}
	}
	for _, c := range []lab.Checker{&FileMissing{Path: "/etc/hosts"}, &Memory{Available: "under 100MiB"}} {
		if p := c.Check(); len(p) != 0 {
			t.Errorf("%+v: %v", c, p)
		}
	}
}
