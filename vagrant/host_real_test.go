package vagrant

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// The test binary is saigen here: the agent in the machines, and a saigen that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "guest" {
		os.Exit(guest.Main(os.Args[2:], assertions.Kinds()))
	}
	if dir := os.Getenv("SAIGEN_TEST_ABANDON"); dir != "" {
		abandon(dir)
	}
	os.Exit(m.Run())
}

const inside = "SAIGEN_TEST_LIBVIRT"

// real has the test run a second time, beside a libvirtd of its own, and says whether this is that run. Before, what the
// labs need of the internet is brought to this host.
func real(t *testing.T, labs ...*lab.Lab) bool {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts real machines; set SAIGEN_REAL=1")
	}
	if os.Getenv(inside) == "1" {
		return true
	}
	for _, program := range []string{"vagrant", "virsh", "/usr/sbin/libvirtd", "/usr/sbin/dnsmasq", "ssh"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s: apt-get install --no-install-recommends vagrant vagrant-libvirt libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients dnsmasq-base", program)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("a libvirtd of its own needs root")
	}
	b, err := newBench(t.TempDir(), "t-prepare")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range labs {
		if err := b.Prepare(t.Context(), l, t.Logf); err != nil {
			t.Fatal(explain(err))
		}
	}
	args := []string{os.Args[0], "-test.run", "^" + t.Name() + "$", "-test.v", "-test.count", "1"}
	if deadline, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout", time.Until(deadline).Round(time.Second).String())
	}
	cmd := exec.CommandContext(t.Context(), "testdata/libvirt-here", args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		t.Log(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("beside its libvirtd the test fails: %v", err)
	}
	return false
}

// host is a smaller image than the labs', with what the tests use.
var host = lab.Image{Name: "host", Debian: "bookworm", Packages: []string{
	"podman", "dbus-user-session", "slirp4netns", "uidmap", "aardvark-dns", "iptables", "iproute2", "iputils-ping",
}}

func oneMachine() *lab.Lab {
	return &lab.Lab{Name: "one", Images: []lab.Image{host}, Machines: []lab.Machine{{
		Name: "server", Image: "image.host",
		Accounts: []lab.Account{{Name: "alice", Session: lab.SessionLinger}},
	}}}
}

func twoMachines() *lab.Lab {
	return &lab.Lab{Name: "two", Images: []lab.Image{host}, Machines: []lab.Machine{
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
func newBench(dir string, id lab.RunID) (*bench, error) {
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
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.Driver = New(Options{
		Self:    self,
		Images:  image.New(cache, log),
		Runtime: filepath.Join(dir, "r"),
		Scratch: func(id lab.RunID) string { return filepath.Join(b.runs(), string(id)) },
		Ledger:  func(lab.RunID) (*ledger.Ledger, error) { return b.l, nil },
		Log:     log,
	})
	return b, nil
}

func open(t *testing.T, id lab.RunID, l *lab.Lab) *bench {
	t.Helper()
	b, err := newBench(t.TempDir(), id)
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

func begin(t *testing.T, b *bench, l *lab.Lab, i int) lab.Running {
	t.Helper()
	began := time.Now()
	m, err := b.Start(t.Context(), b.id, l, l.Machines[i])
	if err != nil {
		t.Fatal(explain(err))
	}
	t.Logf("%s up in %.1f s", m.Ref(), time.Since(began).Seconds())
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

// libvirtHas is everything that libvirt knows: nothing, on a fresh one.
func libvirtHas(t *testing.T) string {
	t.Helper()
	var all []string
	for _, verb := range []string{"list", "net-list", "pool-list"} {
		found, err := names(t.Context(), defaultURI, verb)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return strings.Join(all, " ")
}

// nothingLeft looks at libvirt and at the folder of its disks.
func nothingLeft(t *testing.T) {
	t.Helper()
	if has := libvirtHas(t); has != "" {
		t.Errorf("libvirt still has %s", has)
	}
	if left, err := filepath.Glob("/var/lib/libvirt/images/*"); err != nil || len(left) > 0 {
		t.Errorf("disks are left: %v, %v", left, err)
	}
	if out, err := exec.Command("pgrep", "-a", "qemu-system").Output(); err == nil {
		t.Errorf("QEMU still runs:\n%s", out)
	}
}

// abandon is a saigen that is killed in the middle of a run.
func abandon(dir string) {
	err := func() error {
		b, err := newBench(dir, "t-killed")
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
		fmt.Fprintln(os.Stdout, explain(err))
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, "up")
	select {}
}
