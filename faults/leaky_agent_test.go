package faults

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// agentMachine answers what leaky_agent runs: units of root and of alice's manager, a container, and the pacer's progress.
type agentMachine struct {
	mu      sync.Mutex
	units   map[string]string // unit → whose manager: "system" or "alice"
	manager bool              // alice's answers
	runs    bool              // the container
	fails   bool              // every run of the client fails
	events  int
}

func (d *agentMachine) run(_ context.Context, cmd lab.Command) (lab.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	line := strings.Join(cmd.Argv, " ")
	say := func(format string, args ...any) (lab.Result, error) {
		return lab.Result{Stdout: fmt.Appendf(nil, format+"\n", args...)}, nil
	}
	whose := "system"
	if strings.Contains(line, "--user") {
		whose = cmd.Account
		if !d.manager {
			return lab.Result{Code: 1, Stderr: []byte("Failed to connect to bus")}, nil
		}
	}
	last := cmd.Argv[len(cmd.Argv)-1]
	unit := func() string { return cmd.Argv[slices.Index(cmd.Argv, "--unit")+1] }
	switch {
	case strings.Contains(line, "show -p Version"):
		return say("Version=252")
	case strings.Contains(line, "show -p LoadState"):
		if d.units[last] == whose {
			return say("loaded")
		}
		return say("not-found")
	case strings.Contains(line, "show -p SubState"):
		if d.units[last] != whose {
			return say("SubState=dead\nResult=success\nExecMainStatus=0")
		}
		return say("SubState=running\nResult=success\nExecMainStatus=0")
	case cmd.Argv[0] == "systemd-run":
		d.units[unit()] = whose
		return ok, nil
	case strings.Contains(line, " stop saigen-"):
		delete(d.units, last)
		return ok, nil
	case strings.Contains(line, "reset-failed"):
		return lab.Result{Code: 1}, nil
	case strings.HasPrefix(line, "podman inspect"):
		return say("%v", d.runs)
	case strings.HasPrefix(line, "podman-compose up"):
		d.runs = true
		return ok, nil
	case strings.HasPrefix(line, "podman stop"):
		d.runs = false
		return ok, nil
	case strings.HasPrefix(line, "tail"):
		return say("connection refused")
	case strings.HasPrefix(line, "test -e"):
		return lab.Result{Code: 1}, nil // answered by the world when the file was put
	}
	return lab.Result{}, fmt.Errorf("the test's machine does not know %q", line)
}

// answer is run with what the world would answer itself: the progress file, which the pacer rewrites.
func (d *agentMachine) answer(m **labtest.Machine) labtest.Handler {
	return func(ctx context.Context, cmd lab.Command) (lab.Result, error) {
		if cmd.Argv[0] == "test" {
			_, there := (*m).File(cmd.Argv[2])
			return lab.Result{Code: map[bool]int{true: 0, false: 1}[there]}, nil
		}
		return d.run(ctx, cmd)
	}
}

func agentWorld(t *testing.T, d *agentMachine) (*labtest.Env, *labtest.Machine) {
	t.Helper()
	var m *labtest.Machine
	env, made := world(t, d.answer(&m))
	m = made
	env.Machines = []lab.Running{&progressing{Running: env.Machines[0], d: d}}
	return env, m
}

// progressing is a machine whose progress file moves with every look.
type progressing struct {
	lab.Running
	d *agentMachine
}

func (p *progressing) Run(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	if cmd.Argv[0] == "cat" && strings.HasSuffix(cmd.Argv[1], "/progress") {
		p.d.mu.Lock()
		defer p.d.mu.Unlock()
		if p.d.fails {
			return lab.Result{Stdout: []byte(`{"events":0,"failed":30,"code":7,"done":true}`)}, nil
		}
		if slices.ContainsFunc(slices.Collect(maps.Keys(p.d.units)), func(u string) bool { return strings.HasPrefix(u, "saigen-drive-") }) {
			p.d.events += 10
		}
		return lab.Result{Stdout: fmt.Appendf(nil, `{"events":%d,"failed":0,"code":0,"done":false}`, p.d.events)}, nil
	}
	return p.Running.Run(ctx, cmd)
}

