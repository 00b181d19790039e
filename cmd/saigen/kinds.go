package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/labfile"
)

// kindsPage begins docs/kinds.md.
const kindsPage = `# Kinds of faults and assertions

What a lab can break and what it can observe: the settings of every kind of ` + "`fault`, and of `symptom`, `invariant` and `ready`" + `, made from
the code by ` + "`saigen kinds --markdown`" + `. The types, and the arguments that every such block has besides, are in
[lab-language.md](lab-language.md).

`

func (w *world) kindsCommand() *cobra.Command {
	var markdown bool
	c := &cobra.Command{
		Use:   "kinds [KIND]",
		Short: "Show every fault and assertion with its settings",
		Long:  "Show what can be broken and what can be observed: every kind, or the one that is named, with its settings, their\ntypes and defaults.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := labfile.Describe(faults.Kinds(), faults.Sources())
			if err != nil {
				return err
			}
			a, err := labfile.Describe(assertions.Kinds(), assertions.Sources())
			if err != nil {
				return err
			}
			if len(args) == 1 {
				is := func(k labfile.KindDoc) bool { return k.Name == args[0] }
				f, a = keep(f, is), keep(a, is)
				if len(f)+len(a) == 0 {
					return usage("there is no kind %q: saigen kinds lists them all", args[0])
				}
			}
			if markdown && len(args) == 0 {
				fmt.Fprint(w.stdout, kindsPage)
			}
			for i, part := range []struct {
				title string
				kinds []labfile.KindDoc
			}{{"Faults", f}, {"Assertions", a}} {
				if len(part.kinds) == 0 {
					continue
				}
				if i > 0 && len(f) > 0 {
					fmt.Fprintln(w.stdout)
				}
				if err := w.writeKinds(part.title, part.kinds, markdown, len(args) == 0); err != nil {
					return err
				}
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, k := range faults.Kinds() {
				names = append(names, fmt.Sprintf("%s\tfault", k.Name))
			}
			for _, k := range assertions.Kinds() {
				names = append(names, fmt.Sprintf("%s\tassertion", k.Name))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.Flags().BoolVar(&markdown, "markdown", false, "as Markdown: docs/kinds.md is this output")
	return c
}

func (w *world) writeKinds(title string, kinds []labfile.KindDoc, markdown, headed bool) error {
	if markdown {
		fmt.Fprintf(w.stdout, "## %s\n\n", title)
		return labfile.WriteKindsMarkdown(w.stdout, kinds, 3)
	}
	if headed {
		fmt.Fprintf(w.stdout, "%s\n\n", strings.ToUpper(title))
	}
	return labfile.WriteKinds(w.stdout, kinds, w.style(w.stdout).Width)
}

func keep[T any](all []T, is func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), func(v T) bool { return !is(v) })
}
