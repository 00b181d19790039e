package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/report"
)

// reportFile is a run's report in its folder.
const reportFile = "report.html"

func (w *world) reportCommand() *cobra.Command {
	out := ""
	c := &cobra.Command{
		Use:   "report [RUN ...]",
		Short: "Write a run's evidence as one HTML page",
		Long: `Write what runs have found as one HTML page that needs no network: the verdict, every probe over time, the
logs, versions, and the commands that reproduce it. Every run leaves such a page in its folder; this makes it
again, or one page of several runs. A run is named by its id, or by its folder; without a name it is the newest.`,
		Example: `  saigen report
  saigen report 20240601-093000-1a2b 20240601-101500-3c4d -o both.html`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{""}
			}
			var folders []string
			for _, arg := range args {
				r, err := w.stored(arg)
				if err != nil {
					return err
				}
				folders = append(folders, r.folder)
			}
			switch {
			case out == "-":
				return report.HTML(w.stdout, w.thaw, folders...)
			case out == "" && len(folders) > 1:
				out = reportFile
			case out == "":
				out = filepath.Join(folders[0], reportFile)
			}
			if err := w.writeReport(out, folders...); err != nil {
				return usage("%v", err)
			}
			fmt.Fprintln(w.stdout, out)
			return nil
		},
		ValidArgsFunction: w.completeRuns,
	}
	c.Flags().StringVarP(&out, "output", "o", "", "write to `FILE`, or with - to standard output (default: report.html in the run's folder; of several runs, here)")
	return c
}

// writeReport writes the page whole, or not at all.
func (w *world) writeReport(path string, folders ...string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+reportFile+"-")
	if err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	err = report.HTML(io.Writer(f), w.thaw, folders...)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write the report: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// leaveReport puts the page into the folder of a run that has ended, and what went into its images.
func (r *activeRun) leaveReport() error {
	return errors.Join(r.lock.record(r.folder), r.w.writeReport(filepath.Join(r.folder, reportFile), r.folder))
}
