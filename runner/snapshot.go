package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saigen-lab/saigen/lab"
)

// readyAgain is how long a readiness probe may take to pass after a restore: it passed when the machines were saved.
const readyAgain = 20 * time.Second

// baseline is what a run knows of the snapshot of one baseline.
type baseline struct {
	turn   chan struct{} // holds one token; whoever brings the machines up for the snapshot has taken it
	gaveUp atomic.Bool   // it cannot be saved, or what was saved cannot be restored: no arm of this run tries again
	by     *arm          // that has saved it; nil: none of this run
}

// baselines are those of a run, by key.
type baselines struct {
	mu  sync.Mutex
	all map[string]*baseline
}

func (b *baselines) of(key string) *baseline {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[string]*baseline{}
	}
	if b.all[key] == nil {
		b.all[key] = &baseline{turn: make(chan struct{}, 1)}
	}
	return b.all[key]
}

// begin brings the machines of the arm to the baseline: from its snapshot where the driver has snapshots, so that every arm
// starts from the same bytes; afresh otherwise, or when that goes wrong. It starts them afresh at most twice: once for the
// snapshot, and once when the snapshot turned out to be of no use.
func (a *arm) begin(ctx context.Context) error {
	s, ok := a.r.Driver.(lab.Snapshotter)
	if !ok {
		return a.bringUp(ctx)
	}
	key, err := baselineKey(a.l, readiness(a.r.Composer, a.l), a.r.salt())
	if err != nil {
		return infra(err, "cannot read what the baseline is made of")
	}
	b := a.r.baselines.of(key)
	if b.gaveUp.Load() {
		return a.bringUp(ctx)
	}
	switch found, err := a.restore(ctx, s, key); {
	case err != nil || found == restored:
		return err
	case found == useless:
		return a.bringUp(ctx)
	}
	waited, err := a.enter(ctx, b)
	if err != nil {
		return err
	}
	defer func() { <-b.turn }()
	if waited { // for somebody who was at it: it may be there by now
		switch found, err := a.restore(ctx, s, key); {
		case err != nil || found == restored:
			return err
		case found == useless:
			return a.bringUp(ctx)
		}
	}
	return a.firstTime(ctx, s, key, b)
}

// forget removes what a fresh run has saved: no other run would ever find it.
func (r *Runner) forget(ctx context.Context) {
	f, ok := r.Driver.(lab.Forgetter)
	if !ok || !r.Fresh || r.keptArm() != nil { // kept machines stand on it
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	r.baselines.mu.Lock()
	defer r.baselines.mu.Unlock()
	for key, b := range r.baselines.all {
		if b.by == nil {
			continue
		}
		if err := f.Forget(ctx, b.by.id, b.by.l, key); err != nil {
			e := r.failed(err)
			e.Type, e.Text = Warning, "cannot remove the snapshot of this run, which no other run finds: "+e.Text
			r.tell(e)
		}
	}
}

// enter takes the turn to make a snapshot, and says whether it had to wait for another arm.
func (a *arm) enter(ctx context.Context, b *baseline) (waited bool, err error) {
	select {
	case b.turn <- struct{}{}:
		return false, nil
	default:
	}
	a.emit(Event{Type: Step, Text: "waiting for the snapshot of the baseline, which another arm makes"})
	select {
	case b.turn <- struct{}{}:
		return true, nil
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// firstTime brings the machines up, saves them, and starts from what it saved.
func (a *arm) firstTime(ctx context.Context, s lab.Snapshotter, key string, b *baseline) error {
	if err := a.bringUp(ctx); err != nil || b.gaveUp.Load() {
		return err
	}
	why, err := a.unfit(ctx)
	if err != nil {
		return err
	}
	if why != "" { // the arm goes on, and what it sees is judged as on every other driver
		a.emit(Event{Type: Warning, Text: "the baseline is not saved: " + why})
		return nil
	}
	began := time.Now()
	a.emit(Event{Type: Step, Text: "saving the machines as the snapshot of the baseline"})
	if f, ok := a.r.Driver.(lab.Forgetter); ok && a.r.Fresh {
		if err := f.Passing(ctx, a.id, a.l, key); err != nil {
			return err
		}
	}
	switch err := s.Save(ctx, a.id, a.l, key, a.machines); {
	case errors.Is(err, lab.ErrNoSnapshot) && ctx.Err() == nil:
		b.gaveUp.Store(true)
		a.emit(Event{Type: Step, Text: "machines of this kind cannot be saved; every arm starts its own"})
		return nil
	case err != nil:
		a.destroy(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.gaveUp.Store(true)
		a.warn(err, "cannot save the baseline; the machines are started afresh, in this arm and in those that follow")
		return a.bringUp(ctx)
	}
	a.machines, b.by = nil, a
	a.begun.Save, a.begun.Made = time.Since(began), true
	a.emit(Event{Type: Step, Text: fmt.Sprintf("saved the machines as the snapshot of the baseline, %.1f s", a.begun.Save.Seconds())})
	found, err := a.restore(ctx, s, key)
	if err != nil || found == restored {
		return err
	}
	b.gaveUp.Store(true)
	if found == absent {
		a.emit(Event{Type: Warning, Text: "the snapshot that was just saved is not there; the machines are started afresh, in this arm and in those that follow"})
	}
	return a.bringUp(ctx)
}

// unfit says why machines that are ready are no baseline: an invariant that does not hold, or that cannot be looked at.
func (a *arm) unfit(ctx context.Context) (string, error) {
	limited, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	whys := make([]string, len(a.l.Invariants))
	all, limited := errgroup.WithContext(limited)
	for i, inv := range a.l.Invariants {
		all.Go(func() error {
			m, err := a.machine(inv.Machine)
			if err != nil {
				return err
			}
			whys[i], err = firstSight(limited, m, a.probe(inv), inv)
			return err
		})
	}
	if err := all.Wait(); ctx.Err() != nil || err != nil {
		return "", errors.Join(ctx.Err(), err)
	}
	for _, why := range whys {
		if why != "" {
			return why, nil
		}
	}
	return "", nil
}

// firstSight looks until one look counts, and says what is wrong with what it saw.
func firstSight(ctx context.Context, m lab.Running, p lab.Probe, inv lab.Assertion) (why string, err error) {
	look, cancel := context.WithCancel(ctx)
	defer cancel()
	why = fmt.Sprintf("%s could not look within %s: no look has ended", p.Address, firstLook)
	err = m.Watch(look, p, func(o lab.Observation) {
		switch f := failure(o); {
		case look.Err() != nil:
		case f != "":
			why = fmt.Sprintf("%s could not look within %s: %s", p.Address, firstLook, f)
		case inv.Do.Holds([]lab.Observation{o}):
			why = ""
			cancel()
		default:
			why = fmt.Sprintf("%s does not hold: %s", p.Address, explain(inv.Do, []lab.Observation{o}))
			cancel()
		}
	})
	if err != nil && look.Err() == nil {
		return "", infra(err, "lost "+string(m.Ref())+" while looking at "+p.Address)
	}
	return why, nil
}

// What came of a restore.
type outcome int

const (
	absent   outcome = iota // there is no snapshot
	restored                // the machines are at the baseline
	useless                 // it went wrong, and the user was told so; nothing is left of it
)

// loads are the machines that are being loaded for arms that come later, by run.
type loads struct {
	mu  sync.Mutex
	all map[lab.RunID]chan struct{} // closed when it has ended
}

// begin notes that something is being loaded for a run. The caller closes what it gets.
func (l *loads) begin(id lab.RunID) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[lab.RunID]chan struct{}{}
	}
	l.all[id] = make(chan struct{})
	return l.all[id]
}

// of returns what ends with a run's load; nil: there is none.
func (l *loads) of(id lab.RunID) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[id]
}

// wait returns when nothing is being loaded any more.
func (l *loads) wait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ended := range l.all {
		<-ended
	}
}

