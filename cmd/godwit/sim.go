package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/loadgen/sim"
)

// simRun is what `godwit sim` reports of a run.
type simRun struct {
	*sim.Report
	CPUSeconds   float64 `json:"cpu_s"`
	HoursPerHour float64 `json:"simulated_hours_per_cpu_hour"`
	Again        string  `json:"again"` // the command that goes through it once more
}

func newSimCmd() *cobra.Command {
	var cfg sim.Config
	var output string
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Run a whole fleet with faults in simulated time, from a seed",
		Long: "sim runs cores, edges and the devices of users in one process, on a time, a network\n" +
			"and disks of its own, with faults that the seed draws: crashes, lost power, pauses,\n" +
			"partitions, slow and lossy links, half-open sockets. Every message is checked, and the\n" +
			"fleet is healed and found in order again and again. A seed repeats a run exactly.\n\n" +
			"  godwit sim --seed 7 --for 24h",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return usage(cmd, "--output is %.80q: want text or json", output)
			}
			before := cpuTime()
			rep, err := sim.Run(cfg, func() bool { return cmd.Context().Err() != nil })
			if err != nil {
				return usage(cmd, "%w", err)
			}
			run := simRun{Report: rep, CPUSeconds: (cpuTime() - before).Seconds(), Again: againSim(cmd)}
			run.HoursPerHour = rep.Simulated.Seconds() / max(run.CPUSeconds, 1e-9)
			if err := run.write(cmd.OutOrStdout(), output == "json"); err != nil {
				return err
			}
			if !rep.OK() {
				return fault.New(fault.Unexpected, "a promise was broken: %s", rep.Failure.Kind).Advise("repeat it with `%s`", run.Again)
			}
			if cmd.Context().Err() != nil {
				return fault.New(fault.Interrupted, "after %v of simulated time", rep.Simulated.Truncate(time.Second))
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.Uint64Var(&cfg.Seed, "seed", 1, "what everything is drawn from")
	fl.DurationVar(&cfg.For, "for", time.Hour, "how long users write, in simulated time")
	fl.IntVar(&cfg.Cores, "cores", 3, "core nodes")
	fl.IntVar(&cfg.Edges, "edges", 2, "edges")
	fl.IntVar(&cfg.Shards, "shards", 4, "shards")
	fl.IntVar(&cfg.Replicas, "replicas", 3, "replicas of a shard")
	fl.IntVar(&cfg.Users, "users", 50, "users, two thirds of them in pairs and the rest in groups")
	fl.IntVar(&cfg.Devices, "devices", 2, "devices of each user")
	fl.IntVar(&cfg.GroupSize, "group-size", 5, "members of a group")
	fl.Float64Var(&cfg.Rate, "rate", 1, "messages a second of all users together")
	fl.DurationVar(&cfg.FaultEvery, "fault-every", 20*time.Second, "time between two faults, on average")
	fl.DurationVar(&cfg.CalmEvery, "calm-every", 10*time.Minute, "how long faults come before the fleet is healed and judged")
	fl.BoolVar(&cfg.NoFaults, "no-faults", false, "let nothing go wrong")
	fl.BoolVar(&cfg.StrictStatus, "strict-status", false, "a status_update that tells less than an earlier one is a failure, not a figure")
	fl.StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

// againSim is the command line of this run, with what was set and the seed.
func againSim(cmd *cobra.Command) string {
	line := cmd.CommandPath() + " --seed " + cmd.Flag("seed").Value.String()
	for _, name := range []string{"for", "cores", "edges", "shards", "replicas", "users", "devices", "group-size", "rate",
		"fault-every", "calm-every", "no-faults", "strict-status"} {
		if f := cmd.Flag(name); f.Changed {
			line += " --" + name + "=" + f.Value.String()
		}
	}
	return line
}

// cpuTime is the processor time that this process has had.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func (r *simRun) write(w io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "simulated\t%v from seed %d, %d events, trace %s\n", r.Simulated.Truncate(time.Second), r.Seed, r.Events, r.Trace)
	fmt.Fprintf(t, "speed\t%.1f s of processor, %.0f simulated hours an hour of it\n", r.CPUSeconds, r.HoursPerHour)
	fmt.Fprintf(t, "messages\t%d sent, %d acknowledged\n", r.Messages, r.Acked)
	fmt.Fprintf(t, "fleet\t%d elections, healed and found in order %d times\n", r.Elections, r.Calms)
	fmt.Fprintf(t, "pushes\t%d entries that a lost batch kept back, %d statuses that told less than before\n", r.PushGaps, r.StatusBack)
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		fmt.Fprintf(t, "\t%d × %s\n", r.Faults[name], name)
	}
	if r.OK() {
		fmt.Fprintf(t, "verdict\tevery promise held\n")
	} else {
		fmt.Fprintf(t, "verdict\tbroken: %v\n", r.Failure)
		fmt.Fprintf(t, "again\t%s\n", r.Again)
	}
	return t.Flush()
}
