package main

import (
	"fmt"
	"os"
	"path/filepath"

	textdiff "github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/report"
	"github.com/saigen-lab/saigen/runner"
)

func (w *world) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [LAB|FOLDER|ADDRESS ...]",
		Short: "Check labs as a run would, without starting anything",
		Long: `Check labs: everything that a run would check before it starts something, offline and in milliseconds.
Only what comes from elsewhere, a lab by its ADDRESS or what a lab includes, is fetched, once. All mistakes
are shown at once, each at file:line:column. A folder means every lab below it; nothing means the current
folder. Exit code 2 when something is wrong.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := w.labs(cmd.Context(), args, false)
			if err != nil {
				return err
			}
			var all labfile.Diagnostics
			var said string
			for _, m := range found {
				f, diags := w.loader(cmd.Context(), m.from).Load(m.path)
				all = append(all, diags...)
				if f != nil {
					said += fmt.Sprintf("%s: right in all of its variants (%d)\n", m.folder(), len(f.Variants()))
				}
			}
			if len(all) > 0 {
				w.complain(all)
			}
			fmt.Fprint(w.stdout, said)
			if all.HasErrors() {
				return &exitError{code: runner.ExitUsage}
			}
			return nil
		},
		ValidArgsFunction: completeLabs,
	}
}

func (w *world) listCommand() *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use:     "list [LAB|FOLDER|ADDRESS ...]",
		Aliases: []string{"labs"},
		Short:   "List labs: what went wrong, their axes, and what is expected",
		Long: `List the labs below the given folders, or below the current one: what went wrong, the axes with their values, and
what is expected of how many variants; with -v each variant and the verdict that it must get.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := w.labs(cmd.Context(), args, false)
			if err != nil {
				return err
			}
			var rows []report.LabLine
			for _, m := range found {
				f, err := w.load(cmd.Context(), m)
				if err != nil {
					return err
				}
				row := report.LabLine{Name: m.folder(), Title: f.Title}
				for _, a := range f.Axes {
					row.Axes = append(row.Axes, report.LabAxis{Name: a.Name, Values: a.Values})
				}
				for _, v := range f.Variants() {
					l := f.Lab(v)
					row.Variants = append(row.Variants, report.LabVariant{Variant: v, Expect: l.Expect, Rate: l.Rate})
				}
				rows = append(rows, row)
			}
			st := w.style(w.stdout)
			if verbose {
				st.Level = report.Verbose
			}
			report.Labs(w.stdout, st, rows)
			return nil
		},
		ValidArgsFunction: completeLabs,
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "list each variant, with the verdict that it must get")
	return c
}

func (w *world) fmtCommand() *cobra.Command {
	var check, diff bool
	c := &cobra.Command{
		Use:   "fmt [LAB|FOLDER ...]",
		Short: "Format lab files",
		Long:  "Format lab files in place, and print the names of those that changed.",
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := findHCL(args)
			if err != nil {
				return err
			}
			changed, wrong := false, false
			for _, path := range files {
				src, err := os.ReadFile(path)
				if err != nil {
					return usage("cannot read %s: %v", path, err)
				}
				out, diags := labfile.Format(src, path)
				if diags.HasErrors() {
					w.complain(diags)
					wrong = true
					continue
				}
				if string(out) == string(src) {
					continue
				}
				changed = true
				fmt.Fprintln(w.stdout, path)
				if diff {
					_, _ = w.stdout.Write(textdiff.Diff(path, src, path+" formatted", out))
				}
				if check || diff {
					continue
				}
				if err := replaceFile(path, out); err != nil {
					return usage("cannot write %s: %v", path, err)
				}
			}
			if wrong {
				return &exitError{code: runner.ExitUsage}
			}
			if check && changed {
				return &exitError{code: runner.ExitUnexpected}
			}
			return nil
		},
		ValidArgsFunction: completeLabs,
	}
	c.Flags().BoolVar(&check, "check", false, "change nothing; exit code 1 when a file is not formatted")
	c.Flags().BoolVar(&diff, "diff", false, "change nothing; print what would change")
	return c
}

// replaceFile writes a file whole or not at all, and keeps its mode.
func replaceFile(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(info.Mode().Perm())
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
