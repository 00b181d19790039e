package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// Options is what the driver needs to know. All folders are absolute.
type Options struct {
	// Self is the saigen binary, statically linked; it is the agent inside the machines.
	Self string
	// EngineCommand runs EngineMain with one more argument. Empty: Self engine.
	EngineCommand []string
	// Engine is the address of an existing Docker or Podman: "unix:///run/docker.sock". Empty: saigen's own.
	Engine string
	// Images builds and keeps the images.
	Images *image.Cache
	// Runtime holds one folder of sockets for each run: short, such as /run/saigen.
	Runtime string
	// Scratch returns the folder for a run's storage and volumes, on a file system that overlay can use. The driver
	// makes and removes a folder "container" in it.
	Scratch func(lab.RunID) string
	// Ledger returns the run's ledger, open, and the same one each time. It must know KindContainer, KindNetwork and
	// KindImage (see Undoers) when Engine is set.
	Ledger func(lab.RunID) (*ledger.Ledger, error)
	// Built, where set, is told every image that a lab uses, when it is there.
	Built func(*lab.Lab, image.Built)
	Log   *slog.Logger
}

// Driver runs machines as system containers. Its methods may be called from several goroutines.
type Driver struct {
	o        Options
	dial     func(ctx context.Context, socket string) (agent, error)
	bootTime time.Duration

	mu       sync.Mutex
	prepared map[*lab.Lab]map[string]stores // by the machine's name
	runs     map[lab.RunID]*run
}

// stores are the images that one machine uses.
type stores struct {
	machine  string // containers-storage root
	ref      string
	services string // containers-storage root
	built    image.Built
}

// run is what one run has here. Its engines differ in the image stores that they see, which an engine reads once, when
// it starts: a run whose variants use different images has one for each.
type run struct {
	id     lab.RunID
	dir    string // storage and volumes
	sock   string // runtime folder
	ledger *ledger.Ledger

	start   sync.Mutex         // held while an engine or a network is made
	engines map[string]*engine // by the stores
}

// New returns the driver. Nothing is started before the first machine is.
func New(o Options) *Driver {
	if len(o.EngineCommand) == 0 {
		o.EngineCommand = []string{o.Self, "engine"}
	}
	return &Driver{o: o, dial: dialGuest, bootTime: bootTime, prepared: map[*lab.Lab]map[string]stores{}, runs: map[lab.RunID]*run{}}
}

// Name is what --driver takes.
func (d *Driver) Name() string { return "container" }

// Prepare builds the images of the lab's machines and stacks, and the stores that bring them in without a copy.
func (d *Driver) Prepare(ctx context.Context, l *lab.Lab, say func(format string, args ...any)) error {
	d.mu.Lock()
	done := d.prepared[l] != nil
	d.mu.Unlock()
	if done {
		return nil
	}
	all := map[string]stores{}
	for _, m := range l.Machines {
		s, err := d.prepare(ctx, l, m, say)
		if err != nil {
			return fmt.Errorf("cannot prepare machine.%s: %w", m.Name, err)
		}
		all[m.Name] = s
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prepared[l] = all
	return nil
}

func (d *Driver) prepare(ctx context.Context, l *lab.Lab, m lab.Machine, say func(format string, args ...any)) (s stores, err error) {
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
	if s.built, err = build(m.Image, image.Machine); err != nil {
		return s, err
	}
	if d.o.Engine == "" {
		if s.machine, s.ref, err = d.o.Images.MachineStore(ctx, s.built, say); err != nil {
			return s, err
		}
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
			return s, err
		}
		services = append(services, b)
	}
	s.services, err = d.o.Images.ServiceStore(ctx, services, say)
	return s, err
}

// engineFor returns the engine for a lab, and starts it for the first machine that needs it.
func (d *Driver) engineFor(ctx context.Context, id lab.RunID, l *lab.Lab) (*run, *engine, error) {
	d.mu.Lock()
	prepared := d.prepared[l]
	r := d.runs[id]
	if r == nil {
		r = &run{
			id:      id,
			dir:     filepath.Join(d.o.Scratch(id), "container"),
			sock:    filepath.Join(d.o.Runtime, string(id)),
			engines: map[string]*engine{},
		}
		d.runs[id] = r
	}
	d.mu.Unlock()
	if prepared == nil {
		return nil, nil, errors.New("the lab is not prepared")
	}
	var roots []string
	for _, m := range l.Machines {
		if root := prepared[m.Name].machine; root != "" && !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	slices.Sort(roots)
	key := strings.Join(roots, "\n")
	r.start.Lock()
	defer r.start.Unlock()
	if e := r.engines[key]; e != nil {
		return r, e, nil
	}
	e, err := d.open(ctx, r, roots)
	if err != nil {
		return nil, nil, err
	}
	r.engines[key] = e
	return r, e, nil
}

// open makes the run's folders and one engine. On error nothing is left but entries in the ledger.
func (d *Driver) open(ctx context.Context, r *run, roots []string) (_ *engine, err error) {
	if r.ledger == nil {
		if r.ledger, err = d.o.Ledger(r.id); err != nil {
			return nil, err
		}
		for _, dir := range []string{r.dir, r.sock} {
			if err := r.ledger.Record(ledger.Entry{Kind: ledger.KindDirectory, Path: dir}); err != nil {
				return nil, err
			}
		}
	}
	for _, dir := range []string{r.dir, r.sock} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the run's folder: %w", err)
		}
	}
	if d.o.Engine != "" {
		return openEngine(ctx, d.o.Engine)
	}
	name := "engine"
	if n := len(r.engines); n > 0 {
		name = fmt.Sprintf("engine-%d", n+1)
	}
	c := engineConfig{
		Dir:     filepath.Join(r.dir, name),
		Runtime: r.sock,
		Socket:  filepath.Join(r.sock, name+".sock"),
		Cgroup:  cgroupName(r.id, name),
		Stores:  roots,
	}
	e, err := startEngine(ctx, d.o.EngineCommand, c, r.ledger)
	if err != nil {
		err = errors.Join(err, os.RemoveAll(c.Dir), os.RemoveAll(c.Socket))
		_, _ = os.Remove(r.dir), os.Remove(r.sock) // while they are empty
		return nil, err
	}
	d.o.Log.Debug("engine started", "run", r.id, "cgroup", c.Cgroup, "socket", c.Socket)
	return e, nil
}

// cgroupName is that of an engine. The first one of a run has the run's name; a second one must not have that of another run, such as
// the id of a trial beside it: RUN-2.
func cgroupName(id lab.RunID, engine string) string {
	name := "saigen-" + string(id)
	if engine != "engine" {
		name += "-" + engine
	}
	return name
}

// Close stops the engines and undoes the ledgers of the runs that were not kept. Twice is fine.
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
	if r.ledger == nil {
		return nil // nothing was made yet
	}
	for _, e := range r.engines {
		_ = e.api.Close()
	}
	if r.ledger.Kept() {
		return nil
	}
	if err := r.ledger.Undo(ctx); err != nil {
		return err
	}
	for _, e := range r.engines {
		if e.ended == nil {
			continue
		}
		select {
		case <-e.ended: // no zombie is left
		case <-time.After(ledger.UndoTime):
			return errors.New("the engine's process does not end")
		}
	}
	return nil
}
