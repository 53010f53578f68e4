package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/fault/near"
)

// commands lists every subcommand. Each constructor takes nothing and shares
// nothing, so that a test may build the tree as often as it likes.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newServeCmd(),
		newDemoCmd(),
		newControlCmd(),
		newCoreCmd(),
		newEdgeCmd(),
		newNodesCmd(),
		newShardsCmd(),
		newDrainCmd(),
		newUndrainCmd(),
		newDecommissionCmd(),
		newForgetCmd(),
		newTopCmd(),
		newChatCmd(),
		newSendCmd(),
		newRecvCmd(),
		newTokenCmd(),
		newBenchCmd(),
		newLoadCmd(),
		newSimCmd(),
		newConfigCmd(),
		newPKICmd(),
		newExplainCmd(),
		newVersionCmd(),
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "godwit",
		Short: "A messaging backend in one binary",
		Long: "godwit is a self-hosted messaging backend: durable, ordered chat over WebSocket.\n\n" +
			"Start a server with `godwit serve`, then talk in two terminals:\n\n" +
			"  godwit chat --as alice --with bob\n  godwit chat --as bob --with alice\n\n" + exitHelp(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(commands()...)
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.Args = helpTopic
		}
	}
	root.Version = versionText()
	root.SetVersionTemplate("godwit {{.Version}}\n")
	return root
}

func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, e := range fault.Exits {
		fmt.Fprintf(&b, "  %3d  %s\n", e.Exit, e.Text)
	}
	return b.String()
}

// flagValues say what a flag of a type takes, with an example.
var flagValues = map[string]string{
	"int":      "a whole number, such as 10",
	"float64":  "a number, such as 0.5",
	"duration": "a duration with its unit, such as 30s or 2m",
	"bool":     "true or false",
}

// flagError is the error for flags that cannot be understood, in the words of
// a person: the library shows what Go's parsers say.
func flagError(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		if want := flagValues[bad.GetFlag().Value.Type()]; want != "" {
			return usage(cmd, "--%s is %.80q: want %s", bad.GetFlag().Name, bad.GetValue(), want)
		}
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if n := near.Name(unknown.GetSpecifiedName(), names); n != "" {
			return usage(cmd, "%w", err).Advise("did you mean --%s?", n)
		}
	}
	return usage(cmd, "%w", err)
}

// usage returns the error for a command line that cannot be understood.
func usage(cmd *cobra.Command, format string, args ...any) *fault.Error {
	return fault.New(fault.Usage, format, args...).Advise("see `%s --help`", cmd.CommandPath())
}

// noArgs refuses arguments; for the root command an argument is an unknown
// subcommand, which gets suggestions.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasParent() {
		return usage(cmd, "%s takes no argument, but got %q", cmd.CommandPath(), args[0])
	}
	err := fault.New(fault.Usage, "there is no command %q", args[0])
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		return err.Advise("did you mean `godwit %s`?", s[0])
	}
	return err.Advise("see `godwit --help`")
}

// helpTopic refuses `help` for a command that does not exist.
func helpTopic(cmd *cobra.Command, args []string) error {
	c, rest, err := cmd.Root().Find(args)
	if err != nil {
		return usage(cmd, "%w", err)
	}
	return noArgs(c, rest)
}

// atMost refuses more than n arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage(cmd, "%s takes at most %d argument(s), but got %q too", cmd.CommandPath(), n, args[n])
		}
		return nil
	}
}