// load has the driver load, where it can, the machines of the arm that comes next, while the one before it keeps its logs and
// is destroyed. When that goes wrong, the restore will say so.
func (r *Runner) load(ctx context.Context, id lab.RunID, l *lab.Lab, begun *Begun) {
	d, ok := r.Driver.(lab.Loader)
	if !ok || begun == nil || begun.Snapshot == "" {
		return
	}
	ended := r.loads.begin(id)
	go func() {
		defer close(ended)
		_ = d.Load(ctx, id, l, begun.Snapshot)
	}()
}

// restore starts the machines from the snapshot and has the readiness probes pass again. An error is ctx's.
func (a *arm) restore(ctx context.Context, s lab.Snapshotter, key string) (outcome, error) {
	lap := laps()
	a.emit(Event{Type: Step, Text: "restoring machines from the snapshot of the baseline"})
	if loading := a.r.loads.of(a.id); loading != nil {
		<-loading
	}
	machines, err := s.Restore(ctx, a.id, a.l, key)
	if err == nil {
		a.machines = machines
		if a.begun == nil {
			a.begun = &Begun{}
		}
		a.begun.Snapshot, a.begun.Restore = key, lap()
		a.emit(Event{Type: Step, Text: fmt.Sprintf("restored machines from the snapshot of the baseline, %.2f s", a.begun.Restore.Seconds())})
		err = a.atBaseline(ctx)
	}
	switch {
	case err == nil:
		a.begun.Again = lap()
		return restored, nil
	case ctx.Err() != nil:
		return useless, ctx.Err()
	case errors.Is(err, lab.ErrNoSnapshot):
		a.emit(Event{Type: Step, Text: "there is no snapshot of the baseline yet"})
		return absent, nil
	}
	a.destroy(ctx)
	a.begun = nil
	a.warn(err, "cannot start from the snapshot of the baseline; the machines are started afresh")
	return useless, nil
}

// atBaseline says what is wrong with machines that were restored.
func (a *arm) atBaseline(ctx context.Context) error {
	for _, m := range a.machines {
		off, err := a.offset(ctx, m)
		if err != nil {
			return err
		}
		if off -= a.set(); off.Abs() > mostLate { // who restores goes by the calendar
			return &lab.InfraError{What: fmt.Sprintf("the clock of %s is wrong by %s after the restore", m.Ref(), off.Abs().Round(time.Millisecond))}
		}
	}
	if unready, err := a.ready(ctx, readyAgain); err != nil {
		return err
	} else if unready != nil {
		return unready
	}
	return nil
}

// warn tells of an error that the arm can live with.
func (a *arm) warn(err error, what string) {
	e := a.r.failed(err)
	e.Type, e.Text = Warning, what+": "+e.Text
	a.emit(e)
}
