package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"
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
	found, err := findLabs(dirs)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	offline, cancel := context.WithCancel(context.Background())
	cancel() // nobody wants to wait for a download while typing
	var out []string
	for _, path := range found {
		f, _ := w.loader(offline).Load(path)
		if f == nil {
			continue
		}
		for _, axis := range f.Axes {
			for _, v := range axis.Values {
				out = append(out, axis.Name+":"+v)
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
