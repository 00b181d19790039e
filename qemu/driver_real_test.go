package qemu

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/ledger"
)

// conforming is a lab as the conformance suites want it.
func conforming() *lab.Lab {
	l := drivertest.OneMachine()
	l.Machines[0].Accounts = append(l.Machines[0].Accounts,
		lab.Account{Name: "bob", Session: lab.SessionLogin},
		lab.Account{Name: "carol", Session: lab.SessionSu},
		lab.Account{Name: "dave", Session: lab.SessionNone})
	return l
}

var probe = lab.Probe{
	Address: "symptom.command.true", Kind: "command", Every: 500 * time.Millisecond, Timeout: 10 * time.Second,
	Settings: []byte(`{"machine":"machine.server","argv":["true"],"exit":0}`),
}

// The qemu driver keeps every promise that the fake and the container driver keep.
func TestRealConformance(t *testing.T) {
	real(t)
	l := conforming()
	b := open(t, "conformance", l)
	labtest.TestDriver(t, b.Driver, l, probe)
}

func TestRealSnapshotConformance(t *testing.T) {
	real(t)
	l := conforming()
	b := open(t, "conformance", l)
	before := snapshots(t, b)
	labtest.TestSnapshots(t, b.Driver, l, true)
	for hash := range snapshots(t, b) {
		if !before[hash] {
			if ok, err := b.o.Images.Remove(t.Context(), image.KindSnapshot, hash); err != nil || !ok {
				t.Errorf("a snapshot is not removed: %v", err)
			}
		}
	}
}

func snapshots(t *testing.T, b *bench) map[string]bool {
	t.Helper()
	all, err := b.o.Images.List()
	if err != nil {
		t.Fatal(err)
	}
	hashes := map[string]bool{}
	for _, e := range all {
		if e.Kind == image.KindSnapshot {
			hashes[e.Hash] = true
		}
	}
	return hashes
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

func TestRealMachine(t *testing.T) {
	real(t)
	l := drivertest.OneMachine()
	b := open(t, "t-machine", l)
	before := drivertest.Take(t, b.dir)
	m := drivertest.Start(t, b, b.id, l, 0)
	if got := drivertest.Sh(t, m, "", "hostname; cat /proc/1/comm; systemctl is-system-running || true"); got != "server\nsystemd\nrunning" {
		t.Errorf("hostname, PID 1 and state are %q", got)
	}
	if got := drivertest.Sh(t, m, "", "cat /etc/hosts | grep -v localhost; cat /etc/resolv.conf"); got != "127.0.0.1\tserver\n"+strings.TrimSpace(resolvConf) {
		t.Errorf("/etc/hosts and /etc/resolv.conf have %q", got)
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
	if left, err := filepath.Glob(filepath.Join(b.dir, "*", string(b.id), "*", "server")); err != nil || len(left) > 0 {
		t.Errorf("folders are left: %v %v", left, err)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	drivertest.NothingLeft(t, before, b.dir, b.id)
}

// Two machines reach each other and nothing else, also when they were saved and restored; and a run that is kept
// outlives its process, is reached through its sockets alone, and is undone from its ledger.
func TestRealTwoMachinesKept(t *testing.T) {
	real(t)
	l := twoMachines()
	b, key := saved(t, "t-two", l)
	before := drivertest.Take(t, b.dir)
	machines, err := b.Restore(t.Context(), b.id, l, key)
	if err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	if got := drivertest.Sh(t, machines[1], "", "ping -c 1 -W 5 server >/dev/null && echo reached; ip route show default"); got != "reached" {
		t.Errorf("the client says %q", got)
	}
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
	m, err := Connect(t.Context(), filepath.Join(b.dir, "r", "t-two"), "server")
	if err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	if got := drivertest.Sh(t, m, "", "hostname"); got != "server" {
		t.Errorf("the server is %q", got)
	}
	if _, err := m.Console(t.Context()); err != nil {
		t.Error(err)
	}
	if err := m.Destroy(t.Context()); !errors.Is(err, errNotOurs) {
		t.Errorf("a machine of another process is destroyed: %v", err)
	}
	if n := len(drivertest.NewThings(t, before, b.dir, b.id)); n < 3 {
		t.Errorf("the inventory sees %d things of a run with three processes", n)
	}
	left, err := ledger.Left(b.Runs())
	if err != nil || len(left) != 1 {
		t.Fatalf("left are %v, %v", left, err)
	}
	if err := ledger.Collect(t.Context(), left, Undoers()...); err != nil {
		t.Fatal(err)
	}
	drivertest.NothingLeft(t, before, b.dir, b.id)
}

// What does not come up is explained, and nothing of it stays.
func TestRealMachineWithoutAgent(t *testing.T) {
	real(t)
	l := drivertest.OneMachine()
	b := open(t, "t-mute", l)
	before := drivertest.Take(t, b.dir)
	all, err := b.prepared.Of(l)
	if err != nil {
		t.Fatal(err)
	}
	p := all["server"]
	p.kernel.Initrd = filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(p.kernel.Initrd, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all["server"] = p
	_, err = b.Start(t.Context(), b.id, l, l.Machines[0])
	var infra *lab.InfraError
	if !errors.As(err, &infra) {
		t.Fatalf("the error is %v", err)
	}
	if want := "cannot start machine.server: requirement 1 of 4 does not hold: saigen's agent answers"; infra.What != want {
		t.Errorf("the error says %q", infra.What)
	}
	if !errors.Is(err, errStopped) || !strings.Contains(infra.Tail, "Unable to mount root fs") || infra.Hint == "" {
		t.Errorf("the error is %v, the tail %q, the hint %q", err, infra.Tail, infra.Hint)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	drivertest.NothingLeft(t, before, b.dir, b.id)
}
