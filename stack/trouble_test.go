package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
	"github.com/saigen-lab/saigen/stack"
)

// container is what podman says of one container.
type container struct {
	name, status, err, policy string
	code, restarts            int
	oom                       bool
	log                       string
}

// podman answers as podman-compose and podman do on a machine with these containers.
type podman struct {
	said       string // by podman-compose up
	code       int
	containers []container
	listens    string // what the machine's script says of who listens
	ps         string
	broken     bool // podman inspect cannot be read
}

func (p podman) answer(_ context.Context, cmd lab.Command) (lab.Result, error) {
	line := strings.Join(cmd.Argv, " ")
	switch {
	case strings.HasPrefix(line, "podman-compose up"):
		return lab.Result{Code: p.code, Stdout: []byte(p.said)}, nil
	case strings.HasPrefix(line, "podman inspect") && p.broken:
		return lab.Result{Code: 125, Stderr: []byte("Error: cannot reach the database")}, nil
	case strings.HasPrefix(line, "podman inspect"):
		all := []any{}
		r := lab.Result{}
		for _, name := range cmd.Argv[4:] {
			i := slices.IndexFunc(p.containers, func(c container) bool { return c.name == name })
			if i < 0 {
				r.Code, r.Stderr = 125, fmt.Appendf(r.Stderr, "Error: no such object: %q\n", name)
				continue
			}
			c := p.containers[i]
			all = append(all, map[string]any{
				"Id": "id-of-" + name, "Name": name, "RestartCount": c.restarts,
				"State":      map[string]any{"Status": c.status, "Error": c.err, "ExitCode": c.code, "OOMKilled": c.oom},
				"HostConfig": map[string]any{"RestartPolicy": map[string]any{"Name": c.policy, "MaximumRetryCount": 3}},
			})
		}
		var err error
		r.Stdout, err = json.Marshal(all)
		return r, err
	case strings.HasPrefix(line, "podman logs"):
		for _, c := range p.containers {
			if c.name == cmd.Argv[len(cmd.Argv)-1] {
				return lab.Result{Stderr: []byte(c.log)}, nil
			}
		}
		return lab.Result{Code: 125}, nil
	case strings.HasPrefix(line, "podman ps") && cmd.Account == "bob":
		return lab.Result{Stdout: []byte(p.ps)}, nil
	case cmd.Argv[0] == "sh" && cmd.Argv[len(cmd.Argv)-1] == "4430" && cmd.Account == "":
		return lab.Result{Stdout: []byte(p.listens)}, nil
	}
	return lab.Result{Code: 127}, nil
}

var (
	web = lab.Stack{
		Name: "web", Machine: "machine.m", Account: "alice", Compose: "compose.yaml",
		Services: []lab.Service{{Name: "app", Container: "app"}, {Name: "proxy", Container: "proxy", Ports: []int{443, 4430}}},
	}
	machine = lab.Machine{Name: "m", Accounts: []lab.Account{{Name: "alice"}, {Name: "bob"}}}
	fine    = container{name: "app", status: "running"}
)

func start(t *testing.T, p podman) *labtest.Machine {
	t.Helper()
	return &labtest.Machine{World: labtest.NewWorld(p.answer), Spec: machine}
}

