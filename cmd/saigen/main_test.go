package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/labtest"
)

var update = flag.Bool("update", false, "write the golden files and docs/ instead of comparing with them")

// TestMain makes this test binary the command saigen, with the driver and the kinds of labtest besides the real ones.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"saigen": func() {
		drivers := map[string]newDriver{"container": newContainerDriver, "fake": newFakeDriver, "leaky": newLeakyDriver, "stuck": newStuckDriver}
		os.Exit(enter(os.Args[1:], drivers, testKinds()))
	}})
}

func testKinds() labfile.Kinds {
	return labfile.Kinds{
		Faults:     append(faults.Kinds(), labtest.Breakers()...),
		Assertions: append(assertions.Kinds(), labtest.Observers()...),
	}
}

// fakeDriver runs fake machines, and has files in the run's scratch/ as a real driver does.
type fakeDriver struct {
	*labtest.Driver
	session *session
}

func newFakeDriver(_ *world, s *session) (driver, error) {
	if err := os.MkdirAll(filepath.Join(s.scratch(), "volume"), 0o755); err != nil {
		return nil, err
	}
	return &fakeDriver{&labtest.Driver{Kinds: assertions.Kinds()}, s}, nil
}

// newLeakyDriver leaves a process of the run behind: one that ends with the test at the latest.
func newLeakyDriver(w *world, s *session) (driver, error) {
	tail := exec.Command("tail", "-f", fmt.Sprintf("--pid=%d", os.Getppid()), filepath.Join(s.folder, runInfoFile))
	if err := tail.Start(); err != nil {
		return nil, err
	}
	return newFakeDriver(w, s)
}

// stuckDriver has machines that cannot be destroyed.
type stuckDriver struct{ driver }

func newStuckDriver(w *world, s *session) (driver, error) {
	d, err := newFakeDriver(w, s)
	return stuckDriver{d}, err
}

type stuckMachine struct{ lab.Running }

func (d stuckDriver) Start(ctx context.Context, run lab.RunID, l *lab.Lab, spec lab.Machine) (lab.Running, error) {
	m, err := d.driver.Start(ctx, run, l, spec)
	return stuckMachine{m}, err
}

func (stuckMachine) Destroy(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// Close says what the run has left alive; the machines of a run that is kept may live on.
func (d *fakeDriver) Close(context.Context) error {
	left := d.Left()
	if d.session.info.Up != nil {
		left = slices.DeleteFunc(left, func(s string) bool { return strings.HasPrefix(s, "machine.") })
	}
	if len(left) > 0 {
		return fmt.Errorf("left alive: %s", strings.Join(left, ", "))
	}
	return nil
}

// TestScripts runs testdata/script. Each script has folders of its own for HOME and XDG, a copy of testdata/labs in labs/,
// and besides testscript's commands those of scriptCommands.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		WorkdirRoot:         t.TempDir(), // testscript itself leaves its folder behind when only some scripts are run
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("RUNS", filepath.Join(e.WorkDir, "state", "saigen", "runs"))
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("LABS", filepath.Join(repository(), "labs"))
			return errors.Join(
				os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o755),
				os.CopyFS(filepath.Join(e.WorkDir, "labs"), os.DirFS("testdata/labs")),
			)
		},
		Cmds: scriptCommands(),
	})
}

func repository() string {
	here, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return filepath.Dir(filepath.Dir(here))
}
