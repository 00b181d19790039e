package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/saigen-lab/saigen/diff"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/runner"
	"github.com/saigen-lab/saigen/stack"
)

// activeRun is a run under way with all that it needs.
type activeRun struct {
	*session
	w      *world
	driver driver
	runner *runner.Runner
	sinks  sinks
	events *eventsFile
	before ledger.Inventory

	release func() // when the host is as it was: see hold
}

func (w *world) start(ctx context.Context, m meant, file *labfile.File, on chosenDriver, labs []*lab.Lab, f runFlags) (*activeRun, error) {
	memory, _ := capacity("/")
	if err := affordable(labs, memory); err != nil {
		return nil, err
	}
	s, err := w.begin(ctx, m, file, on, labs)
	if err != nil {
		return nil, err
	}
	r := &activeRun{session: s, w: w, release: w.hold()}
	if err := r.open(m, on, labs, f); err != nil {
		return nil, errors.Join(err, r.giveUp(ctx))
	}
	return r, nil
}

// giveUp removes what there is of a run that could not be started.
func (r *activeRun) giveUp(ctx context.Context) error {
	defer r.release()
	r.sinks.close()
	var err error
	if r.driver != nil {
		err = r.driver.Close(context.WithoutCancel(ctx))
	}
	return errors.Join(err, r.abandon(ctx, r.w))
}

// open makes what a run needs besides its folder.
func (r *activeRun) open(m meant, on chosenDriver, labs []*lab.Lab, f runFlags) (err error) {
	w, s := r.w, r.session
	r.before, err = ledger.Take()
	if err != nil {
		return err
	}
	composer, err := stack.New(w.kinds.Assertions)
	if err != nil {
		return err
	}
	r.driver, err = on.new(w, s)
	if err != nil {
		return err
	}
	if r.events, err = openEvents(filepath.Join(s.folder, runner.EventsFile)); err != nil {
		return err
	}
	r.sinks.add(r.events, r.events.close)
	printer, closePrinter := w.printer(f, m.folder(), on)
	r.sinks.add(printer, closePrinter)
	r.sinks.tell(runner.Event{Type: runner.DriverChosen, Subject: on.name, Text: on.why})
	r.runner = &runner.Runner{
		Driver: r.driver, Composer: composer, Sink: &r.sinks, Run: s.id, Folder: s.folder, Keep: runner.Keep(f.keep),
		Parallel: f.parallel, Capacity: func() (int64, int) { return capacity("/") }, Fresh: f.fresh,
		Until: f.until, Again: f.again, Seed: uint64(f.seed), Drift: s.lock.drift,
		Mask: diff.Mask, Seen: diff.Seen, Collect: diff.Collect, Advise: w.advise, Scarce: func() string { return scarce(s.folder) },
	}
	if m.from != nil {
		r.sinks.tell(runner.Event{Type: runner.Step, Text: fmt.Sprintf("fetched from %s: nobody of this host vouches for it, so it runs in a virtual machine, which has no way out", m.from.address)})
	}
	r.ask(f.pause, printer)
	if f.bare {
		r.sinks.tell(runner.Event{Type: runner.Step, Text: "without faults: nothing is injected, and no symptom may appear"})
	}
	if s.info.WithoutFaults = f.bare; f.parallel > 1 {
		s.info.Parallel = f.parallel
	}
	return s.write()
}

// keep leaves the run's machines to the commands that come later.
func (r *activeRun) keep(up lab.Variant) error {
	r.info.Up = up
	r.info.UpAs, _ = r.runner.Kept()
	var err error
	if r.info.Uses, err = r.inUse(); err != nil {
		return err
	}
	if err := r.write(); err != nil {
		return err
	}
	return r.ledger.Keep()
}

// finish ends a run: its driver and its ledger are undone unless it is kept, the host is compared with what it was,
// and the summary is told. summary is nil when there is nothing to tell.
func (r *activeRun) finish(ctx context.Context, summary *runner.Summary) {
	defer r.release()
	defer r.w.done()
	ctx = context.WithoutCancel(ctx)
	undone := r.driver.Close(ctx)
	_, kept := r.runner.Kept()
	if !kept {
		undone = errors.Join(undone, r.ledger.Undo(ctx))
	}
	undone = errors.Join(undone, r.ledger.Close())
	_ = os.Remove(r.paths.runtime) // when no other run has its sockets there
	if undone != nil {
		r.sinks.tell(runner.Event{Type: runner.Warning, Text: fmt.Sprintf("cannot undo everything: %v", undone), Hint: "saigen gc"})
	}
	r.prune(ctx)
	if summary != nil {
		if !kept {
			r.audit(summary)
		}
		r.miss(summary, r.store(summary))
		r.miss(summary, r.leaveReport())
		r.miss(summary, r.events.Err())
		if len(summary.Lost) > 0 {
			_ = r.store(summary) // that it is not whole has been said
		}
		r.sinks.tell(runner.Event{Type: runner.RunEnded, Summary: summary})
	}
	r.sinks.close()
	if err := r.events.Err(); summary != nil && err != nil && len(summary.Lost) == 0 { // the last line of them
		r.miss(summary, err)
		r.w.fail(err)
	}
}

// miss tells that some of the evidence could not be kept. A run whose evidence is not whole is at best inconclusive.
func (r *activeRun) miss(summary *runner.Summary, err error) {
	if err == nil {
		return
	}
	r.sinks.tell(runner.Event{Type: runner.Warning, Text: err.Error(), Hint: r.w.advise(err)})
	summary.Lost = append(summary.Lost, err.Error())
	if summary.Exit == runner.ExitExpected {
		summary.Exit = runner.ExitInconclusive
	}
}

// audit compares the host with what it was before the run. What is left of the run makes it inconclusive.
func (r *activeRun) audit(summary *runner.Summary) {
	after, err := ledger.Take()
	if err != nil {
		r.sinks.tell(runner.Event{Type: runner.Warning, Text: fmt.Sprintf("cannot compare the host with what it was: %v", err)})
		return
	}
	for _, left := range r.before.Left(after, ledger.OfRun(r.id)) {
		r.sinks.tell(runner.Event{Type: runner.Leaked, Text: left.What, Hint: left.Fix})
		summary.Leaks = append(summary.Leaks, left.What)
	}
	if len(summary.Leaks) > 0 && summary.Exit == runner.ExitExpected {
		summary.Exit = runner.ExitInconclusive
	}
}
