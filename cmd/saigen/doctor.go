package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/container"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

// requirements are what the rooms need of this host.
func (w *world) requirements(p paths) []lab.Requirement {
	return append(image.Requirements(), container.Requirements(w.engine(), p.runs)...)
}

func (w *world) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this host lacks, what needs it, and the command that fixes it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := w.paths()
			if err != nil {
				return err
			}
			missing := 0
			var rows []report.Check
			for _, r := range w.requirements(p) {
				row := report.Check{Requirement: r, Err: r.Check(cmd.Context())}
				if row.Err != nil {
					missing++
				}
				rows = append(rows, row)
			}
			report.Doctor(w.stdout, w.style(w.stdout), rows)
			if missing > 0 {
				return &exitError{code: runner.ExitUnexpected}
			}
			return nil
		},
	}
}

// require refuses to start a run on a host that cannot do it, with the lines that doctor prints.
func (w *world) require(ctx context.Context, driver string, p paths) error {
	if driver != "container" {
		return nil
	}
	var rows []report.Check
	for _, r := range w.requirements(p) {
		if err := r.Check(ctx); err != nil {
			rows = append(rows, report.Check{Requirement: r, Err: err})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w.stderr, "this host lacks what a run needs:")
	report.Doctor(w.stderr, w.style(w.stderr), rows)
	return &exitError{code: runner.ExitUsage}
}
