package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/loadgen/bench"
)

func newBenchCmd() *cobra.Command {
	var opt bench.Options
	var out, dir, output string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the scoreboard's rows on this machine",
		Long: "bench starts servers of its own on loopback, measures the rows of the scoreboard\n" +
			"that one process answers, and the machine's own limits beside them. It takes about\n" +
			"three minutes and leaves nothing behind but its report.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkOutput(cmd, output); err != nil {
				return err
			}
			if opt.Binary, err = os.Executable(); err != nil {
				return err
			}
			if opt.Dir, err = os.MkdirTemp(dir, "godwit-bench-"); err != nil {
				return fault.New(fault.DataNotWritable, "%w", err).Advise("name another with --dir")
			}
			defer os.RemoveAll(opt.Dir)
			opt.Version, opt.Progress = versionText(), cmd.ErrOrStderr()
			rep, err := bench.Run(cmd.Context(), opt)
			if errors.Is(err, bench.ErrNoRow) {
				return usage(cmd, "--only: %w", err)
			}
			if err != nil {
				return err
			}
			if output == "json" {
				err = printJSON(cmd.OutOrStdout(), rep)
			} else {
				err = rep.WriteTable(cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			if out != "" {
				if err := rep.WriteFile(out); err != nil {
					return err
				}
			}
			if rep.Failed() {
				return errors.New("a row could not be measured")
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&out, "out", "", "also write the report to this file, as JSON")
	outputFlag(cmd, &output)
	fl.StringVar(&opt.Only, "only", "", "measure this row alone, such as P5")
	fl.StringVar(&dir, "dir", ".", "where to put the servers' data: the disk to measure")
	fl.BoolVar(&opt.Short, "short", false, "small and quick: proves that it works, the figures mean little")
	return cmd
}
