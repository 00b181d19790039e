package vagrant

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
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
			t.Fatal(drivertest.Explain(err))
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

// bench is a driver with folders of its own.
type bench struct {
	*Driver
	*drivertest.Place

	dir string
	id  lab.RunID
}

func newBench(dir string, id lab.RunID) (*bench, error) {
	p, err := drivertest.NewPlace(dir, id, Undoers()...)
	if err != nil {
		return nil, err
	}
	return &bench{Place: p, dir: dir, id: id, Driver: New(Options{
		Self: p.Self, Images: p.Images, Runtime: p.Runtime(), Scratch: p.Scratch, Ledger: p.LedgerOf, Log: p.Log,
	})}, nil
}

func open(t *testing.T, id lab.RunID, l *lab.Lab) *bench {
	t.Helper()
	b, err := newBench(t.TempDir(), id)
	if err != nil {
		t.Fatal(err)
	}
	drivertest.Open(t, b, l)
	return b
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
	b, err := newBench(dir, "t-killed")
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	drivertest.Abandon(b, b.id, drivertest.OneMachine())
}
