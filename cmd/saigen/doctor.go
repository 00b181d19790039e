package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

func (w *world) doctorCommand() *cobra.Command {
	var leaks bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this host lacks, what needs it, and the command that fixes it",
		Long: `Look at everything that each driver needs of this host, and say which driver runs a lab that needs nothing special.
Exit code 1 when no driver has all that it needs.

With --leaks, look instead for everything of saigen's on this host: of runs that are under way, that were left
running, whose saigen was killed, and what carries the id of a run and stands in no ledger; each with the command that
removes it. Nothing is changed. What no ledger names is for a person to remove: saigen gc never touches it. Exit code 1
when something is left that nobody takes care of, 3 when not all could be looked at. A normal user sees what is his;
root sees all.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := w.paths()
			if err != nil {
				return err
			}
			if leaks {
				return w.tellLeaks(w.lookForLeaks(cmd.Context(), p), p)
			}
			all := w.candidates(cmd.Context(), p, []*lab.Lab{{}}, true)
			for i, c := range all {
				if i > 0 {
					fmt.Fprintln(w.stdout)
				}
				fmt.Fprintln(w.stdout, c.headline(cmd.Context()))
				report.Doctor(w.stdout, w.style(w.stdout), w.host.checks(cmd.Context(), c.driverEntry, nil))
			}
			fmt.Fprintln(w.stdout)
			if i := firstFit(all); i >= 0 {
				fmt.Fprintln(w.stdout, all[i].why(all[:i], all[i+1:]))
				return nil
			}
			fmt.Fprintln(w.stdout, "no driver has all that it needs on this host")
			return &exitError{code: runner.ExitUnexpected}
		},
	}
	c.Flags().BoolVar(&leaks, "leaks", false, "look for what saigen has left on this host instead")
	return c
}

// headline names a driver, what it gives to machines on this host, and what it would give on another.
func (d driverEntry) headline(ctx context.Context) string {
	var given, lacking []string
	for _, n := range d.offers {
		rows := d.conditionsOf(ctx, []lab.Need{n})
		i := slices.IndexFunc(rows, func(c report.Check) bool { return c.Err != nil })
		if i < 0 {
			given = append(given, string(n))
		} else {
			lacking = append(lacking, fmt.Sprintf("; %s would need %s", n, rows[i].Requirement.Name))
		}
	}
	line := "driver " + d.name
	if len(given) > 0 {
		line += ", gives " + and(given)
	}
	line += strings.Join(lacking, "")
	if d.host != "" {
		line += "; not for labs that were fetched"
	}
	return line
}
