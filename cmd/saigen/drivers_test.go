package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// testDrivers is the shipped table and three drivers of fake machines. With FAKES set it is a table with the names and the
// offers of the shipped one, of fake machines all.
func testDrivers() []driverEntry {
	if os.Getenv("FAKES") == "" {
		return append(shippedDrivers(),
			driverEntry{name: "fake", new: newFakeDriver}, driverEntry{name: "leaky", new: newLeakyDriver}, driverEntry{name: "stuck", new: newStuckDriver})
	}
	var all []driverEntry
	for _, d := range []struct {
		name   string
		offers []lab.Need
	}{{"container", []lab.Need{lab.OwnPIDMax}}, {"qemu", lab.Needs()}, {"vagrant", lab.Needs()}} {
		all = append(all, driverEntry{
			name: d.name, offers: d.offers, host: hostOf(d.name), conditions: fakeConditions(d.name), slow: d.name == "vagrant", connect: connectFake(d.name),
			requirements: func(*world, paths) []lab.Requirement { return fakeRequirements(d.name) },
			new: func(w *world, s *session) (driver, error) {
				fake, err := newFakeDriver(w, s)
				fake = namedDriver{fake, d.name}
				if d.name == "qemu" {
					fake = fakeSnapshots{fake, filepath.Join(s.paths.cache, "fake-snapshots")}
				}
				if slices.Contains(strings.Fields(os.Getenv("IMMUNE")), d.name) {
					return immuneDriver{fake}, err
				}
				return fake, err
			},
		})
	}
	return all
}

// hostOf is what the shipped table says of a driver and fetched labs.
func hostOf(name string) string {
	for _, d := range shippedDrivers() {
		if d.name == name {
			return d.host
		}
	}
	return ""
}

// fakeRequirements are a driver's own, of which those are missing that LACKS names: "container=root qemu=kvm".
func fakeRequirements(driver string) []lab.Requirement {
	var all []lab.Requirement
	for _, name := range []string{"root", "qemu-img", "vagrant"} {
		all = append(all, lab.Requirement{
			Name: name, Needed: "driver " + driver, Fix: "install " + name,
			Check: func(context.Context) error {
				if slices.Contains(strings.Fields(os.Getenv("LACKS")), driver+"="+name) {
					return fmt.Errorf("there is no %s", name)
				}
				return nil
			},
		})
	}
	return all
}

// fakeConditions are as the shipped drivers': one needs a kernel that is new enough, which LACKS can take away.
func fakeConditions(driver string) map[lab.Need][]lab.Requirement {
	if driver != "container" {
		return nil
	}
	return map[lab.Need][]lab.Requirement{lab.OwnPIDMax: {{
		Name: "Linux 6.14", Needed: "own_pid_max of driver " + driver, Fix: "use another driver",
		Check: func(context.Context) error {
			if slices.Contains(strings.Fields(os.Getenv("LACKS")), driver+"=6.14") {
				return errors.New("this is Linux 6.1")
			}
			return nil
		},
	}}}
}

// connectFake reaches a machine that answers every command with the name of its driver.
func connectFake(driver string) func(context.Context, string, string) (lab.Running, error) {
	return func(ctx context.Context, _, machine string) (lab.Running, error) {
		l := &lab.Lab{Machines: []lab.Machine{{Name: machine}}}
		d := &labtest.Driver{Handler: func(context.Context, lab.Command) (lab.Result, error) {
			return lab.Result{Stdout: []byte(machine + " of driver " + driver + "\n")}, nil
		}}
		if err := d.Prepare(ctx, l, func(string, ...any) {}); err != nil {
			return nil, err
		}
		return d.Start(ctx, "", l, l.Machines[0])
	}
}

// namedDriver goes by another name.
type namedDriver struct {
	driver
	name string
}

func (d namedDriver) Name() string { return d.name }

// fakeSnapshots remembers in a folder which baselines were saved. A fake machine that was just started is at the baseline.
type fakeSnapshots struct {
	driver
	dir string
}

func (d fakeSnapshots) Save(ctx context.Context, _ lab.RunID, _ *lab.Lab, key string, machines []lab.Running) error {
	for _, m := range machines {
		if err := m.Destroy(ctx); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(d.dir, key), 0o755)
}

func (d fakeSnapshots) Restore(ctx context.Context, run lab.RunID, l *lab.Lab, key string) ([]lab.Running, error) {
	if _, err := os.Stat(filepath.Join(d.dir, key)); err != nil {
		return nil, lab.ErrNoSnapshot
	}
	var all []lab.Running
	for _, spec := range l.Machines {
		m, err := d.Start(ctx, run, l, spec)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// immuneDriver has machines that no fault does anything to.
type immuneDriver struct{ driver }

type immuneMachine struct{ lab.Running }

func (d immuneDriver) Start(ctx context.Context, run lab.RunID, l *lab.Lab, spec lab.Machine) (lab.Running, error) {
	m, err := d.driver.Start(ctx, run, l, spec)
	return immuneMachine{m}, err
}

func (m immuneMachine) Run(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	if len(cmd.Argv) > 2 && cmd.Argv[0] == "fake" && cmd.Argv[1] == "set" {
		return lab.Result{}, nil
	}
	return m.Running.Run(ctx, cmd)
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
	return &fakeDriver{&labtest.Driver{Kinds: assertions.Kinds(), Handler: fakeShell}, s}, nil
}

// fakeShell answers bash with the account and the lines that it is given, up to "exit".
func fakeShell(_ context.Context, cmd lab.Command) (lab.Result, error) {
	if cmd.Argv[0] != "/bin/bash" || cmd.Stdin == nil {
		return lab.Result{}, nil
	}
	fmt.Fprintf(cmd.Stdout, "shell of %q\n", cmd.Account)
	for in := bufio.NewScanner(cmd.Stdin); in.Scan() && in.Text() != "exit"; {
		fmt.Fprintf(cmd.Stdout, "heard %q\n", in.Text())
	}
	return lab.Result{}, nil
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
