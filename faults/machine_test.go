package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// debian answers the commands that faults run, as a Debian machine with systemd and podman would: units, ports, the user
// manager of alice and her containers.
type debian struct {
	mu         sync.Mutex
	units      map[string]bool
	held       map[int]bool // ports that listen
	invocation int
	active     bool
	lingers    bool
	login      bool
	broken     bool // podman asks for system migrate
	containers map[string]string

	portIgnored bool // podman starts although the port is taken
	killMissed  bool // podman is faster than its killer
	busy        int  // how often podman rm fails
	orphan      bool // the forwarder of a killed start holds the port
	immortal    bool // the manager ignores the kill

	noPermission bool // nobody gets a port
	sameID       bool // a new container has the ID of the one before
	ids          int
	shared       bool // a port that is held can be had by another as well
}

func newDebian() *debian {
	return &debian{
		units: map[string]bool{}, held: map[int]bool{3000: true}, active: true, lingers: true, invocation: 1,
		containers: map[string]string{"app": "running", "proxy": "running"},
	}
}

var ok = lab.Result{}

func (d *debian) run(_ context.Context, cmd lab.Command) (lab.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := cmd.Argv
	line := strings.Join(a, " ")
	say := func(format string, args ...any) (lab.Result, error) {
		return lab.Result{Stdout: fmt.Appendf(nil, format+"\n", args...)}, nil
	}
	fail := func(code int, text string) (lab.Result, error) {
		return lab.Result{Code: code, Stderr: []byte(text + "\n")}, nil
	}
	has := func(part string) bool { return strings.Contains(line, part) }
	switch {
	case has("systemctl show -p LoadState"):
		if d.units[a[len(a)-1]] {
			return say("loaded")
		}
		return say("not-found")
	case has("systemctl show -p ActiveState") && has("saigen-port"):
		return say("%s", map[bool]string{true: "active", false: "inactive"}[d.units[a[len(a)-1]]])
	case has("systemctl show -p ActiveState"):
		return say("%s", map[bool]string{true: "active", false: "failed"}[d.active])
	case has("systemctl show -p InvocationID"):
		return say("invocation%d", d.invocation)
	case has("systemctl kill"):
		d.active = d.immortal
		d.broken = d.broken || d.login
		return ok, nil
	case has("systemctl start user@1000"):
		if !d.active {
			d.active = true
			d.invocation++
		}
		return ok, nil
	case has("systemctl stop"):
		unit := a[len(a)-1]
		delete(d.units, unit)
		delete(d.held, 3000)
		d.login = d.login && !strings.HasPrefix(unit, "saigen-login")
		return ok, nil
	case has("reset-failed"):
		return fail(1, "not loaded")
	case a[0] == "systemd-run":
		for i, w := range a {
			if w == "--unit" {
				d.units[a[i+1]] = true
			}
		}
		d.login = d.login || has("PAMName=login")
		if has("socket-activate") && !d.noPermission {
			d.held[3000] = true
		}
		return ok, nil
	case has("loginctl show-user"):
		return say("%s", map[bool]string{true: "Id=19\nLeader=77\nClass=user\nState=online\nScope=session-19.scope\n", false: ""}[d.login])
	case has("systemctl show -p MainPID"):
		return say("%s", map[bool]string{true: "77", false: "0"}[d.login])
	case has("id -u"):
		return say("1000")
	case has("test -e"):
		return lab.Result{Code: map[bool]int{true: 0, false: 1}[d.lingers]}, nil
	case has("test -d"):
		return lab.Result{Code: map[bool]int{true: 0, false: 1}[d.login]}, nil
	case a[0] == "perl":
		if d.held[3000] && !d.shared {
			return lab.Result{Code: codeInUse}, nil
		}
		return ok, nil
	case has("podman-compose down"):
		clear(d.containers)
		delete(d.held, 3000)
		return ok, nil
	case has("/proc/net/udp"):
		table := ""
		for port := range d.held {
			table += fmt.Sprintf(" 0: 00000000:%04X 00000000:0000 07 0:0 0:0 0 1000 0 77%d\n", port, port)
		}
		return say("%s", table)
	case has("/proc/net/tcp"):
		table := "sl local_address rem_address st queues timer retransmits uid timeout inode\n"
		for port := range d.held {
			table += fmt.Sprintf(" 0: 00000000:%04X 00000000:0000 0A 0:0 0:0 0 1000 0 77%d\n", port, port)
		}
		return say("%s", table)
	case has("podman-compose up"):
		for _, c := range []string{"app", "proxy"} {
			if d.containers[c] == "" {
				d.containers[c] = map[bool]string{true: "created", false: "running"}[has("--no-start")]
			}
		}
		if d.held[3000] && has("up -d") {
			d.containers["app"] = "created"
			return lab.Result{Stderr: []byte("Error: rootlessport listen tcp 0.0.0.0:3000: bind: " + inUse + "\n")}, nil
		}
		return ok, nil
	case has("podman-compose restart"):
		return ok, nil
	case has("podman ps"):
		if d.broken {
			return fail(1, `level=error msg="invalid internal status, try resetting the pause process with \"podman system migrate\""`)
		}
		return ok, nil
	case has("podman system migrate"):
		d.broken = false
		return ok, nil
	case has("readlink"):
		for port := range d.held {
			if a[len(a)-1] == fmt.Sprintf("77%d", port) {
				delete(d.held, port)
			}
		}
		return ok, nil
	case has("podman rm"):
		if d.busy > 0 {
			d.busy--
			return fail(125, "userdata/shm: device or resource busy")
		}
		for _, c := range a[6:] {
			delete(d.containers, c)
			if c == "app" && !d.units[(port{TCP, 3000}).unit()] {
				delete(d.held, 3000)
				if d.orphan {
					d.held[3000] = true
				}
			}
		}
		return ok, nil
	case has("timeout --signal=KILL"):
		if d.killMissed {
			return ok, nil
		}
		d.orphan = true
		return lab.Result{Code: 137, Signal: "SIGKILL"}, nil
	case has("podman start"):
		if d.held[3000] && !d.portIgnored {
			return fail(125, `Error: unable to start container "c": rootlessport listen tcp 0.0.0.0:3000: bind: address already in use`)
		}
		return ok, nil
	case has("podman inspect -f {{.Id}}"):
		if !d.sameID {
			d.ids++
		}
		return say("id%d", d.ids)
	case has("podman inspect"):
		return say("%v", d.containers[a[len(a)-1]] == "running")
	}
	return lab.Result{}, fmt.Errorf("the test's machine does not know %q", line)
}

// world starts the machine, and returns what a fault may use of it.
func world(t *testing.T, h labtest.Handler) (*labtest.Env, *labtest.Machine) {
	t.Helper()
	stack := lab.Stack{Name: "alice", Machine: "machine.server", Account: "alice", Services: []lab.Service{
		{Name: "app", Container: "app", Ports: []int{3000}}, {Name: "proxy", Container: "proxy", Ports: []int{4430}},
	}}
	l := &lab.Lab{
		Machines: []lab.Machine{{Name: "server", Accounts: []lab.Account{{Name: "alice", Session: lab.SessionLinger}}}},
		Stacks:   []lab.Stack{stack},
	}
	d := &labtest.Driver{Handler: h}
	if err := d.Prepare(t.Context(), l, func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	m, err := d.Start(t.Context(), "run", l, l.Machines[0])
	if err != nil {
		t.Fatal(err)
	}
	return &labtest.Env{Machines: []lab.Running{m}, Stacks: l.Stacks}, d.Machines()[0]
}

// ran is how often a command that contains the text was run.
func ran(m *labtest.Machine, text string) int {
	n := 0
	for _, c := range m.Commands() {
		if strings.Contains(strings.Join(c.Argv, " "), text) {
			n++
		}
	}
	return n
}
