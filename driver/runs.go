package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// Places says where a driver keeps what it has of runs. All folders are absolute.
type Places struct {
	// Name is the driver's, and that of its folder in a run's scratch folder.
	Name string
	// Runtime holds one folder of sockets for each run, such as /run/saigen.
	Runtime string
	// Scratch returns the folder for a run's disks and storage.
	Scratch func(lab.RunID) string
	// Ledger returns the run's ledger, open, and the same one each time.
	Ledger func(lab.RunID) (*ledger.Ledger, error)
}

// Place is where a driver keeps what it has of one run. Drivers embed it in what they know of a run, whose lock is held
// while Open and Undo are called.
type Place struct {
	ID     lab.RunID
	Dir    string         // storage, disks and logs
	Sock   string         // runtime folder
	Ledger *ledger.Ledger // nil before Open

	open func(lab.RunID) (*ledger.Ledger, error)
}

// Open makes the folders, of which the ledger knows before they are there. Again is fine.
func (p *Place) Open() error {
	if p.Ledger == nil {
		l, err := p.open(p.ID)
		if err != nil {
			return err
		}
		for _, dir := range []string{p.Dir, p.Sock} {
			if err := l.Record(ledger.Entry{Kind: ledger.KindDirectory, Path: dir}); err != nil {
				return err
			}
		}
		p.Ledger = l
	}
	for _, dir := range []string{p.Dir, p.Sock} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot make the run's folder: %w", err)
		}
	}
	return nil
}

// Undo undoes the run's ledger. It says false where there is nothing to undo: nothing was made, or the machines are kept.
func (p *Place) Undo(ctx context.Context) (bool, error) {
	if p.Ledger == nil || p.Ledger.Kept() {
		return false, nil
	}
	return true, p.Ledger.Undo(ctx)
}

// Run is what a driver knows of a run.
type Run interface {
	// Close undoes the run, unless it is kept. It waits until nothing is made in the run any more.
	Close(ctx context.Context) error
}

// Runs are the runs that a driver has things of. Its methods may be called from several goroutines.
type Runs[R Run] struct {
	places Places
	begin  func(Place) R

	mu  sync.Mutex
	all map[lab.RunID]R
}

// NewRuns has no runs yet. begin makes what the driver knows of a new one; it makes nothing on the host.
func NewRuns[R Run](p Places, begin func(Place) R) *Runs[R] {
	return &Runs[R]{places: p, begin: begin, all: map[lab.RunID]R{}}
}

// Of returns a run. One that is new is not opened yet.
func (r *Runs[R]) Of(id lab.RunID) R {
	r.mu.Lock()
	defer r.mu.Unlock()
	run, ok := r.all[id]
	if !ok {
		run = r.begin(Place{
			ID: id, Dir: filepath.Join(r.places.Scratch(id), r.places.Name), Sock: filepath.Join(r.places.Runtime, string(id)),
			open: r.places.Ledger,
		})
		r.all[id] = run
	}
	return run
}

// Close closes all runs; what is kept stays. Twice is fine.
func (r *Runs[R]) Close(ctx context.Context) error {
	r.mu.Lock()
	var ids []lab.RunID
	for id := range r.all {
		ids = append(ids, id)
	}
	r.mu.Unlock()
	var errs []error
	for _, id := range ids {
		errs = append(errs, r.Release(ctx, id))
	}
	return errors.Join(errs...)
}

// Release does for one run what Close does for all. A run that could not be closed stays, so that it can be tried again.
func (r *Runs[R]) Release(ctx context.Context, id lab.RunID) error {
	r.mu.Lock()
	run, ok := r.all[id]
	r.mu.Unlock()
	if !ok {
		return nil
	}
	if err := run.Close(ctx); err != nil {
		return fmt.Errorf("cannot undo run %s: %w", id, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, id)
	return nil
}
