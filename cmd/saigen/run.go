package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// runFlags are the flags of run and up.
type runFlags struct {
	driver   string
	drivers  string
	repeat   int
	until    float64
	again    int
	seed     seed
	parallel int
	fresh    bool
	keep     string
	json     bool
	ci       ciFlags
	quiet    bool
	verbose  bool
	relock   bool
	bare     bool // without faults
	pause    pauseFlags
}

func (w *world) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [LAB|FOLDER|ADDRESS ...] [AXIS:VALUE|!AXIS:VALUE ...]",
		Short: "Run labs and judge whether each variant gets its expected verdict",
		Long: `Run labs: for every variant that passes the filters, the fault arm and the control arm, each from a fresh
baseline: where the driver has snapshots, from one of it, which later runs find again. Of several labs one table says
at the end what each variant came to, its figures beside those of the incident's report. The exit code is 0 when every
variant got its expected verdict, 1 when some did not, 2 when the lab or the command line is wrong, 3 when something
could not be looked at (inconclusive), 130 when interrupted.
An ADDRESS is a lab elsewhere, as go-getter writes it, with a commit or a checksum. A branch or tag is looked up once,
and is that commit from then on. What was fetched runs in virtual machines only; docs/fetched-labs.md tells more.`,
		Example: `  saigen run labs/stale-dns debian:bookworm trigger:port_taken
  saigen run labs '!debian:trixie' --junit results.xml
  saigen run labs/stale-dns debian:bookworm trigger:port_taken --repeat 10
  saigen run labs/stale-dns debian:bookworm --drivers container,qemu
  saigen run labs/stale-dns --without-faults
  saigen run 'git::https://example.com/labs.git//stale-dns?ref=v1.2' debian:bookworm
  saigen run 'https://example.com/labs.tar.gz//stale-dns?checksum=sha256:SUM'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			repeat := cmd.Flags().Changed("repeat")
			if repeat && f.repeat < 1 {
				return usage("--repeat takes a number of at least 1, not %d", f.repeat)
			}
			if cmd.Flags().Changed("until") {
				if !(f.until > 0 && f.until < 1) {
					return usage("--until takes a confidence between 0 and 1, such as 0.95, not %v", f.until)
				}
				if !repeat {
					f.repeat = runner.MostTrials
				}
			}
			if f.again < 0 {
				return usage("--again takes a number, not %d", f.again)
			}
			if err := f.pause.check(w, f.json); err != nil {
				return err
			}
			if f.parallel < 1 {
				return usage("--parallel takes a number of at least 1, not %d", f.parallel)
			}
			switch runner.Keep(f.keep) {
			case runner.KeepNever, runner.KeepOnFailure:
			default:
				return usage("--keep takes never or on-failure, not %q", f.keep)
			}
			if f.drivers != "" && cmd.Flags().Changed("driver") {
				return usage("--driver and --drivers cannot be given together: one names a driver, the other several")
			}
			dirs, filters := splitFilters(args)
			found, err := w.labs(cmd.Context(), dirs, f.relock)
			if err != nil {
				return err
			}
			return w.runLabs(cmd.Context(), found, filters, f)
		},
		ValidArgsFunction: w.completeLabsAndFilters,
	}
	w.driverFlag(c, &f)
	c.Flags().StringVar(&f.drivers, "drivers", "", "run on each of these `DRIVERS`, such as container,qemu, or all that fit; say whether verdicts depend on them")
	_ = c.RegisterFlagCompletionFunc("drivers", w.completeDrivers)
	c.Flags().IntVar(&f.repeat, "repeat", runner.AsNeeded, fmt.Sprintf("run every variant `N` times and say k of n, with a 95 %% interval (default: once, and a variant with a rate until that is decided, at most %d times)", runner.MostTrials))
	c.Flags().Float64Var(&f.until, "until", 0, fmt.Sprintf("run every variant until its trials decide at this `CONFIDENCE`, such as 0.95; --repeat is then the most (default %d)", runner.MostTrials))
	c.Flags().IntVar(&f.again, "again", 0, "make an inconclusive trial good by another one, up to `N` of each variant: nothing was found out in it")
	c.Flags().Var(&f.seed, "seed", "run the trials in a random `ORDER`: off, on, or the number that an earlier run printed")
	c.Flags().IntVar(&f.parallel, "parallel", 1, "run up to `N` trials side by side: no more than the host has memory and cores for")
	c.Flags().StringVar(&f.keep, "keep", string(runner.KeepNever), "`WHEN` to leave the machines running: never, or on-failure: when a variant does not get its expected verdict")
	c.Flags().BoolVar(&f.bare, "without-faults", false, "inject nothing, try no remedy, and expect that no symptom appears: one that does is not the faults' doing")
	c.Flags().BoolVar(&f.relock, "update-lock", false, "accept packages that differ from lab.lock.json, and what the branch or tag of a fetched lab is now")
	f.ci.register(c)
	f.pause.register(c)
	w.outputFlags(c, &f)
	for _, number := range []string{"repeat", "until", "again", "parallel"} {
		_ = c.RegisterFlagCompletionFunc(number, cobra.NoFileCompletions)
	}
	_ = c.RegisterFlagCompletionFunc("seed", cobra.FixedCompletions([]string{"off", "on"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("keep", cobra.FixedCompletions([]string{"never", "on-failure"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (w *world) outputFlags(c *cobra.Command, f *runFlags) {
	c.Flags().BoolVar(&f.json, "json", false, "print events as JSON lines")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print failures and the summary only")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print every observation")
}

// runLabs runs each lab as a run of its own; the exit code is the worst.
func (w *world) runLabs(ctx context.Context, found []meant, filters []string, f runFlags) error {
	type planned struct {
		m    meant
		file *labfile.File
		labs []*lab.Lab
		on   chosenDriver
	}
	var all []planned
	var wrong []error
	part, err := parseShard(f.ci.shard)
	if err != nil {
		return usage("%v", err)
	}
	ci, err := w.openCI(f.ci)
	if err != nil {
		return err
	}
	for _, m := range found { // every mistake in every lab is shown before the first one starts
		file, labs, err := w.pick(ctx, m, filters)
		if err != nil {
			wrong = append(wrong, err)
			ci.mistaken(m.folder(), err)
			continue
		}
		if labs = part.take(labs); len(labs) == 0 {
			continue
		}
		if f.bare {
			labs = withoutFaults(labs)
		}
		on, err := w.driversFor(ctx, labs, f)
		if err != nil {
			wrong = append(wrong, err)
			ci.mistaken(m.folder(), err)
		}
		for _, d := range on {
			all = append(all, planned{m, file, labs, d})
		}
	}
	if err := oneOf(wrong); err != nil {
		return errors.Join(err, ci.write(nil))
	}
	if len(all) == 0 {
		fmt.Fprintf(w.stderr, "part %s has no variant: there are %d\n", f.ci.shard, part.next)
	}
	var summaries []*runner.Summary
	var failed error
	exit := 0
	for _, c := range all {
		ci.planned(c.labs)
		summary, err := w.runLab(ctx, c.m, c.file, c.on, c.labs, f)
		if summary != nil {
			summaries = append(summaries, summary)
			exit = worse(exit, summary.Exit)
		}
		if failed = err; err != nil || ctx.Err() != nil {
			break
		}
	}
	if err := ci.write(summaries); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	if !f.json {
		report.Overview(w.stdout, w.style(w.stdout), summaries)
	}
	if f.drivers != "" {
		exit = worse(exit, w.boundaries(summaries, f))
	}
	if exit != 0 {
		return &exitError{code: exit}
	}
	return nil
}

// driversFor are the drivers that a lab is run on, each in a run of its own.
func (w *world) driversFor(ctx context.Context, labs []*lab.Lab, f runFlags) ([]chosenDriver, error) {
	if f.drivers != "" {
		return w.pickDrivers(ctx, labs, f.drivers)
	}
	one, err := w.pickDriver(ctx, labs, f.driver)
	if err != nil {
		return nil, err
	}
	return []chosenDriver{one}, nil
}

// oneOf makes the mistakes of several labs one error; those that are in the labs' files have been shown.
func oneOf(wrong []error) error {
	if len(wrong) < 2 {
		return errors.Join(wrong...)
	}
	var say []error
	for _, err := range wrong {
		if e := (*exitError)(nil); !errors.As(err, &e) || e.err != nil {
			say = append(say, err)
		}
	}
	return &exitError{code: runner.ExitUsage, err: errors.Join(say...)}
}

// worse orders exit codes: interrupted, wrong verdict, inconclusive, as expected.
func worse(a, b int) int {
	order := map[int]int{runner.ExitExpected: 0, runner.ExitInconclusive: 1, runner.ExitUnexpected: 2, runner.ExitInterrupted: 3}
	if order[b] > order[a] {
		return b
	}
	return a
}

func (w *world) runLab(ctx context.Context, m meant, file *labfile.File, on chosenDriver, labs []*lab.Lab, f runFlags) (*runner.Summary, error) {
	run, err := w.start(ctx, m, file, on, labs, f)
	if err != nil {
		return nil, err
	}
	summary, err := run.runner.All(ctx, labs, f.repeat)
	if err != nil && !errors.Is(err, context.Canceled) {
		run.finish(ctx, nil)
		return nil, err
	}
	summary.Driver, summary.WithoutFaults, summary.From = on.name, f.bare, m.address()
	_, kept := run.runner.Kept()
	if kept {
		if err := run.keep(run.runner.KeptVariant()); err != nil {
			run.finish(ctx, nil) // what is not marked as kept is not
			return nil, err
		}
	}
	// What a lab was found good with is its lock.
	if summary.Exit == runner.ExitExpected && !f.bare || f.relock {
		if err := run.lock.save(f.relock); err != nil {
			run.sinks.tell(runner.Event{Type: runner.Warning, Text: fmt.Sprintf("cannot write the lock: %v", err)})
		}
	}
	run.finish(ctx, summary)
	if kept {
		w.sayNext(run.session)
	}
	return summary, nil
}

// sayNext prints the commands that a person types next, for machines that were left running.
func (w *world) sayNext(s *session) {
	account := ""
	if len(s.info.Accounts) > 0 {
		account = " --account " + s.info.Accounts[0]
	}
	pad := func(command string) string { return fmt.Sprintf("%-*s", len("saigen shell")+len(account), command) }
	fmt.Fprintf(w.stderr, `
The machines run on. What to type next:

    %s  look around
    %s  follow the journal
    %s  remove them
`, pad("saigen shell"+account), pad("saigen logs -f"), pad("saigen down"))
}
