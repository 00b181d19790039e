package driver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// thing is what a driver of the test knows of a run.
type thing struct {
	Place

	fail   error
	undone bool
}

func (r *thing) Close(ctx context.Context) (err error) {
	if r.fail != nil {
		return r.fail
	}
	r.undone, err = r.Undo(ctx)
	return err
}

func someRuns(t *testing.T) *Runs[*thing] {
	t.Helper()
	dir := t.TempDir()
	ledgers := map[lab.RunID]*ledger.Ledger{}
	return NewRuns(Places{
		Name: "test", Runtime: filepath.Join(dir, "run"),
		Scratch: func(id lab.RunID) string { return filepath.Join(dir, "scratch", string(id)) },
		Ledger: func(id lab.RunID) (*ledger.Ledger, error) {
			if ledgers[id] == nil {
				folder := filepath.Join(dir, "runs", string(id))
				if err := os.MkdirAll(folder, 0o700); err != nil {
					return nil, err
				}
				l, err := ledger.Open(folder, id)
				if err != nil {
					return nil, err
				}
				ledgers[id] = l
			}
			return ledgers[id], nil
		},
	}, func(p Place) *thing { return &thing{Place: p} })
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestRuns(t *testing.T) {
	runs := someRuns(t)
	a := runs.Of("a")
	if again := runs.Of("a"); again != a || runs.Of("b") == a {
		t.Error("a run is one thing, and another run another")
	}
	if exists(a.Dir) || filepath.Base(a.Dir) != "test" || filepath.Base(a.Sock) != "a" {
		t.Errorf("before it is opened it has %s and %s", a.Dir, a.Sock)
	}
	for range 2 {
		if err := a.Open(); err != nil || !exists(a.Dir) || !exists(a.Sock) {
			t.Fatalf("cannot open: %v", err)
		}
	}
	a.fail = errors.New("it hangs")
	if err := runs.Close(t.Context()); !errors.Is(err, a.fail) || runs.Of("a") != a {
		t.Errorf("a run that cannot be closed: %v", err)
	}
	a.fail = nil
	for range 2 {
		if err := runs.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !a.undone || exists(a.Dir) || exists(a.Sock) || runs.Of("a") == a {
		t.Errorf("after it was closed: %+v", a)
	}
	if b := runs.Of("b"); b.undone || b.Ledger != nil {
		t.Errorf("of what was never opened: %+v", b)
	}
}

// What people keep is theirs: saigen down removes it.
func TestKeptRun(t *testing.T) {
	runs := someRuns(t)
	a := runs.Of("a")
	if err := a.Open(); err != nil {
		t.Fatal(err)
	}
	if err := a.Ledger.Keep(); err != nil {
		t.Fatal(err)
	}
	if err := runs.Release(t.Context(), "a"); err != nil || a.undone || !exists(a.Dir) {
		t.Errorf("a kept run was undone: %v", err)
	}
	if err := a.Ledger.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
}
