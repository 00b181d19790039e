package container

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// rootlessContainer runs a container of the account from nothing but the machine's own files.
const rootlessContainer = `set -e
mkdir -p fs/bin; cp /bin/sleep /bin/true fs/bin
for l in $(ldd /bin/sleep | grep -o '/[^ ]*'); do mkdir -p fs$(dirname $l); cp $l fs$l; done
tar -C fs -cf fs.tar .
podman import -q fs.tar tiny >/dev/null
podman network create web >/dev/null
podman run -d --name one --network web -p 8080:80 tiny /bin/sleep 100 >/dev/null
podman info --format '{{.Store.GraphDriverName}}'
podman ps --format '{{.Names}} {{.Ports}}'
`

func TestMachine(t *testing.T) {
	real(t)
	l := drivertest.OneMachine()
	b := open(t, "t-machine", l)
	before := drivertest.Take(t, b.dir)
	m := drivertest.Start(t, b, b.id, l, 0)

	if got := drivertest.Sh(t, m, "", "hostname; cat /proc/1/comm; systemctl is-system-running || true"); got != "server\nsystemd\nrunning" {
		t.Errorf("hostname, PID 1 and state are %q", got)
	}
	if got := drivertest.Sh(t, m, "", "cat /etc/hosts | grep -v localhost"); got != "127.0.0.1\tserver saigen-t-machine-server" {
		t.Errorf("/etc/hosts has %q", got)
	}
	if got := drivertest.Sh(t, m, "", "ip -o link | cut -d: -f2; ip route"); got != "lo" {
		t.Errorf("links and routes are %q", got)
	}
	if got := drivertest.Sh(t, m, "", "stat -c '%a %n' /dev/net/tun /dev/fuse"); got != "666 /dev/net/tun\n666 /dev/fuse" {
		t.Errorf("devices are %q", got)
	}
	if got := drivertest.Sh(t, m, "alice", rootlessContainer); got != "overlay\none 0.0.0.0:8080->80/tcp" {
		t.Errorf("rootless podman says %q", got)
	}
	for range 2 {
		if err := m.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Run(t.Context(), lab.Command{Argv: []string{"true"}}); err == nil {
		t.Error("a destroyed machine runs commands")
	}
	drivertest.Start(t, b, b.id, l, 0)
	if len(drivertest.NewThings(t, before, b.dir, b.id)) == 0 {
		t.Error("the inventory does not see a running machine")
	}
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	drivertest.NothingLeft(t, before, b.dir, b.id)
	if left, err := filepath.Glob(filepath.Join(b.dir, "*", string(b.id), "container")); err != nil || len(left) > 0 {
		t.Errorf("scratch is left: %v %v", left, err)
	}
}

func TestTwoMachinesReachEachOtherAndNothingElse(t *testing.T) {
	real(t)
	l := drivertest.TwoMachines()
	b := open(t, "t-two", l)
	drivertest.Start(t, b, b.id, l, 0)
	client := drivertest.Start(t, b, b.id, l, 1)
	if got := drivertest.Sh(t, client, "", "ping -c 1 -W 2 server >/dev/null && echo reached; ip route show default"); got != "reached" {
		t.Errorf("the client says %q", got)
	}
}

// The accounts' podmans find the service images without a copy, and own what is in them.
func TestServiceImages(t *testing.T) {
	real(t)
	l := drivertest.OneMachine()
	l.Dir = t.TempDir()
	l.Images = append(l.Images, lab.Image{Name: "app", Go: "app"})
	l.Stacks = []lab.Stack{{Name: "alice", Machine: "machine.server", Account: "alice", Images: []lab.ImageRef{"image.app"}}}
	for name, text := range map[string]string{
		"go.mod":  "module app\n",
		"main.go": "package main\n\nimport \"os\"\n\nfunc main() { i, _ := os.Stat(\"/app\"); println(\"app\", os.Getuid(), i.Mode().String()) }\n",
	} {
		if err := os.MkdirAll(filepath.Join(l.Dir, "app"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(l.Dir, "app", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, "t-images", l)
	m := drivertest.Start(t, b, b.id, l, 0)
	if got := drivertest.Sh(t, m, "alice", "podman run --rm --network none localhost/app:latest 2>&1"); got != "app 0 -rwxr-xr-x" {
		t.Errorf("the service says %q", got)
	}
	if got := drivertest.Sh(t, m, "alice", "podman images --format '{{.Repository}} {{.ReadOnly}}'"); got != "localhost/app true" {
		t.Errorf("alice's images are %q", got)
	}
}

func TestTwoRunsAtOnce(t *testing.T) {
	real(t)
	one, two := drivertest.OneMachine(), drivertest.OneMachine()
	a, b := open(t, "t-a", one), open(t, "t-b", two)
	started := make(chan error)
	machines := make(chan lab.Running, 2)
	for _, v := range []struct {
		b *bench
		l *lab.Lab
	}{{a, one}, {b, two}} {
		go func() {
			m, err := v.b.Start(t.Context(), v.b.id, v.l, v.l.Machines[0])
			if v.b == b && err == nil {
				machines <- m
			}
			started <- err
		}()
	}
	for range 2 {
		if err := <-started; err != nil {
			t.Fatal(drivertest.Explain(err))
		}
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := drivertest.Sh(t, <-machines, "alice", "echo here"); got != "here" { // the other one does not notice
		t.Errorf("the other run's machine says %q", got)
	}
}

// A podman service that saigen did not start for this run stands for the user's own engine.
func TestExistingEngine(t *testing.T) {
	real(t)
	shared := drivertest.OneMachine()
	owner := open(t, "t-owner", shared)
	socket := filepath.Join(owner.dir, "r", "t-owner", "engine.sock")
	_, e, err := owner.engineFor(t.Context(), owner.id, shared)
	if err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	b, err := newBench(t.TempDir(), "t-guest", func(o *Options) { o.Engine = "unix://" + socket })
	if err != nil {
		t.Fatal(err)
	}
	l := drivertest.TwoMachines()
	if err := b.Prepare(t.Context(), l, t.Logf); err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	before := drivertest.Take(t, b.dir)
	drivertest.Start(t, b, b.id, l, 0)
	second := drivertest.Start(t, b, b.id, l, 1)
	if got := drivertest.Sh(t, second, "", "ping -c 1 -W 2 server >/dev/null && echo reached"); got != "reached" {
		t.Errorf("the client says %q", got)
	}
	// The run is not ended by the driver that started it: all there is to go by is the ledger.
	if err := b.Ledger.Undo(t.Context()); err != nil {
		t.Error(err)
	}
	drivertest.NothingLeft(t, before, b.dir, b.id)
	containers, err := e.api.ContainerList(t.Context(), client.ContainerListOptions{All: true})
	if err != nil || len(containers.Items) > 0 {
		t.Errorf("the engine still has %v, %v", containers.Items, err)
	}
	images, err := e.api.ImageList(t.Context(), client.ImageListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images.Items {
		for _, tag := range i.RepoTags {
			if strings.Contains(tag, "t-guest") {
				t.Errorf("the engine still has image %s", tag)
			}
		}
	}
	networks, err := e.api.NetworkList(t.Context(), client.NetworkListOptions{})
	if err != nil || len(networks.Items) != 1 {
		t.Errorf("the engine has networks %v, %v", networks.Items, err)
	}
}

// A run that is kept outlives its process, is reached through its sockets alone, and is undone from its ledger.
func TestKeptRun(t *testing.T) {
	real(t)
	l := drivertest.OneMachine()
	b := open(t, "t-kept", l)
	before := drivertest.Take(t, b.dir)
	drivertest.Start(t, b, b.id, l, 0)
	if err := b.Ledger.Keep(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Ledger.Close(); err != nil {
		t.Fatal(err)
	}
	if dead, err := ledger.Dead(b.Runs()); err != nil || len(dead) > 0 {
		t.Errorf("a kept run is dead: %v, %v", dead, err)
	}
	m, err := Connect(t.Context(), filepath.Join(b.dir, "r", "t-kept"), "server")
	if err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	if got := drivertest.Sh(t, m, "alice", "id -un"); got != "alice" {
		t.Errorf("alice is %q", got)
	}
	if console, err := m.Console(t.Context()); err != nil || !strings.Contains(console, "saigen") {
		t.Errorf("the console says %q, %v", console, err)
	}
	left, err := ledger.Left(b.Runs())
	if err != nil || len(left) != 1 {
		t.Fatalf("left are %v, %v", left, err)
	}
	if err := ledger.Collect(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	drivertest.NothingLeft(t, before, b.dir, b.id)
}

// What does not come up is explained, and nothing of it stays.
func TestMachineWithoutAgent(t *testing.T) {
	real(t)
	l := drivertest.OneMachine()
	b := open(t, "t-mute", l)
	before := drivertest.Take(t, b.dir)
	b.o.Self = "/bin/false"
	b.bootTime = 2 * time.Second
	_, err := b.Start(t.Context(), b.id, l, l.Machines[0])
	if err != nil {
		t.Log(drivertest.Explain(err))
	}
	var infra *lab.InfraError
	if !errors.As(err, &infra) {
		t.Fatalf("the error is %v", err)
	}
	if want := "cannot start machine.server: requirement 1 of 4 does not hold: saigen's agent answers"; infra.What != want {
		t.Errorf("the error says %q", infra.What)
	}
	if !strings.Contains(infra.Tail, "saigen-agent.service") || infra.Hint == "" {
		t.Errorf("the tail is %q, the hint %q", infra.Tail, infra.Hint)
	}
	if dirs, err := filepath.Glob(filepath.Join(b.dir, "runs", "t-mute", "container", "machines", "*")); err != nil || len(dirs) > 0 {
		t.Errorf("folders are left: %v, %v", dirs, err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	drivertest.NothingLeft(t, before, b.dir, b.id)
}

// ^C at any moment of a start leaves a driver that can start again, and in the end nothing.
func TestCancelledStart(t *testing.T) {
	real(t)
	l := drivertest.OneMachine()
	b := open(t, "t-cancel", l)
	before := drivertest.Take(t, b.dir)
	for _, after := range []time.Duration{0, 50, 100, 150, 200, 300, 400, 600} {
		ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
		m, err := b.Start(ctx, b.id, l, l.Machines[0])
		cancel()
		if err == nil {
			t.Logf("up within %d ms", after)
			if err := m.Destroy(t.Context()); err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled after %d ms: %v", after, err)
		}
		if dirs, err := filepath.Glob(filepath.Join(b.dir, "runs", "t-cancel", "container", "machines", "*")); err != nil || len(dirs) > 0 {
			t.Errorf("cancelled after %d ms: folders are left: %v, %v", after, dirs, err)
		}
	}
	drivertest.Start(t, b, b.id, l, 0)
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	drivertest.NothingLeft(t, before, b.dir, b.id)
}

// The variants of a run may use images that were not known when its first engine started.
func TestVariantsWithDifferentImages(t *testing.T) {
	real(t)
	one, two := drivertest.OneMachine(), drivertest.TwoMachines()
	b := open(t, "t-variants", one)
	before := drivertest.Take(t, b.dir)
	if err := b.Prepare(t.Context(), two, t.Logf); err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	all, err := b.prepared.Of(two)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range all { // by another name, a store is another store
		link := filepath.Join(b.dir, name)
		if err := os.Symlink(s.machine, link); err != nil {
			t.Fatal(err)
		}
		s.machine = link
		all[name] = s
	}
	for _, l := range []*lab.Lab{one, two, one} {
		m := drivertest.Start(t, b, b.id, l, 0)
		if err := m.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.Driver.runs.Of(b.id).engines); n != 2 {
		t.Errorf("there are %d engines", n)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	drivertest.NothingLeft(t, before, b.dir, b.id)
}
