package faults

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// here runs the commands of the fault on this host: the scripts are half of it.
func here(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	if strings.HasPrefix(cmd.Argv[len(cmd.Argv)-1], folder) { // the evidence of nothing
		return lab.Result{Code: 1}, nil
	}
	c := exec.CommandContext(ctx, cmd.Argv[0], cmd.Argv[1:]...)
	var out, diag bytes.Buffer
	c.Stdout, c.Stderr = &out, &diag
	err := c.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil
	}
	return lab.Result{Code: c.ProcessState.ExitCode(), Stdout: out.Bytes(), Stderr: diag.Bytes()}, err
}

// sleeper starts a process with a name that nobody else has.
func sleeper(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if err := os.Symlink("/bin/sh", program); err != nil { // the kernel names a process after the path
		t.Fatal(err)
	}
	return labtest.Idle(t, program, program)
}

func TestProcessKill(t *testing.T) {
	name := "z (" + rand.Text()[:6] + ") z" // what could be misread in /proc/PID/stat
	first, second := sleeper(t, name), sleeper(t, name)
	other := sleeper(t, "o"+rand.Text()[:8])
	env, _ := world(t, here)
	f := &ProcessKill{Machine: "machine.server", Name: name, Signal: "TERM", Timeout: "5s"}
	wantError(t, f.Verify(t.Context(), env), "cannot read what the fault did")
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	for _, c := range []*exec.Cmd{first, second} {
		if _ = c.Wait(); c.ProcessState.String() != "signal: terminated" {
			t.Errorf("%s", c.ProcessState)
		}
		if said := strings.Join(env.Said(), "\n"); !strings.Contains(said, fmt.Sprintf("%s (%d)", name, c.Process.Pid)) {
			t.Errorf("said %s", said)
		}
	}
	if p := stateOf(t, env, other.Process.Pid); p.ended() {
		t.Error("another process was killed as well")
	}
	if err := f.Heal(t.Context(), env); err != nil {
		t.Error(err)
	}
	wantError(t, f.Inject(t.Context(), env), `there is no process with name "`)
}

func TestProcessStop(t *testing.T) {
	name := "s" + rand.Text()[:8]
	pid := sleeper(t, name).Process.Pid
	env, _ := world(t, here)
	f := &ProcessKill{Machine: "machine.server", Name: name, Signal: stop, Timeout: "5s"}
	if err := f.Heal(t.Context(), env); err != nil {
		t.Error(err)
	}
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	if p := stateOf(t, env, pid); p.state != "T" {
		t.Errorf("state %s", p.state)
	}
	for range 2 {
		if err := f.Heal(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	}
	if p := stateOf(t, env, pid); p.state == "T" || p.ended() {
		t.Errorf("state %s", p.state)
	}
	wantError(t, f.Verify(t.Context(), env), fmt.Sprintf("%s (%d) goes on", name, pid))
}

// A process that ignores the signal, and one that has the pid of another time.
func TestProcessThatStays(t *testing.T) {
	name := "i" + rand.Text()[:8]
	pid := sleeper(t, name).Process.Pid
	env, m := world(t, here)
	p := stateOf(t, env, pid)
	if err := signal(t.Context(), m, "KILL", []aProcess{{PID: pid, Start: p.Start + 1}, {PID: 1 << 22, Start: 1}}); err != nil {
		t.Error(err)
	}
	if stateOf(t, env, pid).ended() {
		t.Error("a process was killed whose start was another one")
	}
	f := &ProcessKill{Machine: "machine.server", Name: name, Signal: "HUP", Timeout: "300ms"}
	if err := signal(t.Context(), m, stop, []aProcess{p}); err != nil { // it will not see the hangup
		t.Fatal(err)
	}
	wantError(t, f.Inject(t.Context(), env), "must have got SIGHUP, still not so")
	wantError(t, f.Verify(t.Context(), env), "goes on")
}

func TestProcessesAreChosen(t *testing.T) {
	name := "c" + rand.Text()[:8]
	pid := sleeper(t, name).Process.Pid
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, number, _ := net.SplitHostPort(l.Addr().String())
	here0, _ := strconv.Atoi(number)
	env, m := world(t, here)
	cgroup := stateOf(t, env, pid).cgroup
	who := strings.TrimSpace(string(must(t, m, "id", "-un")))
	for _, c := range []struct {
		f    ProcessKill
		pids []int
	}{
		{ProcessKill{Name: name}, []int{pid}},
		{ProcessKill{Name: name, Account: lab.AccountName(who)}, []int{pid}},
		{ProcessKill{Name: name, Account: "nobody"}, nil},
		{ProcessKill{Name: name, Cgroup: "^/no such cgroup"}, nil},
		{ProcessKill{Name: name, Cgroup: lab.Pattern("^" + cgroup + "$")}, []int{pid}},
		{ProcessKill{Name: name, Unit: "ssh.service"}, nil},
		{ProcessKill{Ports: []int{here0}}, []int{os.Getpid()}},
		{ProcessKill{Ports: []int{here0}, Name: name}, nil},
		{ProcessKill{Account: lab.AccountName(who), Name: "systemd", Cgroup: "^/init.scope$"}, nil}, // pid 1 never
	} {
		got, err := c.f.chosen(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		var pids []int
		for _, p := range got {
			pids = append(pids, p.PID)
		}
		if !slices.Equal(pids, c.pids) {
			t.Errorf("%s: %v, want %v", c.f.choice(), pids, c.pids)
		}
	}
}

func must(t *testing.T, m *labtest.Machine, argv ...string) []byte {
	t.Helper()
	r, err := do(t.Context(), m, "", argv...)
	if err != nil {
		t.Fatal(err)
	}
	return r.Stdout
}

func stateOf(t *testing.T, env *labtest.Env, pid int) aProcess {
	t.Helper()
	all, err := processes(t.Context(), env.Machines[0])
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(p aProcess) bool { return p.PID == pid })
	if i < 0 {
		t.Fatalf("process %d is not listed", pid)
	}
	return all[i]
}

func TestProcessKillCheck(t *testing.T) {
	for _, c := range []struct {
		f    ProcessKill
		want string
	}{
		{ProcessKill{Name: "app"}, ""},
		{ProcessKill{}, ": every process of the machine"},
		{ProcessKill{Name: "app", Signal: "USR1"}, "signal: no such signal"},
		{ProcessKill{Name: "rootlessport-child"}, "name: longer than any process name"},
		{ProcessKill{Unit: "ssh"}, "unit: unit without its kind"},
		{ProcessKill{Unit: "user@1000.service"}, ""},
		{ProcessKill{Ports: []int{3001, 0}}, "ports: no such port"},
	} {
		if c.f.Signal == "" {
			c.f.Signal = "KILL"
		}
		var got []string
		for _, p := range c.f.Check() {
			got = append(got, p.Attr+": "+p.Summary)
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%+v: %q, want %q", c.f, got, c.want)
		}
	}
}
