package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// deployment answers what redeploy asks: podman-compose, and podman's own list of containers.
type deployment struct {
	round   int
	running bool
	refuses bool // podman does not even make containers
	asks    int  // how often podman asks for system migrate
}

func (d *deployment) run(_ context.Context, cmd lab.Command) (lab.Result, error) {
	line := strings.Join(cmd.Argv, " ")
	has := func(part string) bool { return strings.Contains(line, part) }
	switch {
	case has("containers.json"):
		if !d.running {
			return lab.Result{Stdout: []byte("[]")}, nil
		}
		return lab.Result{Stdout: fmt.Appendf(nil, `[{"id":"app%d","names":["app"]},{"id":"proxy%d","names":["proxy"]}][]`, d.round, d.round)}, nil
	case has("podman ps -a"):
		if d.asks > 0 {
			return lab.Result{Code: 1, Stderr: []byte(`try "podman system migrate"`)}, nil
		}
	case has("podman system migrate"):
		d.asks--
	case has("podman-compose down"), has("rm -rf"):
		if !d.refuses {
			d.running = false
		}
	case has("podman-compose up -d"):
		if d.refuses {
			return lab.Result{Code: 1, Stderr: []byte("Error: creating tmpdir: mkdir /run/user/1000: permission denied\n")}, nil
		}
		d.running = true
		d.round++
		return lab.Result{Stdout: []byte("app1\n"), Stderr: []byte("podman run …\nFailed to connect to bus: No such file or directory\nexit code: 0\n")}, nil
	default:
		return lab.Result{}, fmt.Errorf("the test's machine does not know %q", line)
	}
	return lab.Result{}, nil
}

func TestRedeploy(t *testing.T) {
	d := &deployment{running: true, asks: 2}
	env, m := world(t, d.run)
	f := &Redeploy{Stack: "stack.alice"}
	wantError(t, f.Verify(t.Context(), env), "cannot read what the fault did")
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	if ran(m, "podman system migrate") != 2 || ran(m, "podman-compose down -t 1") != 1 || ran(m, "rm -rf") != 0 {
		t.Errorf("ran %v", m.Commands())
	}
	log, _ := m.File("/home/alice/alice/deploy.log")
	if log.Owner != "alice" || !strings.Contains(string(log.Data), "app1\npodman run …\nFailed to connect to bus") {
		t.Errorf("deploy.log is %+v", log)
	}
	if said := strings.Join(env.Said(), "\n"); !strings.HasSuffix(said, "ends with code 0 Failed to connect to bus: No such file or directory") {
		t.Errorf("said %q", said)
	}
	if err := f.Heal(t.Context(), env); err != nil {
		t.Error(err)
	}
}

func TestRedeployFromNothing(t *testing.T) {
	d := &deployment{running: true}
	env, m := world(t, d.run)
	f := &Redeploy{Stack: "stack.alice", FromNothing: true}
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), env); err != nil || ran(m, "rm -rf") != 1 || ran(m, "podman-compose down") != 0 {
		t.Errorf("%v, ran %v", err, m.Commands())
	}
}

func TestRedeployRefused(t *testing.T) {
	d := &deployment{running: true, refuses: true}
	env, _ := world(t, d.run)
	f := &Redeploy{Stack: "stack.alice"}
	if err := f.Inject(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.Verify(t.Context(), env), "service app has no new container; podman-compose up -d ended with code 1")
}
