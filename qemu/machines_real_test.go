package qemu

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// The test binary is saigen here: it is the agent in the machines.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "guest" {
		os.Exit(guest.Main(os.Args[2:], assertions.Kinds()))
	}
	if dir := os.Getenv("SAIGEN_TEST_ABANDON"); dir != "" {
		abandon(dir)
	}
	os.Exit(m.Run())
}

// real skips a test that starts machines, unless it was asked for.
func real(t testing.TB) {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts real machines; set SAIGEN_REAL=1")
	}
}

// twoMachines are so small that both fit on a host with two processors.
func twoMachines() *lab.Lab {
	l := drivertest.TwoMachines()
	for i := range l.Machines {
		l.Machines[i].Memory, l.Machines[i].CPUs = "512MiB", 1
	}
	return l
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

func open(t testing.TB, id lab.RunID, l *lab.Lab) *bench {
	t.Helper()
	b, err := newBench(t.TempDir(), id)
	if err != nil {
		t.Fatal(err)
	}
	drivertest.Open(t, b, l)
	return b
}

// abandon is a saigen that is killed in the middle of a run.
func abandon(dir string) {
	b, err := newBench(dir, "t-killed")
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	drivertest.Abandon(b, b.id, twoMachines())
}

func splitLines(data []byte) func(func(string) bool) { return strings.Lines(string(data)) }
