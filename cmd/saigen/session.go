package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/ledger"
)

// session is one run on this host: its id, its folders and its ledger.
type session struct {
	id     lab.RunID
	paths  paths
	folder string // the run's evidence
	ledger *ledger.Ledger
	lock   *lockKeeper
	images *image.Cache
	limit  int64 // of the cache after the run, in bytes
	info   runInfo
}

// runInfo is a run's run.json: what the commands that come later need to know.
type runInfo struct {
	ID            lab.RunID   `json:"id"`
	Lab           string      `json:"lab"`            // its name
	Path          string      `json:"path"`           // as it was given
	From          string      `json:"from,omitempty"` // where it was fetched from, with its sum; empty: it is of this host's files
	Dir           string      `json:"dir"`            // the lab's own folder, absolute
	Driver        string      `json:"driver"`
	Why           string      `json:"driver_why,omitempty"` // why saigen chose it; empty: it was asked for
	Started       time.Time   `json:"started"`
	Saigen        string      `json:"saigen,omitempty"` // its version
	Host          hostInfo    `json:"host"`
	Variants      []string    `json:"variants"`
	Parallel      int         `json:"parallel,omitempty"`       // how many trials may run side by side; 0: one after the other
	WithoutFaults bool        `json:"without_faults,omitempty"` // nothing was injected
	Machines      []string    `json:"machines"`                 // names, in the order of their start
	Accounts      []string    `json:"accounts,omitempty"`       // of the first machine
	Up            lab.Variant `json:"up,omitempty"`             // the variant whose machines were left running
	UpAs          lab.RunID   `json:"up_as,omitempty"`          // the id that its driver knows them by; empty: none were
	Uses          []string    `json:"uses,omitempty"`           // entries of the cache that they use: "images/HASH"
}

const runInfoFile = "run.json"

// begin opens a run: runs that were killed are undone first.
func (w *world) begin(ctx context.Context, m meant, file *labfile.File, on chosenDriver, labs []*lab.Lab) (*session, error) {
	p, err := w.paths()
	if err != nil {
		return nil, err
	}
	if err := p.writable(); err != nil {
		return nil, err
	}
	if err := p.private(); err != nil {
		return nil, err
	}
	if err := w.collectDead(ctx, p); err != nil {
		fmt.Fprintf(w.stderr, "warning: an earlier run that was killed could not be undone: %v\n", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lock, err := openLock(file, m.from)
	if err != nil {
		return nil, err
	}
	s := &session{id: newRunID(time.Now()), paths: p, lock: lock, images: image.New(p.cache, w.log)}
	if s.limit, err = w.cacheLimit(); err != nil {
		return nil, err
	}
	s.folder = filepath.Join(p.runs, string(s.id))
	if err := os.Mkdir(s.folder, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the folder of the run: %w", err)
	}
	w.begun(s.folder)
	s.ledger, err = ledger.Open(s.folder, s.id, w.undoers()...)
	if err != nil {
		w.done()
		return nil, errors.Join(err, os.RemoveAll(s.folder))
	}
	s.info = runInfo{ID: s.id, Lab: file.Name, Path: m.folder(), From: m.address(), Dir: file.Dir, Driver: on.name, Why: on.why, Started: time.Now(), Saigen: thisVersion(), Host: thisHost()}
	for _, l := range labs {
		s.info.Variants = append(s.info.Variants, l.Variant.String())
	}
	for i, m := range labs[0].Machines {
		s.info.Machines = append(s.info.Machines, m.Name)
		for _, a := range m.Accounts {
			if i == 0 {
				s.info.Accounts = append(s.info.Accounts, a.Name)
			}
		}
	}
	// What is in it is undone by those who put it there; the folder itself is ours.
	err = s.ledger.Record(ledger.Entry{Kind: ledger.KindDirectory, Path: s.scratch()})
	if err = errors.Join(err, s.write(), s.freeze(file, labs)); err != nil {
		return nil, errors.Join(err, s.abandon(ctx, w))
	}
	return s, nil
}

// abandon removes a run of which nothing was started, with its folder: there is no evidence in it.
func (s *session) abandon(ctx context.Context, w *world) error {
	defer w.done()
	undone := errors.Join(s.ledger.Undo(context.WithoutCancel(ctx)), s.images.Close())
	if undone == nil { // otherwise its ledger is still needed
		undone = os.RemoveAll(s.folder)
	}
	return errors.Join(undone, s.ledger.Close())
}

// scratch is the folder for storage and volumes while machines run.
func (s *session) scratch() string { return filepath.Join(s.folder, "scratch") }

func (s *session) write() error {
	data, err := json.MarshalIndent(s.info, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.folder, runInfoFile), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot describe the run: %w", err)
	}
	return nil
}

// collectDead undoes the runs whose process was killed.
func (w *world) collectDead(ctx context.Context, p paths) error {
	dead, err := ledger.Dead(p.runs)
	if len(dead) == 0 {
		return err
	}
	for _, r := range dead { // one that cannot be read keeps nothing of the others
		fmt.Fprintf(w.stderr, "undoing run %s, which was killed\n", r.ID)
	}
	return errors.Join(err, w.undo(ctx, dead))
}

// storedRuns reads the run.json of every run, the newest last.
func (w *world) storedRuns() ([]runInfo, paths, error) {
	p, err := w.paths()
	if err != nil {
		return nil, p, err
	}
	entries, err := os.ReadDir(p.runs)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, p, err
	}
	var runs []runInfo
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(p.runs, e.Name(), runInfoFile))
		var info runInfo
		if err != nil || json.Unmarshal(data, &info) != nil {
			continue // not a run, or one that was killed before it began
		}
		runs = append(runs, info)
	}
	// Not by id: two runs of one second have ids in any order.
	slices.SortFunc(runs, func(a, b runInfo) int { return a.Started.Compare(b.Started) })
	return runs, p, nil
}

// findRun is the run with the given id, or the newest one that passes when none is given.
func (w *world) findRun(given string, passes func(runInfo) bool, none string) (runInfo, paths, error) {
	runs, p, err := w.storedRuns()
	if err != nil {
		return runInfo{}, p, err
	}
	for i := len(runs) - 1; i >= 0; i-- {
		if given == string(runs[i].ID) || (given == "" && passes(runs[i])) {
			return runs[i], p, nil
		}
	}
	if given != "" {
		return runInfo{}, p, usage("there is no run %q: saigen runs lists them", given)
	}
	return runInfo{}, p, usage("%s", none)
}

// binary copies this very program into the run: it is the agent in the machines, and must stay the same when the file
// that was started is replaced while the run goes on.
func (s *session) binary() (path string, err error) {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer from.Close()
	if err := os.MkdirAll(s.scratch(), 0o700); err != nil {
		return "", err
	}
	to, err := os.OpenFile(filepath.Join(s.scratch(), "saigen"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	return to.Name(), errors.Join(err, to.Close())
}
