package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
)

// Run is a run that has something left to undo.
type Run struct {
	ID      lab.RunID
	Dir     string // the folder of its ledger
	Kept    bool
	Entries []Entry
	Damaged int // lines that cannot be read
}

// Dead lists the runs below runsDir (one folder each) whose process is gone, which were not kept, and which have
// something left to undo.
func Dead(runsDir string) ([]Run, error) {
	return list(runsDir, func(r Run, owned bool) bool { return !owned && !r.Kept })
}

// Left lists every run below runsDir that has something left to undo and whose process is gone, the kept ones too.
func Left(runsDir string) ([]Run, error) {
	return list(runsDir, func(_ Run, owned bool) bool { return !owned })
}

func list(runsDir string, want func(r Run, owned bool) bool) ([]Run, error) {
	folders, err := os.ReadDir(runsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list runs: %w", err)
	}
	var runs []Run
	var errs []error
	for _, f := range folders {
		dir := filepath.Join(runsDir, f.Name())
		owned := Owned(dir) // before it is read: a run that ends meanwhile has undone what was in it
		r, err := Read(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if len(r.Entries)+r.Damaged > 0 && want(r, owned || Owned(dir)) { // and after it: it may just have begun
			runs = append(runs, r)
		}
	}
	return runs, errors.Join(errs...)
}

// Read reads what a run's ledger has, whoever owns it, at one moment.
func Read(dir string) (Run, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		return Run{}, fmt.Errorf("cannot read ledger: %w", err)
	}
	was := parse(data)
	return Run{ID: was.run, Dir: dir, Kept: was.kept, Entries: was.entries, Damaged: len(was.damaged)}, nil
}

// Owned says whether a living process holds the ledger in dir.
func Owned(dir string) bool {
	lock, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return false
	}
	defer lock.Close()
	// Only asked, not taken: a lock held for a moment would keep the run's own process from opening its ledger.
	who := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(lock.Fd(), unix.F_OFD_GETLK, &who) == nil && who.Type != unix.F_UNLCK
}

// Collect undoes runs that Dead or Left listed. A run that got an owner in the meantime is left alone. When ctx ends, the run that is being
// undone still is, and the others stay as they are.
func Collect(ctx context.Context, runs []Run, options ...Option) error {
	var errs []error
	for _, r := range runs {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, fmt.Errorf("run %s is not undone: %w", r.ID, err))...)
		}
		l, err := Open(r.Dir, r.ID, options...)
		if errors.Is(err, ErrOwned) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, l.Undo(ctx), l.Close())
	}
	return errors.Join(errs...)
}
