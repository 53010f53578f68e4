package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/fault"
)

func newExplainCmd() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "explain [ERROR]",
		Short:   "Say what an error means and what to do about it",
		Example: "  godwit explain E1203\n  godwit explain port_taken\n  godwit explain            # all of them",
		Args:    atMost(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, e := range fault.All() {
				ids = append(ids, e.ID()+"\t"+e.Name)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(cmd, output); err != nil {
				return err
			}
			if len(args) == 0 {
				return explainAll(cmd.OutOrStdout(), output)
			}
			e, err := fault.Explain(args[0])
			if err != nil {
				return err
			}
			if output == "json" {
				return printJSON(cmd.OutOrStdout(), e)
			}
			return explainOne(cmd.OutOrStdout(), &e)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func explainOne(w io.Writer, e *fault.Entry) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s %s\n\n", e.ID(), e.Name)
	fmt.Fprintf(t, "  what\t%s\n  do\t%s\n", e.Text, e.Do)
	if e.More != "" {
		fmt.Fprintf(t, "  more\t%s\n", e.More)
	}
	if e.HTTP != 0 {
		fmt.Fprintf(t, "  retry\t%s\n", map[bool]string{true: "the same request may succeed later", false: "the same request fails again"}[e.Retryable])
		fmt.Fprintf(t, "  REST\t%s\n", e.HTTPText())
		if e.Close != 0 {
			fmt.Fprintf(t, "  socket\tcloses with %d\n", e.Close)
		} else {
			fmt.Fprintf(t, "  socket\tstays open\n")
		}
	}
	fmt.Fprintf(t, "  exit code\t%d\n", e.Exit)
	return t.Flush()
}

func explainAll(w io.Writer, output string) error {
	if output == "json" {
		return printJSON(w, fault.All())
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CODE\tNAME\tRETRY\tEXIT\tWHAT")
	for _, e := range fault.All() {
		retry := "-"
		if e.Retryable {
			retry = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", e.ID(), e.Name, retry, e.Exit, e.Text)
	}
	return t.Flush()
}

// outputFlag adds -o to a command that can print for programs.
func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "text", "text or json")
}

func checkOutput(cmd *cobra.Command, output string) error {
	if output != "text" && output != "json" {
		return usage(cmd, "-o %q is not text or json", output)
	}
	return nil
}

// printJSON prints v as one line of JSON.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
