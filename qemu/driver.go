package qemu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/procfs"

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

	mu       sync.Mutex
	prepared map[*lab.Lab]map[string]parts // by the machine's name
	runs     map[lab.RunID]*run
}

// parts are what one machine is made of.
type parts struct {
	kernel                image.Kernel
	disk, agent, services image.Disk
}

// run is what one run has here.
type run struct {
	id     lab.RunID
	dir    string // disks and logs
	sock   string // runtime folder
	ledger *ledger.Ledger

	start    sync.Mutex // held while folders and networks are made
	networks map[string]*network

	mu        sync.Mutex
	processes []*process
}

// New returns the driver. Nothing is started before the first machine is.
func New(o Options) *Driver {
	return &Driver{
		o: o, bootTime: bootTime, accel: sync.OnceValue(accelerator), version: sync.OnceValues(qemuVersion), processor: sync.OnceValues(hostProcessor),
		prepared: map[*lab.Lab]map[string]parts{}, runs: map[lab.RunID]*run{},
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
	d.mu.Lock()
	done := d.prepared[l] != nil
	d.mu.Unlock()
	if done {
		return nil
	}
	all := map[string]parts{}
	for _, m := range l.Machines {
		p, err := d.prepare(ctx, l, m, say)
		if err != nil {
			return fmt.Errorf("cannot prepare machine.%s: %w", m.Name, err)
		}
		all[m.Name] = p
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prepared[l] = all
	return nil
}

func (d *Driver) prepare(ctx context.Context, l *lab.Lab, m lab.Machine, say func(format string, args ...any)) (p parts, err error) {
	build := func(ref lab.ImageRef, role image.Role) (image.Built, error) {
		i := slices.IndexFunc(l.Images, func(img lab.Image) bool { return img.Name == ref.Name() })
		if i < 0 {
			return image.Built{}, fmt.Errorf("there is no %s", ref)
		}
		b, err := d.o.Images.Build(ctx, l.Images[i], role, l.Dir, say)
		if err == nil && d.o.Built != nil {
			d.o.Built(l, b)
		}
		return b, err
	}
	built, err := build(m.Image, image.Machine)
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
	var refs []lab.ImageRef
	for _, st := range l.Stacks {
		if st.Machine.Name() != m.Name {
			continue
		}
		for _, ref := range st.Images {
			if !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	// A machine without stacks gets an empty store: its accounts are set up the same.
	var services []image.Built
	for _, ref := range refs {
		b, err := build(ref, image.Service)
		if err != nil {
			return p, err
		}
		services = append(services, b)
	}
	p.services, err = d.o.Images.ServiceDisk(ctx, services, say)
	return p, err
}

// runFor returns a run with its folders, and what the lab's machines are made of.
func (d *Driver) runFor(id lab.RunID, l *lab.Lab) (*run, map[string]parts, error) {
	d.mu.Lock()
	all := d.prepared[l]
	r := d.runs[id]
	if r == nil {
		r = &run{
			id:       id,
			dir:      filepath.Join(d.o.Scratch(id), "qemu"),
			sock:     filepath.Join(d.o.Runtime, string(id)),
			networks: map[string]*network{},
		}
		d.runs[id] = r
	}
	d.mu.Unlock()
	if all == nil {
		return nil, nil, errors.New("the lab is not prepared")
	}
	return r, all, d.open(r)
}

// open makes the run's folders.
func (d *Driver) open(r *run) (err error) {
	r.start.Lock()
	defer r.start.Unlock()
	if r.ledger == nil {
		l, err := d.o.Ledger(r.id)
		if err != nil {
			return err
		}
		for _, dir := range []string{r.dir, r.sock} {
			if err := l.Record(ledger.Entry{Kind: ledger.KindDirectory, Path: dir}); err != nil {
				return err
			}
		}
		r.ledger = l
	}
	for _, dir := range []string{r.dir, r.sock} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot make the run's folder: %w", err)
		}
	}
	return nil
}

// Close undoes the ledgers of the runs that were not kept. Twice is fine.
func (d *Driver) Close(ctx context.Context) error {
	d.mu.Lock()
	var runs []lab.RunID
	for id := range d.runs {
		runs = append(runs, id)
	}
	d.mu.Unlock()
	var errs []error
	for _, id := range runs {
		errs = append(errs, d.Release(ctx, id))
	}
	return errors.Join(errs...)
}

// Release does for one run what Close does for all.
func (d *Driver) Release(ctx context.Context, id lab.RunID) error {
	d.mu.Lock()
	r := d.runs[id]
	d.mu.Unlock()
	if r == nil {
		return nil
	}
	r.start.Lock()
	defer r.start.Unlock()
	if err := r.close(ctx); err != nil {
		return fmt.Errorf("cannot undo run %s: %w", id, err)
	}
	d.mu.Lock()
	delete(d.runs, id)
	d.mu.Unlock()
	return nil
}

// close does it; r.start is held.
func (r *run) close(ctx context.Context) error {
	if r.ledger == nil || r.ledger.Kept() {
		return nil
	}
	if err := r.ledger.Undo(ctx); err != nil {
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
