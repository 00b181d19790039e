package qemu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/procfs"

	"github.com/saigen-lab/saigen/driver"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// Options is what the driver needs to know. All folders are absolute.
type Options struct {
	// Self is the saigen binary, statically linked; it is the agent inside the machines.
	Self string
	// Images builds and keeps the images, disks and snapshots.
	Images *image.Cache
	// Runtime holds one folder of sockets for each run, such as /run/saigen.
	Runtime string
	// Scratch returns the folder for a run's disks. The driver makes and removes a folder "qemu" in it.
	Scratch func(lab.RunID) string
	// Ledger returns the run's ledger, open, and the same one each time. It must know KindProcess (see Undoers).
	Ledger func(lab.RunID) (*ledger.Ledger, error)
	// Built, where set, is told every image that a lab uses, when it is there.
	Built func(*lab.Lab, image.Built)
	Log   *slog.Logger
}

// Driver runs machines as VMs. Its methods may be called from several goroutines.
type Driver struct {
	o        Options
	bootTime time.Duration
	accel    func() string
	version  func() (string, error)
	// processor is the host's.
	processor func() (string, error)

	prepared driver.Prepared[map[string]parts] // by the machine's name
	runs     *driver.Runs[*run]
}

// parts are what one machine is made of.
type parts struct {
	kernel                image.Kernel
	disk, agent, services image.Disk
}

// run is what one run has here.
type run struct {
	driver.Place

	start    sync.Mutex // held while folders and networks are made
	networks map[string]*network

	mu        sync.Mutex
	processes []*process
	ahead     *loaded // for the next restore; nil: nothing
}

// New returns the driver. Nothing is started before the first machine is.
func New(o Options) *Driver {
	places := driver.Places{Name: "qemu", Runtime: o.Runtime, Scratch: o.Scratch, Ledger: o.Ledger}
	return &Driver{
		o: o, bootTime: bootTime, accel: sync.OnceValue(accelerator), version: sync.OnceValues(qemuVersion), processor: sync.OnceValues(hostProcessor),
		runs: driver.NewRuns(places, func(p driver.Place) *run { return &run{Place: p, networks: map[string]*network{}} }),
	}
}

// Name is what --driver takes.
func (d *Driver) Name() string { return "qemu" }

// qemuVersion is what QEMU says about itself: its version, and that of its package.
func qemuVersion() (string, error) {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("cannot ask QEMU for its version: %w", err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first, nil
}

// hostProcessor is the model of the host's processors.
func hostProcessor() (string, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return "", err
	}
	all, err := proc.CPUInfo()
	if err != nil || len(all) == 0 {
		return "", fmt.Errorf("cannot read what processors the host has: %w", err)
	}
	return fmt.Sprint(all[0].VendorID, " ", all[0].ModelName, " ", all[0].CPUFamily, " ", all[0].Model, " ", all[0].Stepping), nil
}

// Prepare builds the images of the lab's machines and stacks, and the disks made of them.
func (d *Driver) Prepare(ctx context.Context, l *lab.Lab, say func(format string, args ...any)) error {
	return d.prepared.Once(l, func() (map[string]parts, error) {
		return driver.EachMachine(l, func(m lab.Machine) (parts, error) { return d.prepare(ctx, l, m, say) })
	})
}

func (d *Driver) prepare(ctx context.Context, l *lab.Lab, m lab.Machine, say driver.Say) (p parts, err error) {
	images := driver.Images{Cache: d.o.Images, Built: d.o.Built}
	built, err := images.Machine(ctx, l, m, say)
	if err != nil {
		return p, err
	}
	if p.kernel, err = d.o.Images.Kernel(ctx, built.Image.Debian, built.Image.Snapshot, say); err != nil {
		return p, err
	}
	if p.disk, err = d.o.Images.MachineDisk(ctx, built, p.kernel, say); err != nil {
		return p, err
	}
	if p.agent, err = d.o.Images.AgentDisk(ctx, d.o.Self, say); err != nil {
		return p, err
	}
	services, err := images.Services(ctx, l, m, say)
	if err != nil {
		return p, err
	}
	p.services, err = d.o.Images.ServiceDisk(ctx, services, say) // empty without stacks: accounts are set up the same
	return p, err
}

// runFor returns a run with its folders, and what the lab's machines are made of.
func (d *Driver) runFor(id lab.RunID, l *lab.Lab) (*run, map[string]parts, error) {
	all, err := d.prepared.Of(l)
	if err != nil {
		return nil, nil, err
	}
	r := d.runs.Of(id)
	r.start.Lock()
	defer r.start.Unlock()
	return r, all, r.Open()
}

// Close undoes the ledgers of the runs that were not kept. Twice is fine.
func (d *Driver) Close(ctx context.Context) error { return d.runs.Close(ctx) }

// Release does for one run what Close does for all.
func (d *Driver) Release(ctx context.Context, id lab.RunID) error { return d.runs.Release(ctx, id) }

// Close implements driver.Run.
func (r *run) Close(ctx context.Context) error {
	r.start.Lock()
	defer r.start.Unlock()
	if undone, err := r.Undo(ctx); !undone || err != nil {
		return err
	}
	for _, n := range r.networks {
		if err := n.hub.reaped(); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.processes {
		if err := p.reaped(); err != nil {
			return err
		}
	}
	return nil
}

// reaped waits for a process that was killed: no zombie is left.
func (p *process) reaped() error {
	p.mon.close()
	select {
	case <-p.ended:
		return nil
	case <-time.After(ledger.UndoTime):
		return errors.New("QEMU's process does not end")
	}
}
