package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/runner"
	"github.com/saigen-lab/saigen/vagrant"
)

func (w *world) upCommand() *cobra.Command {
	var f runFlags
	var healthy bool
	c := &cobra.Command{
		Use:   "up LAB|ADDRESS [AXIS:VALUE|!AXIS:VALUE ...]",
		Short: "Bring one variant to its broken state and leave it there",
		Long: `Bring up the machines and stacks of one variant, inject its faults, wait for the symptoms, and stop there, with
everything running. saigen shell, exec and logs go in; saigen down removes it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m, file, labs, err := w.choose(cmd.Context(), args)
			if err != nil {
				return err
			}
			if len(labs) > 1 {
				var names []string
				for _, l := range labs {
					names = append(names, l.Variant.String())
				}
				return usage("%d variants are meant, and one is brought up; add a filter:\n\n    %s", len(labs), strings.Join(names, "\n    "))
			}
			until := runner.InForce
			if healthy {
				until = runner.Baseline
			}
			on, err := w.pickDriver(cmd.Context(), labs, f.driver)
			if err != nil {
				return err
			}
			run, err := w.start(cmd.Context(), m, file, on, labs, f)
			if err != nil {
				return err
			}
			err = run.runner.Up(cmd.Context(), labs[0], until)
			if err == nil {
				err = run.keep(labs[0].Variant)
			}
			run.finish(cmd.Context(), nil)
			if err != nil {
				return alreadyTold(cmd.Context(), err)
			}
			w.sayNext(run.session)
			return nil
		},
		ValidArgsFunction: w.completeLabsAndFilters,
	}
	w.driverFlag(c, &f)
	c.Flags().BoolVar(&healthy, "healthy", false, "stop before the faults are injected")
	w.outputFlags(c, &f)
	return c
}

// alreadyTold keeps the exit code of an error that the run's events have shown.
func alreadyTold(ctx context.Context, err error) error {
	code := runner.ExitInconclusive
	if ctx.Err() != nil {
		code = runner.ExitInterrupted
	}
	return &exitError{code: code}
}

func (w *world) downCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "down [RUN]",
		Short: "Remove the machines that saigen up, or run --keep, left running",
		Long:  "Remove the machines of a run that was left running: the newest one, or the one that is named. The evidence stays.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := w.paths()
			if err != nil {
				return err
			}
			left, err := ledger.Left(p.runs)
			if err != nil {
				return err
			}
			var these []ledger.Run
			for _, r := range left {
				if all || (len(args) == 1 && args[0] == string(r.ID)) {
					these = append(these, r)
				}
			}
			switch {
			case len(args) == 0 && !all && len(left) > 0:
				these = left[len(left)-1:]
			case len(these) == 0 && len(args) == 1:
				return usage("nothing of run %q is running: saigen runs lists them", args[0])
			case len(these) == 0:
				fmt.Fprintln(w.stdout, "nothing is running")
				return nil
			}
			if err := w.undo(cmd.Context(), these); err != nil {
				return err
			}
			_ = os.Remove(p.runtime) // when no other run has its sockets there
			for _, r := range these {
				fmt.Fprintf(w.stdout, "removed the machines of run %s\n", r.ID)
			}
			return nil
		},
		ValidArgsFunction: w.completeUp,
	}
	c.Flags().BoolVar(&all, "all", false, "of every run")
	return c
}

func (w *world) gcCommand() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:   "gc",
		Short: "Remove what killed runs have left on this host",
		Long: `Remove what runs whose process was killed have left: processes, cgroups, storage, half-made entries of the cache,
and folders of questions to Vagrant. saigen run undoes killed runs too before it starts. Runs that were left running on
purpose are for saigen down. What else stands in no ledger is not touched, whatever its name: saigen doctor --leaks
lists it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := w.paths()
			if err != nil {
				return err
			}
			dead, err := ledger.Dead(p.runs)
			if err != nil {
				return err
			}
			cache := image.New(p.cache, w.log)
			defer cache.Close()
			half, err := cache.Unfinished()
			if err != nil {
				return err
			}
			half = slices.DeleteFunc(half, func(u image.Unfinished) bool { return u.Made })
			asked := vagrant.Asked()
			if len(dead)+len(half)+len(asked) == 0 {
				if !dry {
					_ = os.Remove(p.runtime) // a run that was killed before it had a ledger has made no more than this
				}
				fmt.Fprintln(w.stdout, "nothing is left of any killed run")
				return nil
			}
			for _, r := range dead {
				here := &presence{id: r.ID, whose: abandoned, runs: p.runs, entries: r.Entries, damaged: r.Damaged}
				w.tellPresence(here)
				if dry {
					w.tellFix(here, p)
				}
			}
			if dry {
				for _, u := range half {
					fmt.Fprintf(w.stdout, "half of an entry of the cache\n  directory %s\n  remove it with: saigen gc\n", u.Dir)
				}
				for _, dir := range asked {
					fmt.Fprintf(w.stdout, "a question to Vagrant\n  directory %s\n  remove it with: saigen gc\n", dir)
				}
				return nil
			}
			if err := w.undo(cmd.Context(), dead); err != nil {
				return err
			}
			defer w.hold()()
			removed, err := cache.Sweep(cmd.Context())
			if err != nil {
				return err
			}
			for _, path := range removed {
				fmt.Fprintf(w.stdout, "half of an entry of the cache\n  directory %s\n", path)
			}
			if asked, err = vagrant.SweepAsked(); err != nil {
				return err
			}
			for _, dir := range asked {
				fmt.Fprintf(w.stdout, "a question to Vagrant\n  directory %s\n", dir)
			}
			_ = os.Remove(p.runtime) // when no other run has its sockets there
			if len(dead)+len(removed)+len(asked) == 0 {
				fmt.Fprintln(w.stdout, "nothing is left of any killed run")
				return nil
			}
			fmt.Fprintln(w.stdout, "removed")
			return nil
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "only list it")
	return c
}

// connect reaches a machine of a run that was left running; machine is a name, or empty for the first.
func (w *world) connect(ctx context.Context, run, machine string) (lab.Running, runInfo, error) {
	info, p, err := w.findRun(run, func(r runInfo) bool { return r.UpAs != "" && w.isUp(r.ID) },
		"no machine is running: saigen up LAB brings one up")
	if err != nil {
		return nil, info, err
	}
	if machine == "" && len(info.Machines) > 0 {
		machine = info.Machines[0]
	}
	id := info.UpAs
	if id == "" { // a run that is under way: its fault arm
		id = info.ID
	}
	d, ok := w.driverNamed(info.Driver)
	if !ok || d.connect == nil {
		return nil, info, usage("run %s has the driver %q, which this saigen does not know", info.ID, info.Driver)
	}
	if err := p.checkRuntime(); err != nil { // whoever owns it could be the machine
		return nil, info, err
	}
	m, err := d.connect(ctx, filepath.Join(p.runtime, string(id)), machine)
	return m, info, err
}

func (w *world) isUp(id lab.RunID) bool {
	p, err := w.paths()
	if err != nil {
		return false
	}
	left, err := ledger.Left(p.runs)
	if err != nil {
		return false
	}
	for _, r := range left {
		if r.ID == id && r.Kept {
			return true
		}
	}
	return false
}