func compose(t *testing.T) *stack.Compose {
	t.Helper()
	c, err := stack.New(assertions.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// folder is a lab's folder with a compose file, which no fake machine reads.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte("services: {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What podman-compose printed on bookworm (1.0.3, podman 4.3.1) and on trixie (1.3.0, podman 5.4.2).
const (
	busyBookworm = `8173f26aa666af4237dce2845c06bf8685f274d0dd743af2570cdd7331955d84
Error: rootlessport listen tcp 0.0.0.0:4430: bind: address already in use
Error: unable to start container "id-of-proxy": rootlessport listen tcp 0.0.0.0:4430: bind: address already in use
['podman', '--version', '']
using podman version: 4.3.1
exit code: 126
podman start proxy
exit code: 125
`
	absentBookworm = `Error: cannot set multiple networks without bridge network mode, selected mode host: invalid argument
Error: no container with name or ID "proxy" found: no such container
exit code: 125
podman start proxy
exit code: 125
`
	privilegedTrixie = `app
Error: unable to start container "id-of-proxy": rootlessport cannot expose privileged port 443, you can add 'net.ipv4.ip_unprivileged_port_start=443' to /etc/sysctl.conf (currently 1024), or choose a larger port number (>= 1024): listen tcp 0.0.0.0:443: bind: permission denied
`
	inUse = "rootlessport listen tcp 0.0.0.0:4430: bind: address already in use"
)

func TestUpSaysWhy(t *testing.T) {
	created := container{name: "proxy", status: "created"}
	for _, c := range []struct {
		name   string
		podman podman
		want   string // what is wrong; empty: nothing
		tail   string
	}{
		{"fine", podman{said: "app\nproxy\n"}, "", ""},
		{"an error that is not the stack's", podman{said: "Error: network exists\n", containers: []container{fine, {name: "proxy", status: "running"}}}, "", ""},
		{"port taken by another account's container", podman{
			said: busyBookworm, containers: []container{fine, created}, listens: "bob 505 rootlessport\n", ps: "app 0.0.0.0:3001->3000/tcp\nnginx 0.0.0.0:4430->80/tcp\n",
		}, `cannot start stack.web: port 4430, which service "proxy" publishes, is taken on machine.m by container "nginx" of account bob`, inUse},
		{"port taken by a process", podman{said: busyBookworm, containers: []container{fine, created}, listens: "root 412 perl\n"},
			`cannot start stack.web: port 4430, which service "proxy" publishes, is taken on machine.m by "perl" of account root, process 412`, inUse},
		{"port taken by who is gone", podman{said: busyBookworm, containers: []container{fine, created}},
			`cannot start stack.web: port 4430, which service "proxy" publishes, is taken on machine.m`, inUse},
		{"reserved port", podman{said: privilegedTrixie, containers: []container{fine, created}},
			`cannot start stack.web: service "proxy" did not start: rootlessport cannot expose privileged port 443, you can add`, ""},
		{"podman 5 says it of the container", podman{said: "Error: x\n", containers: []container{fine, {name: "proxy", status: "created", err: "crun: executable file `ngin` not found in $PATH"}}},
			"cannot start stack.web: service \"proxy\" did not start: crun: executable file `ngin` not found in $PATH", "x"},
		{"not made", podman{said: absentBookworm, containers: []container{fine}},
			`cannot start stack.web: service "proxy" did not start: cannot set multiple networks without bridge network mode, selected mode host: invalid argument`, "cannot set multiple"},
		{"ended with a code", podman{said: "yaml.scanner.ScannerError: mapping values are not allowed here\n  in \"compose.yaml\", line 3\n", code: 1, broken: true},
			`cannot start stack.web: podman-compose up -d as alice ended with code 1: "in \"compose.yaml\", line 3"`, "yaml.scanner.ScannerError"},
		{"exited meanwhile", podman{said: "Error: x\n", containers: []container{{name: "app", status: "exited", code: 2, log: "no config\n"}, created}},
			`service "app" of stack.web exited with code 2: "no config"`, "no config"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := start(t, c.podman)
			err := compose(t).Up(t.Context(), m, folder(t), web)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *lab.InfraError
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if !strings.HasPrefix(e.What, c.want) {
				t.Errorf("got  %s\nwant %s", e.What, c.want)
			}
			if !strings.HasPrefix(e.Tail, c.tail) || strings.Contains(e.Tail, "unable to start") {
				t.Errorf("tail %q, want %q", e.Tail, c.tail)
			}
		})
	}
	t.Run("no podman for a stack that is fine", func(t *testing.T) {
		m := start(t, podman{said: "app\nproxy\n"})
		if err := compose(t).Up(t.Context(), m, folder(t), web); err != nil || len(m.Commands()) != 1 {
			t.Errorf("%v, commands %v", err, m.Commands())
		}
	})
}

func TestTrouble(t *testing.T) {
	running := container{name: "proxy", status: "running"}
	for _, c := range []struct {
		name  string
		all   []container
		want  string
		final bool
	}{
		{"all run", []container{fine, running}, "", false},
		{"exited", []container{{name: "app", status: "exited", code: 1, log: "starting\ncannot connect to database: no DATABASE_URL\n"}, running},
			`service "app" of stack.web exited with code 1: "cannot connect to database: no DATABASE_URL"`, true},
		{"the first of two", []container{{name: "app", status: "exited", code: 1, log: "a"}, {name: "proxy", status: "exited", code: 1, log: "b"}},
			`service "app" of stack.web exited with code 1: "a"`, true},
		{"said nothing", []container{{name: "app", status: "exited", policy: "no"}, running}, `service "app" of stack.web exited with code 0 and printed nothing`, true},
		{"panic", []container{{name: "app", status: "exited", code: 2, log: "panic: no DATABASE_URL\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:1\n"}, running},
			`service "app" of stack.web exited with code 2: "panic: no DATABASE_URL"`, true},
		{"memory", []container{{name: "app", status: "exited", code: 137, oom: true, log: "loading"}, running},
			`service "app" of stack.web was killed because its memory was used up: "loading"`, true},
		{"is restarted", []container{{name: "app", status: "exited", code: 1, policy: "always", log: "no"}, running},
			`service "app" of stack.web ends again and again (restarts so far: 0): "no"`, false},
		{"runs for the moment", []container{{name: "app", status: "running", policy: "always", restarts: 16, log: "no"}, running},
			`service "app" of stack.web ends again and again (restarts so far: 16): "no"`, false},
		{"restarted on failure", []container{{name: "app", status: "exited", code: 1, policy: "on-failure", restarts: 1, log: "no"}, running},
			`service "app" of stack.web ends again and again (restarts so far: 1): "no"`, false},
		{"restarted often enough", []container{{name: "app", status: "exited", code: 1, policy: "on-failure", restarts: 3, log: "no"}, running},
			`service "app" of stack.web ends again and again (restarts so far: 3): "no"`, true},
		{"no failure", []container{{name: "app", status: "exited", policy: "on-failure", log: "done"}, running},
			`service "app" of stack.web exited with code 0: "done"`, true},
		{"one that is restarted, and one that is not", []container{{name: "app", status: "exited", code: 1, policy: "always"}, {name: "proxy", status: "exited", code: 3, log: "host not found"}},
			`service "proxy" of stack.web exited with code 3: "host not found"`, true},
		{"not there", []container{fine}, `cannot start stack.web: service "proxy" did not start`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			trouble, final := compose(t).Trouble(t.Context(), start(t, podman{containers: c.all}), web)
			got := ""
			if trouble != nil {
				got = trouble.What
			}
			if got != c.want || final != c.final {
				t.Errorf("got  %s, final %v\nwant %s, final %v", got, final, c.want, c.final)
			}
		})
	}
	if trouble, final := compose(t).Trouble(t.Context(), start(t, podman{broken: true}), web); trouble != nil || final {
		t.Errorf("podman cannot be asked, and yet: %v", trouble)
	}
}

