package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/runner"
)

// interruptible returns a context that the first ^C ends, so that what runs is healed and destroyed. The second ^C
// ends the process at once and says how to remove what is left.
//
// SIGTERM is like ^C. A terminal that goes away is like the first one, and never like a second: its shell and the kernel each send a
// SIGHUP. Nobody reads any more what is written to a pipe whose reader has ended; that is like the first one while something is
// being made or undone, and otherwise the end, as of any program.
func (w *world) interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		for s := range signals {
			pipe, hangup := s == syscall.SIGPIPE, s == syscall.SIGHUP
			switch {
			case pipe && w.making.Load() == 0:
				os.Exit(exitPipe)
			case ctx.Err() == nil:
				if !w.watches.Load() {
					fmt.Fprintln(w.stderr, "\nstopping: healing and destroying what was made; press ^C again to stop at once")
				}
				cancel()
			case !pipe && !hangup && !w.watches.Load():
				w.sayLeft()
				os.Exit(runner.ExitInterrupted)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel()
	}
}

// exitPipe is 128 + SIGPIPE, as a shell has it.
const exitPipe = 141

// hold says that the host is being changed, until done is called.
func (w *world) hold() (done func()) {
	w.making.Add(1)
	return func() { w.making.Add(-1) }
}

// sayLeft says what a run that is stopped at once leaves. It reads the ledger's file: the ledger itself may be at work.
func (w *world) sayLeft() {
	fmt.Fprint(w.stderr, "\nstopped at once; what is left is listed by\n\n    saigen gc --dry-run\n\nand removed by\n\n    saigen gc\n")
	dir := w.folder.Load()
	if dir == nil {
		return
	}
	run, err := ledger.Read(*dir)
	if err != nil {
		fmt.Fprintf(w.stderr, "\nOf run %s it cannot be told: %v\n", filepath.Base(*dir), err)
		return
	}
	fmt.Fprintf(w.stderr, "\nOf run %s that may be:\n\n", run.ID)
	for _, e := range run.Entries {
		fmt.Fprintf(w.stderr, "    %s %s\n", e.Kind, e.Path)
	}
}

// begun and done say which run's folder a second ^C speaks of.
func (w *world) begun(folder string) { w.folder.Store(&folder) }
func (w *world) done()               { w.folder.Store(nil) }

// undo undoes runs that Dead or Left listed.
func (w *world) undo(ctx context.Context, runs []ledger.Run) error {
	defer w.hold()()
	return ledger.Collect(ctx, runs, w.undoers()...)
}
