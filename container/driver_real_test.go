package container

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// The test binary is saigen here: the engine's first process, and the agent in the machines.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "engine" {
		os.Exit(EngineMain(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "guest" {
		os.Exit(guest.Main(os.Args[2:], nil))
	}
	if dir := os.Getenv("SAIGEN_TEST_ABANDON"); dir != "" {
		abandon(dir)
	}
	os.Exit(m.Run())
}

// real skips a test that starts machines, unless it was asked for.
func real(t *testing.T) {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts real machines; set SAIGEN_REAL=1")
	}
	if os.Geteuid() != 0 {
		t.Fatal("the container driver needs root")
	}
}

// host is a smaller image than the labs', with what the tests use.
var host = lab.Image{Name: "host", Debian: "bookworm", Packages: []string{
	"podman", "dbus-user-session", "slirp4netns", "uidmap", "aardvark-dns", "iptables", "iproute2", "iputils-ping",
}}

func oneMachine() *lab.Lab {
	return &lab.Lab{Images: []lab.Image{host}, Machines: []lab.Machine{{
		Name: "server", Image: "image.host",
		Accounts: []lab.Account{{Name: "alice", Session: lab.SessionLinger}},
	}}}
}

func twoMachines() *lab.Lab {
	return &lab.Lab{Images: []lab.Image{host}, Machines: []lab.Machine{
		{Name: "server", Image: "image.host"}, {Name: "client", Image: "image.host"},
	}}
}

// bench is a driver with folders of its own.
type bench struct {
	*Driver
	dir string
	id  lab.RunID
	l   *ledger.Ledger
}

func (b *bench) runs() string { return filepath.Join(b.dir, "runs") }