// outcome runs a lab with the stack on fake machines whose containers are these.
func outcome(t *testing.T, ready string, all ...container) (*runner.Outcome, *labtest.Driver, time.Duration) {
	t.Helper()
	p := podman{containers: all}
	d := &labtest.Driver{Kinds: assertions.Kinds(), Handler: p.answer, Made: func(m *labtest.Machine) {
		var seen []lab.Container
		for i, c := range all {
			k := lab.Container{ID: c.name, Name: c.name}
			if c.status == "running" {
				k.PID = 100 + i
			}
			seen = append(seen, k)
		}
		m.SetContainers("alice", seen...)
	}}
	look := func(role, value string, is lab.Limit) lab.Assertion {
		do := &labtest.Reading{Machine: "machine.m", Value: value, Is: is}
		settings, err := json.Marshal(do)
		if err != nil {
			t.Fatal(err)
		}
		return lab.Assertion{Role: role, Kind: "fake", Name: value, Machine: "machine.m", Every: "5ms", Within: "250ms", Settings: settings, Do: do}
	}
	l := &lab.Lab{
		Name: "x", Dir: folder(t), Expect: lab.NotReproduced, Machines: []lab.Machine{machine}, Stacks: []lab.Stack{web},
		Ready: []lab.Assertion{look("ready", "up", lab.Limit(ready))}, Symptoms: []lab.Assertion{look("symptom", "sick", "over 0")},
	}
	r := runner.Runner{Driver: d, Composer: compose(t), Sink: silent{}, Run: "r", Folder: t.TempDir(), Keep: runner.KeepNever}
	began := time.Now()
	s, err := r.All(t.Context(), []*lab.Lab{l}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if left := d.Left(); len(left) > 0 {
		t.Errorf("left alive: %v", left)
	}
	return s.Outcomes[0], d, time.Since(began)
}

type silent struct{}

func (silent) Event(runner.Event) {}

// The outcome of a trial begins with the service that is the cause, and comes at once when waiting is of no use.
func TestOutcomeNamesTheCause(t *testing.T) {
	proxy := container{name: "proxy", status: "running"}
	t.Run("exited", func(t *testing.T) {
		o, _, took := outcome(t, "under 1", container{name: "app", status: "exited", code: 1, log: "no DATABASE_URL"}, proxy)
		if want := `service "app" of stack.web exited with code 1: "no DATABASE_URL"`; o.Verdict != lab.Inconclusive || o.Because != want {
			t.Errorf("%s: %s", o.Verdict, o.Because)
		}
		if o.Hint == "" || o.Tail != "no DATABASE_URL" {
			t.Errorf("hint %q, tail %q", o.Hint, o.Tail)
		}
		if took > 20*time.Second { // the probe of the container has a minute
			t.Errorf("it took %s", took)
		}
	})
	t.Run("restarts", func(t *testing.T) {
		o, _, _ := outcome(t, "over 0", container{name: "app", status: "running", policy: "always", restarts: 5, log: "no DATABASE_URL"}, proxy)
		want := `service "app" of stack.web ends again and again (restarts so far: 5): "no DATABASE_URL"; ready.fake.up did not pass within 250ms (up is 0)`
		if o.Verdict != lab.Inconclusive || o.Because != want {
			t.Errorf("%s: %s", o.Verdict, o.Because)
		}
	})
	t.Run("another reason", func(t *testing.T) {
		o, _, _ := outcome(t, "over 0", fine, proxy)
		if want := "ready.fake.up did not pass within 250ms (up is 0)"; o.Verdict != lab.Inconclusive || o.Because != want {
			t.Errorf("%s: %s", o.Verdict, o.Because)
		}
	})
	t.Run("healthy", func(t *testing.T) {
		o, d, _ := outcome(t, "under 1", fine, proxy)
		if o.Verdict != lab.NotReproduced {
			t.Errorf("%s: %s", o.Verdict, o.Because)
		}
		for _, m := range d.Machines() {
			for _, c := range m.Commands() {
				if c.Argv[0] == "podman" {
					t.Errorf("a healthy stack was asked %q", c.Argv)
				}
			}
		}
	})
}
