package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the Makefile: git describe.
var version = ""

func (w *world) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print saigen's version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := version
			info, ok := debug.ReadBuildInfo()
			if v == "" && ok {
				v = info.Main.Version
			}
			goVersion := ""
			if ok {
				goVersion = " " + info.GoVersion
			}
			fmt.Fprintf(w.stdout, "saigen %s%s\n", v, goVersion)
			return nil
		},
	}
}
