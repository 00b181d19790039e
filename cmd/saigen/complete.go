package main

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/labfile"
)

func completeLabs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	found, err := findLabs(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var dirs []string
	for _, f := range found {
		dirs = append(dirs, filepath.Dir(f))
	}
	return dirs, cobra.ShellCompDirectiveDefault
}

// completeLabsAndFilters offers labs, and once one is given its axes' values.
func (w *world) completeLabsAndFilters(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	dirs, _ := splitFilters(args)
	if len(dirs) == 0 {
		return completeLabs(c, args, typed)
	}
	var out []string
	for _, f := range w.loadOffline(dirs) {
		for _, axis := range f.Axes {
			for _, v := range axis.Values {
				out = append(out, axis.Name+":"+v)
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// loadOffline reads those labs that are right: nobody wants to wait for a download, or to be told of mistakes, while typing.
func (w *world) loadOffline(args []string) []*labfile.File {
	offline, cancel := context.WithCancel(context.Background())
	cancel()
	found, err := w.labs(offline, args, false)
	if err != nil {
		return nil
	}
	var out []*labfile.File
	for _, m := range found {
		if f, _ := w.loader(offline, m.from).Load(m.path); f != nil {
			out = append(out, f)
		}
	}
	return out
}

// completeLabMachines offers the machines of the labs that the command line names.
func (w *world) completeLabMachines(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	dirs, _ := splitFilters(args)
	var out []string
	for _, f := range w.loadOffline(dirs) {
		for _, v := range f.Variants() {
			for _, m := range f.Lab(v).Machines {
				if !slices.Contains(out, m.Name) {
					out = append(out, m.Name)
				}
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func (w *world) completeRuns(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	runs, _, err := w.storedRuns()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, r := range runs {
		out = append(out, string(r.ID)+"\t"+r.Lab)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func (w *world) completeUp(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	runs, _, err := w.storedRuns()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, r := range runs {
		if r.UpAs != "" && w.isUp(r.ID) {
			out = append(out, string(r.ID)+"\t"+r.Lab)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func (w *world) completeMachines(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	info, _, err := w.findRun("", func(r runInfo) bool { return r.UpAs != "" && w.isUp(r.ID) }, "none")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return info.Machines, cobra.ShellCompDirectiveNoFileComp
}

func (w *world) completeAccounts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	info, _, err := w.findRun("", func(r runInfo) bool { return r.UpAs != "" && w.isUp(r.ID) }, "none")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return info.Accounts, cobra.ShellCompDirectiveNoFileComp
}
