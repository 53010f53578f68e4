package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/demo"
	"github.com/godwit-im/godwit/internal/fault"
)

func newDemoCmd() *cobra.Command {
	var cfg demo.Config
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a small real fleet on this machine, each member a process",
		Long: "Run a fleet on loopback: control, core and edge processes, from this program, with data and logs in one directory.\n" +
			"DIR/fleet.json says who runs: pid, addresses and what to type to start a member again. Kill one and look on.",
		Example: "  godwit demo\n  godwit demo --cores 5 --edges 2 --controls 3 --data /tmp/fleet --rm",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, n := range []struct {
				flag        string
				value, most int
			}{{"controls", cfg.Controls, demo.MaxControls}, {"cores", cfg.Cores, demo.MaxCores}, {"edges", cfg.Edges, demo.MaxEdges}, {"replicas", cfg.Replicas, 7}} {
				if cmd.Flags().Changed(n.flag) && (n.value < 1 || n.value > n.most) {
					return usage(cmd, "--%s %d: want 1 to %d", n.flag, n.value, n.most)
				}
			}
			if cores := cfg.Cores; cfg.Replicas > max(cores, demo.DefaultCores) || cores != 0 && cfg.Replicas > cores {
				return usage(cmd, "--replicas %d: want no more than there are cores", cfg.Replicas)
			}
			binary, err := os.Executable()
			if err != nil {
				return fault.New(fault.StartFailed, "%w", err)
			}
			cfg.Binary, cfg.Program, cfg.Out = binary, os.Args[0], cmd.OutOrStdout()
			return demo.Run(cmd.Context(), cfg)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&cfg.Dir, "data", "godwit-demo", "directory of the fleet; a second start with it starts the same fleet again")
	fl.IntVar(&cfg.Controls, "controls", 0, "control members (default 3)")
	fl.IntVar(&cfg.Cores, "cores", 0, "core nodes (default 3)")
	fl.IntVar(&cfg.Edges, "edges", 0, "edges (default 2)")
	fl.IntVar(&cfg.Replicas, "replicas", 0, "replicas of each shard (default 3, or as many as there are cores)")
	fl.BoolVar(&cfg.Remove, "rm", false, "remove the directory at the end")
	return cmd
}
