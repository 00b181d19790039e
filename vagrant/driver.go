package vagrant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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
	// Images builds and keeps the images, and makes boxes of them.
	Images *image.Cache
	// Fetch brings a box from elsewhere and returns its file. It is needed for labs that name one.
	Fetch func(ctx context.Context, source, checksum string) (string, error)
	// Runtime holds one folder for each run with what another process needs to reach its machines.
	Runtime string
	// Scratch returns the folder for a run's environments. The driver makes and removes a folder "vagrant" in it.
	Scratch func(lab.RunID) string
	// Ledger returns the run's ledger, open, and the same one each time. It must know KindEnvironment (see Undoers).
	Ledger func(lab.RunID) (*ledger.Ledger, error)
	// Built, where set, is told every image that a lab uses, when it is there.
	Built func(*lab.Lab, image.Built)
	Log   *slog.Logger
}

// Driver has Vagrant run machines. Its methods may be called from several goroutines.
type Driver struct {
	o        Options
	dialTime time.Duration

	prepared driver.Prepared[*prepared]
	runs     *driver.Runs[*run]
}

// run is what one run has here.
type run struct {
	driver.Place // its folder has one for each environment

	mu   sync.Mutex // held while an environment is added
	envs []*environment
	of   map[*lab.Lab]*environment
}

// New returns the driver. Nothing is started before the first machine is.
func New(o Options) *Driver {
	places := driver.Places{Name: "vagrant", Runtime: o.Runtime, Scratch: o.Scratch, Ledger: o.Ledger}
	return &Driver{
		o: o, dialTime: dialTime,
		runs: driver.NewRuns(places, func(p driver.Place) *run { return &run{Place: p, of: map[*lab.Lab]*environment{}} }),
	}
}

// Name is what --driver takes.
func (d *Driver) Name() string { return "vagrant" }

// environment returns the lab's environment in the run. It is made in its folder alone: open does the rest.
func (d *Driver) environment(id lab.RunID, l *lab.Lab) (*run, *environment, *prepared, error) {
	p, err := d.prepared.Of(l)
	if err != nil {
		return nil, nil, nil, err
	}
	r := d.runs.Of(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.of[l]; e != nil {
		return r, e, p, nil
	}
	if err := r.Open(); err != nil {
		return nil, nil, nil, err
	}
	e := &environment{
		Name:     fmt.Sprintf("saigen-%s-%d", id, len(r.envs)),
		Provider: p.provider,
		Foreign:  p.foreign(),
		provider: providerNamed(p.provider),
		alive:    map[string]bool{},
		ssh:      map[string]string{},
		saved:    map[string]bool{},
	}
	e.Dir = filepath.Join(r.Dir, fmt.Sprint(len(r.envs)))
	for _, m := range l.Machines {
		e.Machines = append(e.Machines, m.Name)
	}
	r.envs, r.of[l] = append(r.envs, e), e
	return r, e, p, nil
}

// open makes the environment, so that `vagrant up` finds all that it needs; e.mu is held. What was made before an error is
// removed, or is in the ledger.
func (d *Driver) open(ctx context.Context, r *run, e *environment, l *lab.Lab, p *prepared) (err error) {
	if e.made {
		return nil
	}
	if len(l.Machines) > maxMachines {
		return fmt.Errorf("a lab can have %d machines at most, not %d", maxMachines, len(l.Machines))
	}
	for _, dir := range []string{e.root(), e.home()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot make the environment: %w", err)
		}
	}
	if err := e.save(); err != nil {
		return err
	}
	if err := r.Ledger.Record(ledger.Entry{Kind: KindEnvironment, Path: e.Dir}); err != nil {
		return err
	}
	if e.log, err = os.OpenFile(filepath.Join(e.Dir, logName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.abandon(ctx))
		}
	}()
	if err := e.provider.open(ctx, e, p.boots); err != nil {
		return err
	}
	if err := errors.Join(e.save(), e.plugins()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(e.home(), "Vagrantfile"), []byte(homeVagrantfile(e)), 0o600); err != nil {
		return fmt.Errorf("cannot write the Vagrantfile: %w", err)
	}
	if p.foreign() {
		err = errors.Join(copyFolder(p.folder, e.root()), e.shareBoxes())
	} else {
		err = p.vagrantfile(ctx, e, l)
	}
	if err != nil {
		return err
	}
	e.made = true
	return nil
}

// abandon takes back what open made.
func (e *environment) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTime)
	defer cancel()
	err := e.removeAll(ctx)
	_ = e.log.Close()
	e.log = nil
	if err != nil {
		return err // the ledger's turn
	}
	return errors.Join(os.Remove(e.state()), os.RemoveAll(e.root()), os.RemoveAll(e.home()))
}

// vagrantfile writes saigen's own Vagrantfile and adds its boxes.
func (p *prepared) vagrantfile(ctx context.Context, e *environment, l *lab.Lab) error {
	var added []string
	for _, b := range p.boxes {
		if slices.Contains(added, b.name) {
			continue
		}
		if err := e.addBox(ctx, b); err != nil {
			return err
		}
		added = append(added, b.name)
	}
	text := vagrantfile(e, l, p.boxes)
	if err := os.WriteFile(filepath.Join(e.root(), "Vagrantfile"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("cannot write the Vagrantfile: %w", err)
	}
	return nil
}

// addBox unpacks a box into the environment's VAGRANT_HOME.
func (e *environment) addBox(ctx context.Context, b box) error {
	if _, err := e.vagrant(ctx, "box", "add", "--name", b.name, "--provider", e.Provider, "--force", b.file); err != nil {
		return fmt.Errorf("cannot add box %s: %w", b.name, err)
	}
	return nil
}

// copyFolder copies a team's folder without what their own Vagrant keeps in it.
func copyFolder(from, to string) error {
	root, err := os.OpenRoot(from)
	if err != nil {
		return fmt.Errorf("cannot copy the Vagrantfile's folder: %w", err)
	}
	defer root.Close()
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("cannot copy the Vagrantfile's folder: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == ".vagrant" || entry.Name() == ".git" {
			continue
		}
		if err := copyTree(root, entry.Name(), to); err != nil {
			return fmt.Errorf("cannot copy the Vagrantfile's folder: %w", err)
		}
	}
	return nil
}

// copyTree copies one entry of a folder. Links are copied as links, so nothing of what they point to is read.
func copyTree(root *os.Root, name, to string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	target := filepath.Join(to, name)
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		link, err := root.Readlink(name)
		if err != nil {
			return err
		}
		return os.Symlink(link, target)
	case info.IsDir():
		if err := os.Mkdir(target, 0o700); err != nil {
			return err
		}
		dir, err := root.Open(name)
		if err != nil {
			return err
		}
		entries, err := dir.ReadDir(-1)
		_ = dir.Close()
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := copyTree(root, filepath.Join(name, e.Name()), to); err != nil {
				return err
			}
		}
		return nil
	case info.Mode().IsRegular():
		data, err := root.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, info.Mode().Perm()|0o600)
	}
	return nil // sockets, pipes, devices
}

// Close removes what the runs that were not kept have left, and their environments. Twice is fine.
func (d *Driver) Close(ctx context.Context) error { return d.runs.Close(ctx) }

// Release does for one run what Close does for all.
func (d *Driver) Release(ctx context.Context, id lab.RunID) error { return d.runs.Release(ctx, id) }

// Close implements driver.Run.
func (r *run) Close(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.Undo(ctx); err != nil {
		return err
	}
	for _, e := range r.envs {
		if e.log != nil {
			_ = e.log.Close()
		}
	}
	return nil
}
