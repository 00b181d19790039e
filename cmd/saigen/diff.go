package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/diff"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// diffFlags are the flags of diff; those of run say how a lab is brought up.
type diffFlags struct {
	account bool
	run     string
	machine string
	healthy bool
	all     bool
	runFlags
}

func (w *world) diffCommand() *cobra.Command {
	var f diffFlags
	c := &cobra.Command{
		Use:   "diff RUN RUN | diff --account NAME NAME [LAB] [AXIS:VALUE|!AXIS:VALUE ...]",
		Short: "Show what differs between two runs, or two accounts of a machine",
		Long: `Show what differs between two runs: their variants, hosts, packages, settings, files, environments and observations.
A trial of a run is named by its folder: RUN/bookworm,1. With --account: between two accounts of one machine, in
their sessions, processes, configuration, environment and limits. Names, ids and numbers that every account has of its
own are no difference. The machine is one that is up, or the lab is brought up for it, and removed afterwards.
What explains most comes first. The exit code is 1 when something differs, and 0 when nothing does.`,
		Example: `  saigen diff 20240601-093000-1a2b 20240601-101500-3c4d
  saigen diff 20240601-093000-1a2b/bookworm,1 20240601-093000-1a2b/trixie,1
  saigen diff --account alice bob labs/stale-dns debian:bookworm trigger:port_taken`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.account {
				return w.diffAccounts(cmd.Context(), args, f)
			}
			return w.diffRuns(args, f)
		},
		ValidArgsFunction: w.completeRuns,
	}
	w.driverFlag(c, &f.runFlags)
	c.Flags().BoolVar(&f.account, "account", false, "compare two accounts of a machine")
	c.Flags().StringVar(&f.run, "run", "", "with --account: the `RUN` whose machine it is (default: the newest that is up)")
	c.Flags().StringVar(&f.machine, "machine", "", "with --account: the `MACHINE` (default: the lab's first)")
	c.Flags().BoolVar(&f.healthy, "healthy", false, "with --account and a lab: stop before the faults are injected")
	c.Flags().BoolVar(&f.all, "all", false, "show every difference, not only the first of each topic")
	c.Flags().BoolVar(&f.json, "json", false, "print the differences as JSON")
	_ = c.RegisterFlagCompletionFunc("run", w.completeUp)
	_ = c.RegisterFlagCompletionFunc("machine", w.completeMachines)
	return c
}

// mostOfTopic is how many differences of a topic are shown without --all: two Debian releases differ in hundreds of packages.
const mostOfTopic = 12

// show prints differences; there being some is exit code 1.
func (f diffFlags) show(w *world, a, b string, all []diff.Difference) error {
	if f.json {
		enc := json.NewEncoder(w.stdout)
		enc.SetIndent("", "  ")
		if all == nil {
			all = []diff.Difference{}
		}
		if err := enc.Encode(all); err != nil {
			return err
		}
	} else {
		most := mostOfTopic
		if f.all {
			most = 0
		}
		report.Differences(w.stdout, w.style(w.stdout), a, b, all, most)
	}
	if len(all) > 0 {
		return &exitError{code: runner.ExitUnexpected}
	}
	return nil
}

func (w *world) diffAccounts(ctx context.Context, args []string, f diffFlags) error {
	if len(args) < 2 {
		return usage("two accounts are needed: saigen diff --account alice bob LAB")
	}
	a, b, args := args[0], args[1], args[2:]
	if f.run != "" && len(args) > 0 {
		return usage("--run is for a machine that is up, and %s would be brought up: give one of them", strings.Join(args, " "))
	}
	run := f.run
	if len(args) > 0 {
		up, down, err := w.bringUpFor(ctx, args, []string{a, b}, f)
		if err != nil {
			return err
		}
		defer down()
		run = string(up)
	}
	m, info, err := w.connect(ctx, run, f.machine)
	if err != nil {
		return err
	}
	for _, name := range []string{a, b} {
		if len(info.Accounts) > 0 && f.machine == "" && !slices.Contains(append(info.Accounts, "root"), name) {
			return usage("there is no account %q on the machine: it has %s", name, strings.Join(info.Accounts, ", "))
		}
	}
	x, y, err := diff.Accounts(ctx, m, a, b)
	if err != nil {
		return err
	}
	return f.show(w, a, b, diff.Compare(x.Facts, y.Facts, x.Who.Alike, y.Who.Alike))
}

// bringUpFor brings a lab up as saigen up does, for one look; down removes it.
func (w *world) bringUpFor(ctx context.Context, args, accounts []string, f diffFlags) (run lab.RunID, down func(), err error) {
	m, file, labs, err := w.choose(ctx, args)
	if err != nil {
		return "", nil, err
	}
	if len(labs) > 1 {
		return "", nil, tooMany(labs)
	}
	for _, name := range accounts {
		if !hasAccount(labs[0], name) {
			return "", nil, usage("lab %s has no account %q", file.Name, name)
		}
	}
	f.quiet = true
	stdout := w.stdout
	w.stdout = io.Discard // its events are in the run's folder; what failed is said on stderr
	defer func() { w.stdout = stdout }()
	on, err := w.pickDriver(ctx, labs, f.driver)
	if err != nil {
		return "", nil, err
	}
	r, err := w.start(ctx, m, file, on, labs, f.runFlags)
	if err != nil {
		return "", nil, err
	}
	until := runner.InForce
	if f.healthy {
		until = runner.Baseline
	}
	fmt.Fprintf(w.stderr, "bringing up %s %s\n", file.Name, labs[0].Variant)
	err = r.runner.Up(ctx, labs[0], until)
	if err == nil {
		err = r.keep(labs[0].Variant)
	}
	r.finish(ctx, nil)
	if err != nil {
		return "", nil, err
	}
	return r.id, func() { w.remove(context.WithoutCancel(ctx), r.id) }, nil
}

// remove undoes a run that was left running.
func (w *world) remove(ctx context.Context, id lab.RunID) {
	p, err := w.paths()
	if err == nil {
		var left []ledger.Run
		left, err = ledger.Left(p.runs)
		left = slices.DeleteFunc(left, func(r ledger.Run) bool { return r.ID != id })
		if err == nil {
			err = w.undo(ctx, left)
		}
	}
	if err != nil {
		fmt.Fprintf(w.stderr, "warning: cannot remove the machines of run %s: %v\n\nsaigen down %s\n", id, err, id)
	}
}

func hasAccount(l *lab.Lab, name string) bool {
	return slices.ContainsFunc(l.Machines, func(m lab.Machine) bool {
		return name == "root" || slices.ContainsFunc(m.Accounts, func(a lab.Account) bool { return a.Name == name })
	})
}

func tooMany(labs []*lab.Lab) error {
	var names []string
	for _, l := range labs {
		names = append(names, l.Variant.String())
	}
	return usage("%d variants are meant, and one is brought up; add a filter:\n\n    %s", len(labs), strings.Join(names, "\n    "))
}
