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

	"github.com/saigen-lab/saigen/driver"
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

	prepared driver.Prepared[map[string]stores] // by the machine's name
	runs     *driver.Runs[*run]
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
	driver.Place

	start   sync.Mutex         // held while an engine or a network is made
	engines map[string]*engine // by the stores
}

// New returns the driver. Nothing is started before the first machine is.
func New(o Options) *Driver {
	if len(o.EngineCommand) == 0 {
		o.EngineCommand = []string{o.Self, "engine"}
	}
	places := driver.Places{Name: "container", Runtime: o.Runtime, Scratch: o.Scratch, Ledger: o.Ledger}
	return &Driver{
		o: o, dial: dialGuest, bootTime: bootTime,
		runs: driver.NewRuns(places, func(p driver.Place) *run { return &run{Place: p, engines: map[string]*engine{}} }),
	}
}

// Name is what --driver takes.
func (d *Driver) Name() string { return "container" }

// Prepare builds the images of the lab's machines and stacks, and the stores that bring them in without a copy.
func (d *Driver) Prepare(ctx context.Context, l *lab.Lab, say func(format string, args ...any)) error {
	return d.prepared.Once(l, func() (map[string]stores, error) {
		return driver.EachMachine(l, func(m lab.Machine) (stores, error) { return d.prepare(ctx, l, m, say) })
	})
}

func (d *Driver) prepare(ctx context.Context, l *lab.Lab, m lab.Machine, say driver.Say) (s stores, err error) {
	images := driver.Images{Cache: d.o.Images, Built: d.o.Built}
	if s.built, err = images.Machine(ctx, l, m, say); err != nil {
		return s, err
	}
	if d.o.Engine == "" {
		if s.machine, s.ref, err = d.o.Images.MachineStore(ctx, s.built, say); err != nil {
			return s, err
		}
	}
	services, err := images.Services(ctx, l, m, say)
	if err != nil {
		return s, err
	}
	s.services, err = d.o.Images.ServiceStore(ctx, services, say) // empty without stacks: accounts are set up the same
	return s, err
}

// engineFor returns the engine for a lab, and starts it for the first machine that needs it.
func (d *Driver) engineFor(ctx context.Context, id lab.RunID, l *lab.Lab) (*run, *engine, error) {
	prepared, err := d.prepared.Of(l)
	if err != nil {
		return nil, nil, err
	}
	var roots []string
	for _, m := range l.Machines {
		if root := prepared[m.Name].machine; root != "" && !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	slices.Sort(roots)
	key := strings.Join(roots, "\n")
	r := d.runs.Of(id)
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
	if err := r.Open(); err != nil {
		return nil, err
	}
	if d.o.Engine != "" {
		return openEngine(ctx, d.o.Engine)
	}
	name := "engine"
	if n := len(r.engines); n > 0 {
		name = fmt.Sprintf("engine-%d", n+1)
	}
	c := engineConfig{
		Dir:     filepath.Join(r.Dir, name),
		Runtime: r.Sock,
		Socket:  filepath.Join(r.Sock, name+".sock"),
		Cgroup:  cgroupName(r.ID, name),
		Stores:  roots,
	}
	e, err := startEngine(ctx, d.o.EngineCommand, c, r.Ledger)
	if err != nil {
		err = errors.Join(err, os.RemoveAll(c.Dir), os.RemoveAll(c.Socket))
		_, _ = os.Remove(r.Dir), os.Remove(r.Sock) // while they are empty
		return nil, err
	}
	d.o.Log.Debug("engine started", "run", r.ID, "cgroup", c.Cgroup, "socket", c.Socket)
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
func (d *Driver) Close(ctx context.Context) error { return d.runs.Close(ctx) }

// Release does for one run what Close does for all.
func (d *Driver) Release(ctx context.Context, id lab.RunID) error { return d.runs.Release(ctx, id) }

// Close implements driver.Run.
func (r *run) Close(ctx context.Context) error {
	r.start.Lock()
	defer r.start.Unlock()
	for _, e := range r.engines {
		_ = e.api.Close()
	}
	if undone, err := r.Undo(ctx); !undone || err != nil {
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
