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
			goVersion := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				goVersion = " " + info.GoVersion
			}
			fmt.Fprintf(w.stdout, "saigen %s%s\n", thisVersion(), goVersion)
			return nil
		},
	}
}
