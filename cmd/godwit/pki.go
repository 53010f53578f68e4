package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/pki"
)

func newPKICmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pki",
		Short: "Make the certificates with which the nodes of a fleet know each other",
		Long: "Make an authority once, and with it a certificate for every node. Copy the directory of a node to it and name it with\n" +
			"--pki; keep the authority's directory elsewhere.",
		Example: "  godwit pki init ca\n  godwit pki issue --ca ca --out core-1 --role core --name core-1 --host 10.0.0.1,core-1.lan",
		Args:    noSubcommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPKIInitCmd(), newPKIIssueCmd(), newPKIShowCmd())
	return cmd
}

// oneDir returns the only argument of a command.
func oneDir(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 0 || args[0] == "" {
		return "", usage(cmd, "%s needs a directory", cmd.CommandPath())
	}
	return args[0], nil
}

func newPKIInitCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Make an authority, good for 10 years",
		Args:  atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := oneDir(cmd, args)
			if err != nil {
				return err
			}
			if err := pki.Init(dir); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Made an authority in %s. Whoever has %s can make nodes of the fleet: keep it off the nodes.\n",
				dir, filepath.Join(dir, pki.CAKeyFile))
			return err
		},
	}
}

func newPKIIssueCmd() *cobra.Command {
	var r pki.Request
	var days int
	cmd := &cobra.Command{
		Use:   "issue --ca DIR --out DIR --role ROLE --name NAME --host HOST,...",
		Short: "Make a node's key and certificate, or renew them",
		Long: "Make a key and a certificate for a node. For the same role and name into the same directory it renews them; a running\n" +
			"node takes the new ones within seconds. Roles: " + strings.Join(pki.Roles(), ", ") + ".",
		Example: "  godwit pki issue --ca ca --out core-1 --role core --name core-1 --host 10.0.0.1,core-1.lan --days 90",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, f := range []string{"ca", "out", "role", "name"} {
				if cmd.Flag(f).Value.String() == "" {
					return usage(cmd, "--%s is missing", f)
				}
			}
			if days < 1 || days > 36500 {
				return usage(cmd, "--days %d is not a number from 1 to 36500", days)
			}
			r.Validity = time.Duration(days) * 24 * time.Hour
			if err := pki.Issue(r); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Made a certificate for %s %s in %s, good for %d days. Copy the directory to the node and start it with --pki.\n", r.Role, r.Name, r.OutDir, days)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.CADir, "ca", "", "directory of the authority, made by `godwit pki init`")
	f.StringVar(&r.OutDir, "out", "", "directory for the node's files")
	f.StringVar(&r.Role, "role", "", strings.Join(pki.Roles(), ", "))
	f.StringVar(&r.Name, "name", "", "the node's name, as in its settings")
	f.StringSliceVar(&r.Hosts, "host", nil, "IP address or DNS name where the node is reached; several with commas, or the flag several times")
	f.IntVar(&days, "days", int(pki.DefaultValidity/(24*time.Hour)), "how long the certificate is good for")
	return cmd
}

func newPKIShowCmd() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "show DIR",
		Short: "Show the certificates of a directory, and what is wrong with them",
		Args:  atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(cmd, output); err != nil {
				return err
			}
			dir, err := oneDir(cmd, args)
			if err != nil {
				return err
			}
			list, problem, err := pki.Show(dir)
			if err != nil {
				return err
			}
			if err := showCertificates(cmd, list, problem, output); err != nil {
				return err
			}
			return problem
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func showCertificates(cmd *cobra.Command, list []pki.Info, problem error, output string) error {
	if output == "json" {
		text := ""
		if problem != nil {
			text = strings.TrimPrefix(fault.Line(problem), "godwit: ")
		}
		return printJSON(cmd.OutOrStdout(), struct {
			Certificates []pki.Info `json:"certificates"`
			Problem      string     `json:"problem,omitempty"`
		}{list, text})
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FILE\tSUBJECT\tROLE\tNAME\tHOSTS\tUNTIL\tLEFT")
	for i := range list {
		c := &list[i]
		role, name := c.Role, c.Name
		if c.Authority {
			role = "authority"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.File, plainText(c.Subject), dash(role), dash(name), dash(plainText(strings.Join(c.Hosts, ","))),
			c.NotAfter.UTC().Format(time.DateOnly), left(time.Until(c.NotAfter)))
	}
	return t.Flush()
}

// left says how long something lasts yet.
func left(d time.Duration) string {
	switch {
	case d <= 0:
		return "ended"
	case d < 48*time.Hour:
		return d.Truncate(time.Minute).String()
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// dash stands for what is empty in a table.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
