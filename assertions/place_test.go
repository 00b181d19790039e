package assertions

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// stale is the world of the first incident: alice's proxy and app run, and three addresses belong to nobody.
func stale(h labtest.Handler) *labtest.World {
	w := labtest.NewWorld(h)
	w.SetStack(lab.Stack{Name: "alice", Machine: "machine.server", Account: "alice", Services: []lab.Service{
		{Name: "app", Container: "app", Ports: []int{3000}}, {Name: "proxy", Container: "proxy", Ports: []int{4430}},
	}})
	w.SetContainers("alice",
		lab.Container{ID: "a1", Name: "app", PID: os.Getpid(), Addresses: []netip.Addr{netip.MustParseAddr("10.89.0.11")}},
		lab.Container{ID: "p1", Name: "proxy", PID: os.Getpid(), Addresses: []netip.Addr{netip.MustParseAddr("10.89.0.12")}},
		lab.Container{ID: "o1", Name: "old"},
	)
	return w
}

func look(t *testing.T, o lab.Observer, at lab.Place) lab.Observation {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	seen, err := o.Observe(ctx, at)
	if err != nil {
		t.Fatalf("could not look: %v", err)
	}
	return seen
}

func cannotLook(t *testing.T, o lab.Observer, at lab.Place, want string) {
	t.Helper()
	seen, err := o.Observe(context.Background(), at)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %+v, %v; want an error with %q", seen, err, want)
	}
}

func TestContainer(t *testing.T) {
	w := stale(nil)
	for _, c := range []struct {
		kind    Container
		summary string
		holds   bool
	}{
		{Container{Service: "app", State: StateRunning}, "running", true},
		{Container{Service: "app", State: StateExited}, "running", false},
		{Container{Service: "app", State: StateAbsent}, "running", false},
		{Container{Name: "old", State: StateRunning}, "exited", false},
		{Container{Name: "old", State: StateExited}, "exited", true},
		{Container{Name: "none", State: StateExited}, "absent", false},
		{Container{Name: "none", State: StateAbsent}, "absent", true},
	} {
		c.kind.Stack = "stack.alice"
		o := look(t, &c.kind, w)
		if o.Summary != c.summary || c.kind.Holds([]lab.Observation{o}) != c.holds {
			t.Errorf("%+v: %q, holds %v", c.kind, o.Summary, !c.holds)
		}
	}
	cannotLook(t, &Container{Stack: "stack.bob", Service: "app"}, w, "cannot find stack.bob")
	cannotLook(t, &Container{Stack: "stack.alice", Service: "db"}, w, `cannot find service "db"`)
}

