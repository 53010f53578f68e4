package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/wire"
)

// version is set by the linker (see Makefile) and never by the program.
var version = ""

// versionText returns the release, or what the Go tool knows about a build
// that no Makefile made.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func newVersionCmd() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(cmd, output); err != nil {
				return err
			}
			if output == "json" {
				return printJSON(cmd.OutOrStdout(), struct {
					Version  string `json:"version"`
					Protocol int    `json:"protocol"`
					Go       string `json:"go"`
				}{versionText(), wire.Version, runtime.Version()})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "godwit %s (protocol %d, %s)\n", versionText(), wire.Version, runtime.Version())
			return err
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
