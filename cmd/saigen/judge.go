package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// judgeFlags say which lab judges.
type judgeFlags struct {
	lab    string
	frozen bool
	set    []string
	json   bool
}

func (w *world) judgeCommand() *cobra.Command {
	var f judgeFlags
	c := &cobra.Command{
		Use:   "judge [RUN ...]",
		Short: "Judge stored observations again, with today's limits or others",
		Long: `Judge what runs have observed again: nothing is started, and nothing is stored. A run is named by its id, or by its
folder; without a name it is the newest. The lab file as it is now judges, or another one, or the lab as it was run,
and limits can be changed on the command line. Only what is compared after a look can differ: a lab that looks
in another way, or does something else to the machines, is refused. The exit code is that of a run with these verdicts.`,
		Example: `  saigen judge
  saigen judge --set symptom.http_latency.slow_pages.p95='over 60s'
  saigen judge --frozen 20240601-093000-1a2b 20240601-101500-3c4d`,
		RunE:              func(cmd *cobra.Command, args []string) error { return w.judge(cmd.Context(), args, f) },
		ValidArgsFunction: w.completeRuns,
	}
	c.Flags().StringVar(&f.lab, "lab", "", "the `LAB` that judges (default: the one that was run, as it is now)")
	c.Flags().BoolVar(&f.frozen, "frozen", false, "let the lab judge as it was when it was run")
	c.Flags().StringArrayVar(&f.set, "set", nil, "judge with another `LIMIT`, as ADDRESS.SETTING=VALUE; may be given several times")
	c.Flags().BoolVar(&f.json, "json", false, "print each verdict as verdict.json has it")
	c.MarkFlagsMutuallyExclusive("lab", "frozen")
	return c
}

func (w *world) judge(ctx context.Context, args []string, f judgeFlags) error {
	if len(args) == 0 {
		args = []string{""}
	}
	var all []report.Judged
	outcomes := map[string][]*runner.Outcome{} // by lab
	gates := map[string]runner.Gate{}
	var labs []string
	for _, arg := range args {
		r, err := w.stored(arg)
		if err != nil {
			return err
		}
		trials, err := w.trials(r)
		if err != nil {
			return err
		}
		by, find, err := w.judgeOf(ctx, r, f)
		if err != nil {
			return err
		}
		for _, t := range trials {
			name := trialName(t.Outcome, trials)
			l, err := find(t)
			if err != nil {
				return err
			}
			if !f.frozen {
				if why := runner.Differs(t.Lab, l); len(why) > 0 {
					return &exitError{
						code: runner.ExitUsage,
						err:  fmt.Errorf("%s cannot judge run %s (%s):\n\n    %s", by, r.ID, name, strings.Join(why, "\n    ")),
						hint: "saigen judge --frozen judges with the lab as it was run; --set changes one of its limits. Or run the lab again.",
					}
				}
			}
			for _, s := range f.set {
				if err := labfile.SetLimit(l, w.kinds, s); err != nil {
					return usage("%v", err)
				}
			}
			now := t.Again(l)
			j := report.Judged{Run: r.ID, By: by, Name: name, Then: t.Outcome, Now: now}
			if now.Verdict != t.Outcome.Verdict {
				j.Note = t.Unwatched(l, now)
			}
			all = append(all, j)
			if outcomes[now.Lab] == nil {
				labs, gates[now.Lab] = append(labs, now.Lab), gateOf(r)
			} else if gates[now.Lab] != gateOf(r) {
				gates[now.Lab] = runner.Gate{} // runs that ended for different reasons
			}
			outcomes[now.Lab] = append(outcomes[now.Lab], now)
		}
	}
	exit := 0
	var summaries []*runner.Summary
	for _, name := range labs {
		s := gates[name].Summarise(name, "", outcomes[name])
		summaries, exit = append(summaries, s), worse(exit, s.Exit)
	}
	if f.json {
		for _, j := range all {
			enc := json.NewEncoder(w.stdout)
			enc.SetIndent("", "  ")
			if err := enc.Encode(j.Now); err != nil {
				return err
			}
		}
	} else {
		report.Judgement(w.stdout, w.style(w.stdout), all, summaries)
	}
	if exit != 0 {
		return &exitError{code: exit}
	}
	return nil
}

// gateOf is when the trials of a run were enough.
func gateOf(r storedRun) runner.Gate {
	if s := readSummary(r.folder); s != nil {
		return runner.Gate{Until: s.Until, Again: s.Again}
	}
	return runner.Gate{}
}

// judgeOf finds the lab that judges a run's trials, and what to call it.
func (w *world) judgeOf(ctx context.Context, r storedRun, f judgeFlags) (by string, find func(*runner.Trial) (*lab.Lab, error), err error) {
	by = "the lab as it was run"
	if f.frozen {
		return by + changedLimits(f), func(t *runner.Trial) (*lab.Lab, error) { return t.Lab, nil }, nil
	}
	m, err := w.oneLab(ctx, []string{cmp.Or(f.lab, r.labPath())}, "needed")
	if err != nil {
		return "", nil, err
	}
	file, err := w.load(ctx, m)
	if err != nil {
		return "", nil, err
	}
	by = file.Path
	return by + changedLimits(f), func(t *runner.Trial) (*lab.Lab, error) {
		// A copy, so that --set does not reach a second trial of the variant twice.
		if l := file.Lab(t.Lab.Variant); l != nil {
			own := *l
			own.Symptoms = append([]lab.Assertion(nil), l.Symptoms...)
			own.Invariants = append([]lab.Assertion(nil), l.Invariants...)
			return &own, nil
		}
		return nil, &exitError{
			code: runner.ExitUsage, err: fmt.Errorf("%s has no variant %q, which was run", file.Path, t.Lab.Variant),
			hint: "saigen judge --frozen judges with the lab as it was run",
		}
	}, nil
}

func changedLimits(f judgeFlags) string {
	if len(f.set) == 0 {
		return ""
	}
	return " with " + strings.Join(f.set, ", ")
}

// labPath is where the lab of a run was: an address, where it was fetched.
func (r runInfo) labPath() string {
	if r.From != "" {
		return r.From
	}
	if r.Dir != "" {
		return filepath.Join(r.Dir, labfile.FileName)
	}
	return r.Path
}
