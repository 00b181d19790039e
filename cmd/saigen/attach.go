package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

func (w *world) attachCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "attach [RUN]",
		Short: "Join a run that is under way, or that was left running",
		Long: `Show what a run shows that is under way, in another terminal or in a CI job on this host: the newest one, or
the one that is named. ^C leaves it alone. Where it is paused, Enter has it go on. The exit code is that of the run.
Of a run whose machines were left running, it shows how that came, and what to type next.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := ""
			if len(args) == 1 {
				given = args[0]
			}
			p, err := w.paths()
			if err != nil {
				return err
			}
			here := func(r runInfo) bool { return ledger.Owned(filepath.Join(p.runs, string(r.ID))) || w.isUp(r.ID) }
			info, p, err := w.findRun(given, here, "no run is under way, and no machine is running: saigen runs lists what there was")
			if err != nil {
				return err
			}
			if w.wasKilled(info.ID) {
				return w.ended(storedRun{runInfo: info}, runner.ExitInconclusive)
			}
			if !here(info) {
				return usage("run %s has ended: saigen show %s shows what it found", info.ID, info.ID)
			}
			w.watches.Store(true)
			f.parallel = info.Parallel
			return w.attach(cmd.Context(), storedRun{info, filepath.Join(p.runs, string(info.ID))}, f)
		},
		ValidArgsFunction: w.completeRuns,
	}
	w.outputFlags(c, &f)
	return c
}

// attach shows a run until it ends, or ctx does.
func (w *world) attach(ctx context.Context, r storedRun, f runFlags) error {
	on, _ := w.driverNamed(r.Driver)
	sink, closeSink := w.printer(f, r.Path, chosenDriver{on, r.Why})
	defer closeSink()
	if _, drawn := sink.(*report.Terminal); drawn && isTerminal(w.stdin) {
		in, stop, err := stoppable(ctx, w.stdin)
		if err != nil {
			return err
		}
		defer stop()
		defer silent(w.stdin)()
		go func() {
			for in.line() == nil {
				r.goOn()
			}
		}()
	}
	news, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch run %s: %v", r.ID, err)
	}
	defer news.Close()
	if err := news.Add(r.folder); err != nil {
		return fmt.Errorf("cannot watch run %s: %v", r.ID, err)
	}
	alive := time.NewTicker(time.Second) // a run that was killed writes nothing
	defer alive.Stop()
	stream := newStream(r.folder, w.thaw)
	var left time.Time // when the run was first seen without an owner
	ends := false      // with an event, as runs do and saigen up does not
	for {
		if left.IsZero() && !ledger.Owned(r.folder) { // looked at before what it wrote last is read
			left = time.Now()
		}
		events, err := stream.next()
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Type == runner.TrialStarted && e.Folder != "" {
				_ = news.Add(filepath.Join(r.folder, filepath.Base(e.Folder))) // when it is gone already there is no news of it
			}
			ends = ends || e.Type == runner.RunStarted
			if e.Type == runner.RunEnded && e.Summary != nil {
				e.Summary.Outcomes, _ = readOutcomes(r.folder) // without them the summary is shorter
				sink.Event(e)
				closeSink()
				return w.ended(r, e.Summary.Exit)
			}
			sink.Event(e)
		}
		if !left.IsZero() && (!ends || w.wasKilled(r.ID) || time.Since(left) > lastWords) {
			closeSink()
			return w.ended(r, runner.ExitExpected)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-alive.C:
		case <-news.Events:
		case err := <-news.Errors:
			return fmt.Errorf("cannot watch run %s: %v", r.ID, err)
		}
	}
}

// lastWords is how long a run may take to tell of its end when it has undone everything: it still tidies the cache, compares the
// host with what it was, and writes its report.
const lastWords = time.Minute

// ended says what there is after a run that is not under way any more.
func (w *world) ended(r storedRun, exit int) error {
	switch {
	case w.isUp(r.ID):
		w.sayNext(&session{info: r.runInfo})
	case w.wasKilled(r.ID):
		return &exitError{
			code: runner.ExitInconclusive, err: fmt.Errorf("run %s was killed", r.ID),
			hint: "saigen gc removes what it has left.",
		}
	}
	if exit != 0 {
		return &exitError{code: exit}
	}
	return nil
}

// wasKilled says whether a run was killed, and has not been undone since.
func (w *world) wasKilled(id lab.RunID) bool {
	p, err := w.paths()
	if err != nil {
		return false
	}
	dead, err := ledger.Dead(p.runs)
	return err == nil && slices.ContainsFunc(dead, func(r ledger.Run) bool { return r.ID == id })
}