// newBench makes a driver for a run. Images are kept in the user's cache: building one takes minutes.
func newBench(dir string, id lab.RunID, change func(*Options)) (*bench, error) {
	cache := os.Getenv("SAIGEN_IMAGE_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		cache = filepath.Join(user, "saigen")
	}
	b := &bench{dir: dir, id: id}
	if err := os.MkdirAll(filepath.Join(b.runs(), string(id)), 0o700); err != nil {
		return nil, err
	}
	var err error
	if b.l, err = ledger.Open(filepath.Join(b.runs(), string(id)), id, Undoers()...); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	if flag.Parsed() && testing.Verbose() { // abandon comes before the flags
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	o := Options{
		Self:    self,
		Images:  image.New(cache, log),
		Runtime: filepath.Join(dir, "r"),
		Scratch: func(id lab.RunID) string { return filepath.Join(b.runs(), string(id)) },
		Ledger:  func(lab.RunID) (*ledger.Ledger, error) { return b.l, nil },
		Log:     log,
	}
	if change != nil {
		change(&o)
	}
	b.Driver = New(o)
	return b, nil
}

func open(t *testing.T, id lab.RunID, l *lab.Lab) *bench {
	t.Helper()
	b, err := newBench(t.TempDir(), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := b.Prepare(t.Context(), l, t.Logf); err != nil {
		t.Fatal(explain(err))
	}
	return b
}

// explain says all that an error knows.
func explain(err error) string {
	var infra *lab.InfraError
	if errors.As(err, &infra) {
		return fmt.Sprintf("%v\nhint: %s\n%s", err, infra.Hint, infra.Tail)
	}
	return err.Error()
}

func start(t *testing.T, b *bench, l *lab.Lab, i int) lab.Running {
	t.Helper()
	began := time.Now()
	m, err := b.Start(t.Context(), b.id, l, l.Machines[i])
	if err != nil {
		t.Fatal(explain(err))
	}
	t.Logf("%s up in %.2f s", m.Ref(), time.Since(began).Seconds())
	return m
}

func sh(t *testing.T, m lab.Running, account, script string) string {
	t.Helper()
	cmd := lab.Command{Argv: []string{"sh", "-c", script}, Account: account}
	res, err := m.Run(t.Context(), cmd)
	if err == nil {
		err = res.Err(cmd)
	}
	if err != nil {
		t.Fatalf("%s: %v", m.Ref(), err)
	}
	return strings.TrimSpace(string(res.Stdout))
}

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
	l := oneMachine()
	b := open(t, "t-machine", l)
	before := take(t, b.dir)
	m := start(t, b, l, 0)

	if got := sh(t, m, "", "hostname; cat /proc/1/comm; systemctl is-system-running || true"); got != "server\nsystemd\nrunning" {
		t.Errorf("hostname, PID 1 and state are %q", got)
	}
	if got := sh(t, m, "", "cat /etc/hosts | grep -v localhost"); got != "127.0.0.1\tserver saigen-t-machine-server" {
		t.Errorf("/etc/hosts has %q", got)
	}
	if got := sh(t, m, "", "ip -o link | cut -d: -f2; ip route"); got != "lo" {
		t.Errorf("links and routes are %q", got)
	}
	if got := sh(t, m, "", "stat -c '%a %n' /dev/net/tun /dev/fuse"); got != "666 /dev/net/tun\n666 /dev/fuse" {
		t.Errorf("devices are %q", got)
	}
	if got := sh(t, m, "alice", rootlessContainer); got != "overlay\none 0.0.0.0:8080->80/tcp" {
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
	start(t, b, l, 0)
	if len(newThings(t, before, b.dir, b.id)) == 0 {
		t.Error("the inventory does not see a running machine")
	}
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	nothingLeft(t, before, b.dir, b.id)
	if left, err := filepath.Glob(filepath.Join(b.dir, "*", string(b.id), "container")); err != nil || len(left) > 0 {
		t.Errorf("scratch is left: %v %v", left, err)
	}
}

func take(t *testing.T, dir string) ledger.Inventory {
	t.Helper()
	v, err := ledger.Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newThings(t *testing.T, before ledger.Inventory, dir string, id lab.RunID) []ledger.Leftover {
	t.Helper()
	return before.Left(take(t, dir), ledger.OfRun(id))
}

// nothingLeft compares the host with what it was. Other processes may use the host: only the run's things count.
func nothingLeft(t *testing.T, before ledger.Inventory, dir string, id lab.RunID) {
	t.Helper()
	for _, l := range newThings(t, before, dir, id) {
		if !strings.Contains(l.What, "/runs/") { // the ledger itself stays
			t.Error(l)
		}
	}
}

func TestTwoMachinesReachEachOtherAndNothingElse(t *testing.T) {
	real(t)
	l := twoMachines()
	b := open(t, "t-two", l)
	start(t, b, l, 0)
	client := start(t, b, l, 1)
	if got := sh(t, client, "", "ping -c 1 -W 2 server >/dev/null && echo reached; ip route show default"); got != "reached" {
		t.Errorf("the client says %q", got)
	}
}

// abandon is a saigen that is killed in the middle of a run.
func abandon(dir string) {
	err := func() error {
		b, err := newBench(dir, "t-killed", nil)
		if err != nil {
			return err
		}
		l := oneMachine()
		if err := b.Prepare(context.Background(), l, func(string, ...any) {}); err != nil {
			return err
		}
		_, err = b.Start(context.Background(), b.id, l, l.Machines[0])
		return err
	}()
	if err != nil {
		fmt.Println(explain(err))
		os.Exit(1)
	}
	fmt.Println("up")
	select {}
}

func TestKilledRunIsCollected(t *testing.T) {
	real(t)
	dir := t.TempDir()
	before := take(t, dir)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SAIGEN_TEST_ABANDON="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := out.Read(buf)
	if got := string(buf[:n]); got != "up\n" {
		t.Errorf("the process to be killed says %q, %v", got, err)
	}
	runs := filepath.Join(dir, "runs")
	if dead, err := ledger.Dead(runs); err != nil || len(dead) != 0 {
		t.Errorf("a living run is dead: %v, %v", dead, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	dead, err := ledger.Dead(runs)
	if err != nil || len(dead) != 1 || dead[0].ID != "t-killed" {
		t.Fatalf("dead are %v, %v", dead, err)
	}
	began := time.Now()
	if err := ledger.Collect(t.Context(), dead, Undoers()...); err != nil {
		t.Fatal(err)
	}
	t.Logf("collected in %.2f s", time.Since(began).Seconds())
	if dead, err := ledger.Dead(runs); err != nil || len(dead) != 0 {
		t.Errorf("still dead: %v, %v", dead, err)
	}
	nothingLeft(t, before, dir, "t-killed")
}

func TestTwoRunsAtOnce(t *testing.T) {
	real(t)
	one, two := oneMachine(), oneMachine()
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
			t.Fatal(explain(err))
		}
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, <-machines, "alice", "echo here"); got != "here" { // the other one does not notice
		t.Errorf("the other run's machine says %q", got)
	}
}

// A podman service that saigen did not start for this run stands for the user's own engine.
func TestExistingEngine(t *testing.T) {
	real(t)
	shared := oneMachine()
	owner := open(t, "t-owner", shared)
	socket := filepath.Join(owner.dir, "r", "t-owner", "engine.sock")
	r, err := owner.engineFor(t.Context(), owner.id, shared)
	if err != nil {
		t.Fatal(explain(err))
	}
	b, err := newBench(t.TempDir(), "t-guest", func(o *Options) { o.Engine = "unix://" + socket })
	if err != nil {
		t.Fatal(err)
	}
	l := twoMachines()
	if err := b.Prepare(t.Context(), l, t.Logf); err != nil {
		t.Fatal(explain(err))
	}
	before := take(t, b.dir)
	start(t, b, l, 0)
	second := start(t, b, l, 1)
	if got := sh(t, second, "", "ping -c 1 -W 2 server >/dev/null && echo reached"); got != "reached" {
		t.Errorf("the client says %q", got)
	}
	// The run is not ended by the driver that started it: all there is to go by is the ledger.
	if err := b.l.Undo(t.Context()); err != nil {
		t.Error(err)
	}
	nothingLeft(t, before, b.dir, b.id)
	containers, err := r.engine.api.ContainerList(t.Context(), client.ContainerListOptions{All: true})
	if err != nil || len(containers.Items) > 0 {
		t.Errorf("the engine still has %v, %v", containers.Items, err)
	}
	images, err := r.engine.api.ImageList(t.Context(), client.ImageListOptions{})
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
	networks, err := r.engine.api.NetworkList(t.Context(), client.NetworkListOptions{})
	if err != nil || len(networks.Items) != 1 {
		t.Errorf("the engine has networks %v, %v", networks.Items, err)
	}
}

// A run that is kept outlives its process, is reached through its sockets alone, and is undone from its ledger.
func TestKeptRun(t *testing.T) {
	real(t)
	l := oneMachine()
	b := open(t, "t-kept", l)
	before := take(t, b.dir)
	start(t, b, l, 0)
	if err := b.l.Keep(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.l.Close(); err != nil {
		t.Fatal(err)
	}
	if dead, err := ledger.Dead(b.runs()); err != nil || len(dead) > 0 {
		t.Errorf("a kept run is dead: %v, %v", dead, err)
	}
	m, err := Connect(t.Context(), filepath.Join(b.dir, "r", "t-kept"), "server")
	if err != nil {
		t.Fatal(explain(err))
	}
	if got := sh(t, m, "alice", "id -un"); got != "alice" {
		t.Errorf("alice is %q", got)
	}
	if console, err := m.Console(t.Context()); err != nil || !strings.Contains(console, "saigen") {
		t.Errorf("the console says %q, %v", console, err)
	}
	left, err := ledger.Left(b.runs())
	if err != nil || len(left) != 1 {
		t.Fatalf("left are %v, %v", left, err)
	}
	if err := ledger.Collect(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, before, b.dir, b.id)
}

// What does not come up is explained, and nothing of it stays.
func TestMachineWithoutAgent(t *testing.T) {
	real(t)
	l := oneMachine()
	b := open(t, "t-mute", l)
	before := take(t, b.dir)
	b.o.Self = "/bin/false"
	b.bootTime = 2 * time.Second
	_, err := b.Start(t.Context(), b.id, l, l.Machines[0])
	if err != nil {
		t.Log(explain(err))
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
	nothingLeft(t, before, b.dir, b.id)
}

// ^C at any moment of a start leaves a driver that can start again, and in the end nothing.
func TestCancelledStart(t *testing.T) {
	real(t)
	l := oneMachine()
	b := open(t, "t-cancel", l)
	before := take(t, b.dir)
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
	start(t, b, l, 0)
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	nothingLeft(t, before, b.dir, b.id)
}