func TestLeakyAgent(t *testing.T) {
	for _, c := range []struct {
		name    string
		fault   LeakyAgent
		machine *agentMachine
		units   map[string]string // while in force
		ran     bool              // the service runs after healing
	}{
		{
			"a service that runs", LeakyAgent{Stack: "stack.alice", Service: "app"}, &agentMachine{manager: true, runs: true},
			map[string]string{"saigen-drive-alice-app.service": "alice"}, true,
		},
		{
			"a service that does not", LeakyAgent{Stack: "stack.alice", Service: "app"}, &agentMachine{manager: true},
			map[string]string{"saigen-drive-alice-app.service": "alice"}, false,
		},
		{
			"a program of root", LeakyAgent{Machine: "machine.server", Argv: []string{"/usr/local/bin/agent", "-v"}}, &agentMachine{},
			map[string]string{"saigen-drive-root-agent.service": "system", "saigen-agent-root-agent.service": "system"}, false,
		},
		{
			"a program of an account without a manager", LeakyAgent{Machine: "machine.server", Account: "alice", Argv: []string{"agent"}}, &agentMachine{},
			map[string]string{"saigen-drive-alice-agent.service": "system", "saigen-agent-alice-agent.service": "system"}, false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, d := &c.fault, c.machine
			d.units = map[string]string{}
			f.Drive, f.PerSecond, f.Count, f.Batch, f.Clients = []string{"client", "-n", "5"}, 2.5, 300, 5, 2
			env, m := agentWorld(t, d)
			if err := f.Heal(t.Context(), env); err != nil {
				t.Error("before Inject:", err)
			}
			if err := f.Inject(t.Context(), env); err != nil {
				t.Fatal(err)
			}
			if n := ran(m, "perl "+folder+"/drive.pl "+folder+"/drive-"); n != 1 || ran(m, "/progress 2.5 300 5 2 client -n 5") != 1 {
				t.Errorf("%d pacers, of %v", n, m.Commands())
			}
			if err := f.Verify(t.Context(), env); err != nil {
				t.Error(err)
			}
			if fmt.Sprint(d.units) != fmt.Sprint(c.units) {
				t.Errorf("units %v, want %v", d.units, c.units)
			}
			for range 2 {
				if err := f.Heal(t.Context(), env); err != nil {
					t.Error(err)
				}
			}
			if len(d.units) > 0 || d.runs != c.ran {
				t.Errorf("left: units %v, the service runs: %v", d.units, d.runs)
			}
			wantError(t, f.Verify(t.Context(), env), "cannot confirm leaky_agent: ")
		})
	}
}

func TestLeakyAgentNotInForce(t *testing.T) {
	d := &agentMachine{units: map[string]string{}, manager: true, runs: true}
	env, _ := agentWorld(t, d)
	f := &LeakyAgent{Stack: "stack.alice", Service: "app", Drive: []string{"client"}, PerSecond: 1, Batch: 1, Clients: 1}
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	d.fails = true
	wantError(t, f.Verify(t.Context(), env), "every run failed, the last with code 7; 0 events made, 30 failed: connection refused")
	d.fails = false
	delete(d.units, "saigen-drive-alice-app.service")
	wantError(t, f.Verify(t.Context(), env), "cannot find saigen-drive-alice-app.service running: SubState=dead")
	d.runs = false
	wantError(t, f.Verify(t.Context(), env), "container app does not run")
	f.Service = "none"
	wantError(t, f.Inject(t.Context(), env), `cannot drive service "none"`)
}

func TestLeakyAgentCheck(t *testing.T) {
	good := LeakyAgent{Stack: "stack.a", Service: "agent", Drive: []string{"client"}, PerSecond: 1, Batch: 1, Clients: 1}
	for _, c := range []struct {
		change func(f *LeakyAgent)
		want   string
	}{
		{func(*LeakyAgent) {}, ""},
		{func(f *LeakyAgent) { f.Machine = "machine.m" }, ": one agent is needed"},
		{func(f *LeakyAgent) { f.Service = "" }, ": half an agent"},
		{func(f *LeakyAgent) { f.Stack, f.Service, f.Machine = "", "", "machine.m" }, ": half an agent"},
		{func(f *LeakyAgent) { f.Drive = nil }, "drive: nothing drives the agent"},
		{func(f *LeakyAgent) { f.PerSecond = 0 }, "per_second: no rate"},
		{func(f *LeakyAgent) { f.Batch, f.Count = 0, -1 }, "batch: too few; count: too few"},
	} {
		f := good
		c.change(&f)
		var got []string
		for _, p := range f.Check() {
			got = append(got, p.Attr+": "+p.Summary)
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("got %q, want %q", s, c.want)
		}
	}
}

// The pacer itself, with the perl that every Debian system has.
func TestDrive(t *testing.T) {
	perl, err := exec.LookPath("perl")
	if err != nil {
		t.Skip("there is no perl here")
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "drive.pl")
	if err := os.WriteFile(script, drivePL, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ run, want string }{
		{"exit 0", `{"events":40,"failed":0,"code":0,"done":true}`},
		{"echo no >&2; exit 3", `{"events":0,"failed":40,"code":3,"done":true}`},
		{"kill -9 $$", `{"events":0,"failed":40,"code":137,"done":true}`},
	} {
		progress := filepath.Join(dir, "progress")
		if out, err := exec.CommandContext(t.Context(), perl, script, progress, "1000", "40", "10", "2", "sh", "-c", c.run).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got, err := os.ReadFile(progress)
		if err != nil || strings.TrimSpace(string(got)) != c.want {
			t.Errorf("%s: got %s, want %s (%v)", c.run, got, c.want, err)
		}
	}
	said, err := os.ReadFile(filepath.Join(dir, "progress.err"))
	if err != nil || strings.Count(string(said), "no\n") != 4 {
		t.Errorf("%d lines were kept of what it said (%v)", strings.Count(string(said), "no\n"), err)
	}
}