func TestProcess(t *testing.T) {
	w := stale(nil)
	w.SetProcesses(
		lab.Process{PID: 1, Name: "systemd", Cmdline: []string{"/sbin/init"}, State: "S", Account: "root", Memory: 1 << 20},
		lab.Process{PID: 7, Name: "aardvark-dns", Cmdline: []string{"/usr/lib/podman/aardvark-dns", "-p", "53", "run"}, State: "S", Account: "alice", Memory: 3 << 20},
		lab.Process{PID: 8, PPID: 7, Name: "uname", State: "Z", Account: "alice", Cgroup: "/user.slice/libpod-1.scope/container/one"},
		lab.Process{PID: 9, PPID: 1, Name: "uname", State: "Z", Account: "bob", Cgroup: "/user.slice/libpod-1.scope/container2"},
		lab.Process{PID: 21, Name: "app", Cmdline: []string{"/app"}, State: "S", Account: "alice", Cgroup: "/user.slice/libpod-1.scope/container"},
	)
	w.SetContainers("alice", lab.Container{Name: "app", PID: 21}, lab.Container{Name: "proxy"})
	for _, c := range []struct {
		kind   Process
		n      float64
		memory float64
		holds  bool
	}{
		{Process{Name: "aardvark-dns", Count: "at least 1"}, 1, 3 << 20, true},
		{Process{Cmdline: `aardvark-dns .* run$`, Count: "exactly 2"}, 1, 3 << 20, false},
		{Process{State: "Z", Count: "over 1"}, 2, 0, true},
		{Process{State: "ZS", Account: "alice", Count: "exactly 3"}, 3, 3 << 20, true},
		{Process{State: "SZ", Count: "exactly 5"}, 5, 4 << 20, true},
		{Process{State: "Z", Parent: "aardvark-dns", Count: "at least 1"}, 1, 0, true},
		{Process{State: "Z", Parent: "aardvark", Count: "at least 1"}, 0, 0, false},
		{Process{State: "Z", Cgroup: `/container`, Count: "exactly 2"}, 2, 0, true},
		{Process{Stack: "stack.alice", Service: "app", Count: "exactly 2"}, 2, 0, true},
		{Process{Stack: "stack.alice", Service: "app", State: "Z", Count: "exactly 2"}, 1, 0, false},
		{Process{Stack: "stack.alice", Service: "proxy", Count: "exactly 0"}, 0, 0, true},
		{Process{Stack: "stack.alice", State: "Z", Count: "at most 1"}, 1, 0, true},
		{Process{Name: "nginx", Count: "exactly 0"}, 0, 0, true},
	} {
		o := look(t, &c.kind, w)
		if o.Values["processes"] != c.n || o.Values["memory"] != c.memory || c.kind.Holds([]lab.Observation{o}) != c.holds {
			t.Errorf("%+v: %v, holds %v", c.kind, o.Values, !c.holds)
		}
	}
	cannotLook(t, &Process{Stack: "stack.alice", Service: "db"}, w, `cannot find service "db"`)
	if o := look(t, &Process{State: "Z", Account: "bob", Count: "at least 1"}, w); o.Lines[0] != "9 bob Z [uname]" || o.Summary != "1 process" {
		t.Errorf("%q, %q", o.Lines, o.Summary)
	}
}

func TestCommand(t *testing.T) {
	var asked lab.Command
	w := stale(func(ctx context.Context, cmd lab.Command) (lab.Result, error) {
		asked = cmd
		switch cmd.Argv[len(cmd.Argv)-1] {
		case "hang":
			<-ctx.Done()
			return lab.Result{}, ctx.Err()
		case "gone":
			return lab.Result{}, errors.New("no such program")
		}
		return lab.Result{Code: 3, Stdout: []byte("8 answers\n"), Stderr: []byte("a warning\n")}, nil
	})
	for _, c := range []struct {
		kind  Command
		code  float64
		holds bool
	}{
		{Command{Run: "x", Exit: p(3)}, 3, true},
		{Command{Run: "x", Exit: p(0)}, 3, false},
		{Command{Run: "x", Stdout: "[0-9] answers"}, 3, true},
		{Command{Run: "x", Stdout: "dead", Exit: p(3)}, 3, false},
		{Command{Run: "x", ExitCode: "over 0"}, 3, true},
		{Command{Run: "x", ExitCode: "over 3"}, 3, false},
		{Command{Run: "x", Stderr: "warn"}, 3, true},
		{Command{Run: "x", Stderr: "answers"}, 3, false},
		{Command{Run: "x", Stdout: "warning"}, 3, false},
		{Command{Run: "x", Time: "over 9s"}, 3, false},
		{Command{Run: "x", Time: "under 9s", ExitCode: "1 to 3"}, 3, true},
		{Command{Run: "hang", Exit: p(124), Timeout: "20ms"}, 124, true},
		{Command{Run: "hang", Time: "at least 20ms", Timeout: "20ms"}, 124, true},
		{Command{Argv: []string{"dig", "app"}, Exit: p(3)}, 3, true},
	} {
		if c.kind.Timeout == "" {
			c.kind.Timeout = "10s"
		}
		o := look(t, &c.kind, w)
		if o.Values["code"] != c.code || c.kind.Holds([]lab.Observation{o}) != c.holds {
			t.Errorf("%+v: %+v, holds %v", c.kind, o, !c.holds)
		}
	}
	look(t, &Command{Run: "x y", Exit: p(0), Stack: "stack.alice", Timeout: "1s"}, w)
	if asked.Account != "alice" || asked.Dir != "/home/alice/alice" || strings.Join(asked.Argv, "|") != "sh|-c|x y" {
		t.Errorf("asked %+v", asked)
	}
	cannotLook(t, &Command{Run: "gone", Exit: p(0), Timeout: "1s"}, w, "no such program")
}
