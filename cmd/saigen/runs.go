package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

func (w *world) runsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "runs",
		Short: "List the runs on this host, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			runs, p, err := w.storedRuns()
			if err != nil {
				return err
			}
			var rows []report.RunLine
			for i := len(runs) - 1; i >= 0; i-- {
				r := runs[i]
				row := report.RunLine{Run: r.ID, Lab: r.Lab, From: r.From, Started: r.Started, Trials: len(r.Variants), State: "killed"}
				if s := readSummary(filepath.Join(p.runs, string(r.ID))); s != nil {
					row.Took, row.Exit, row.State = s.Took, s.Exit, ""
				}
				switch {
				case r.UpAs != "" && w.isUp(r.ID):
					row.State = "up"
				case r.UpAs != "" && row.State == "killed":
					row.State = "down"
				case ledger.Owned(filepath.Join(p.runs, string(r.ID))):
					row.State = "running"
				}
				rows = append(rows, row)
			}
			report.Runs(w.stdout, w.style(w.stdout), rows)
			return nil
		},
	}
}

func (w *world) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [RUN]",
		Short: "Show what a run found: verdicts, figures, phases (default: the newest)",
		Long:  "Show what a run found, from its stored evidence: the newest run, or the one that is named. saigen runs lists them.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			given := ""
			if len(args) == 1 {
				given = args[0]
			}
			r, p, err := w.findRun(given, func(runInfo) bool { return true }, "there is no run yet: saigen run LAB makes one")
			if err != nil {
				return err
			}
			folder := filepath.Join(p.runs, string(r.ID))
			outcomes, err := readOutcomes(folder)
			if err != nil {
				return usage("cannot read run %s: %v", r.ID, err)
			}
			if len(outcomes) == 0 {
				return usage("run %s has no verdict: no trial was completed; its events are in %s", r.ID, filepath.Join(folder, runner.EventsFile))
			}
			stored := readSummary(folder)
			summary := gateOf(storedRun{r, folder}).Summarise(r.Lab, r.ID, outcomes)
			summary.From = r.From
			if stored != nil {
				summary.WithoutFaults = stored.WithoutFaults
				summary.Leaks, summary.Lost, summary.Took, summary.Exit = stored.Leaks, stored.Lost, stored.Took, stored.Exit
			}
			st := w.style(w.stdout)
			on, _ := w.driverNamed(r.Driver)
			st.Up = upCommandLine(r.Path, chosenDriver{on, r.Why})
			report.Show(w.stdout, st, summary)
			return nil
		},
		ValidArgsFunction: w.completeRuns,
	}
}

func readSummary(folder string) *runner.Summary {
	data, err := os.ReadFile(filepath.Join(folder, runner.SummaryFile))
	var s runner.Summary
	if err != nil || json.Unmarshal(data, &s) != nil {
		return nil
	}
	return &s
}

// readOutcomes reads the verdicts of a run's trials, in the order in which they were made.
func readOutcomes(folder string) ([]*runner.Outcome, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*", runner.VerdictFile))
	if err != nil {
		return nil, err
	}
	var out []*runner.Outcome
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var o runner.Outcome
		if err := json.Unmarshal(data, &o); err != nil {
			return nil, err
		}
		out = append(out, &o)
	}
	slices.SortFunc(out, func(a, b *runner.Outcome) int { return a.Started.Compare(b.Started) })
	return out, nil
}
