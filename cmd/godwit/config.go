package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/pki"
)

func newConfigCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Write, check and explain settings",
		Long: "Settings come from flags, the environment (GODWIT_...), a TOML file (--config) and defaults, in this order. A file is for\n" +
			"one process; which settings it may hold depends on the role: " + roleNames() + ".",
		Args: noSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigInitCmd(), newConfigCheckCmd(), newConfigShowCmd(), newConfigDocCmd())
	return cmd
}

// noSubcommand refuses arguments of a command that only holds others.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := usage(cmd, "there is no command %q", cmd.CommandPath()+" "+args[0])
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		return err.Advise("did you mean `%s %s`?", cmd.CommandPath(), s[0])
	}
	return err
}

func roleNames() string {
	var names []string
	for _, r := range config.Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// parseRole finds a role by its name.
func parseRole(cmd *cobra.Command, name string) (config.Role, error) {
	for _, r := range config.Roles() {
		if string(r) == name {
			return r, nil
		}
	}
	if name == "" {
		return "", usage(cmd, "for which role?").Advise("name one of %s", roleNames())
	}
	return "", usage(cmd, "there is no role %.40q", name).Advise("name one of %s", roleNames())
}

func newConfigInitCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "init ROLE",
		Short:   "Print a TOML file with every setting of a role, its default and what it is",
		Example: "  godwit config init core > core.toml",
		Args:    atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			role, err := parseRole(cmd, strings.Join(args, ""))
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), config.Template(role))
			return err
		},
	}
}

func newConfigCheckCmd() *cobra.Command {
	var role, output string
	cmd := &cobra.Command{
		Use:   "check FILE --role ROLE",
		Short: "Say what keeps a process from starting with a file, one line for each problem",
		Long: "Check a file together with the environment, as the process would see both: a secret that comes from the environment has\n" +
			"to be there. The problems are printed; the exit code is 3 when there are any.",
		Example: "  GODWIT_JOIN_SECRET=$(cat secret) godwit config check core.toml --role core",
		Args:    atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(cmd, output); err != nil {
				return err
			}
			r, err := parseRole(cmd, role)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return usage(cmd, "which file?").Advise("name one; `godwit config init %s` writes one to begin with", r)
			}
			return checkConfig(cmd, r, args[0], output)
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "whose file it is: "+roleNames())
	outputFlag(cmd, &output)
	return cmd
}

func checkConfig(cmd *cobra.Command, role config.Role, file, output string) error {
	flags := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	config.AddFlags(flags, role)
	if err := flags.Set(config.FileFlag, file); err != nil {
		return err
	}
	reading := config.Read(role, flags, os.Environ())
	if p := &reading.Process; p.PKI != "" && len(reading.Problems) == 0 {
		reading.Problems = certificateProblems(p)
	}
	problems := make([]string, 0, len(reading.Problems))
	for _, err := range reading.Problems {
		problems = append(problems, strings.TrimPrefix(fault.Line(err), "godwit: "))
	}
	if output == "json" {
		if err := printJSON(cmd.OutOrStdout(), struct {
			File     string   `json:"file"`
			Role     string   `json:"role"`
			Problems []string `json:"problems"`
		}{file, string(role), problems}); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			fmt.Fprintln(cmd.OutOrStdout(), p)
		}
	}
	if n := len(problems); n > 0 {
		return fault.New(fault.BadConfigFile, "%s has %d problem(s) for the role %s", file, n, role).Advise("see them on standard output, and correct them")
	}
	if output == "text" {
		fmt.Fprintf(cmd.OutOrStdout(), "%s is right for %s\n", file, role)
	}
	return nil
}

// certificateProblems judges the certificate that the settings name.
func certificateProblems(p *config.Process) []error {
	n, err := pki.Load(p.PKI)
	switch {
	case err != nil:
		return []error{err}
	case n.Role() != string(p.Role) || n.Name() != p.Name:
		return []error{fault.New(fault.BadKeyFile, "%s holds the certificate of %s %s, and this is %s %s", p.PKI, n.Role(), n.Name(), p.Role, p.Name).
			Advise("correct pki or name, or issue a certificate for this node")}
	}
	return nil
}

func newConfigShowCmd() *cobra.Command {
	var role, output string
	var origin bool
	cmd := &cobra.Command{
		Use:   "show --role ROLE [--origin]",
		Short: "Print every setting that a process would start with, and where each was said",
		Long: "Print the settings of a role as the flags, the environment and the file given here say them. Secrets are masked. What\n" +
			"is wrong is printed after them, and the exit code is 3 then.",
		Example: "  godwit config show --role edge --config edge.toml --origin",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(cmd, output); err != nil {
				return err
			}
			r, err := parseRole(cmd, role)
			if err != nil {
				return err
			}
			return showConfig(cmd, config.Read(r, cmd.Flags(), os.Environ()), output, origin)
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "whose settings: "+roleNames())
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	outputFlag(cmd, &output)
	config.AddFlags(cmd.Flags(), config.Roles()...)
	return cmd
}

func showConfig(cmd *cobra.Command, r *config.Reading, output string, origin bool) error {
	w := cmd.OutOrStdout()
	if output == "json" {
		type shown struct {
			Key    string `json:"key"`
			Value  string `json:"value"`
			Origin string `json:"origin"` // default, file, env or flag
			Where  string `json:"where,omitempty"`
		}
		list := make([]shown, 0, len(r.Values))
		for i := range r.Values {
			v := &r.Values[i]
			list = append(list, shown{v.Setting.Key, v.Shown(), string(v.Origin.Kind), v.Origin.Where})
		}
		if err := printJSON(w, list); err != nil {
			return err
		}
	} else if err := showTable(w, r, origin); err != nil {
		return err
	}
	if len(r.Problems) > 0 {
		return r.Problems[0]
	}
	return nil
}

func showTable(w io.Writer, r *config.Reading, origin bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range r.Values {
		v := &r.Values[i]
		text := plainText(v.Shown())
		if text == "" {
			text = "-"
		}
		if origin {
			fmt.Fprintf(t, "%s\t%s\t%s\n", v.Setting.Key, text, plainText(v.Origin.String()))
		} else {
			fmt.Fprintf(t, "%s\t%s\n", v.Setting.Key, text)
		}
	}
	return t.Flush()
}

func newConfigDocCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "doc",
		Short: "Print the table of all settings as Markdown",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), config.Markdown())
			return err
		},
	}
}
