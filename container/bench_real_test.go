package container

import (
	"fmt"
	"os"
	"testing"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// The test binary is saigen here: the engine's first process, and the agent in the machines.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "engine" {
		os.Exit(EngineMain(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "guest" {
		os.Exit(guest.Main(os.Args[2:], assertions.Kinds()))
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

// bench is a driver with folders of its own.
type bench struct {
	*Driver
	*drivertest.Place

	dir string
	id  lab.RunID
}

func newBench(dir string, id lab.RunID, change func(*Options)) (*bench, error) {
	p, err := drivertest.NewPlace(dir, id, Undoers()...)
	if err != nil {
		return nil, err
	}
	o := Options{
		Self: p.Self, Images: p.Images, Runtime: p.Runtime(), Scratch: p.Scratch, Ledger: p.LedgerOf, Log: p.Log,
	}
	if change != nil {
		change(&o)
	}
	return &bench{Place: p, dir: dir, id: id, Driver: New(o)}, nil
}

func open(t *testing.T, id lab.RunID, l *lab.Lab) *bench {
	t.Helper()
	b, err := newBench(t.TempDir(), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	drivertest.Open(t, b, l)
	return b
}

// abandon is a saigen that is killed in the middle of a run.
func abandon(dir string) {
	b, err := newBench(dir, "t-killed", nil)
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	drivertest.Abandon(b, b.id, drivertest.OneMachine())
}
