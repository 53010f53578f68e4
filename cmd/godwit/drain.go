package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

func newDrainCmd() *cobra.Command {
	return wishCmd(fleet.Drain, &cobra.Command{
		Use:     "drain NODE",
		Short:   "Let a node lead nothing and take no new clients, as before a restart",
		Long:    "Let a node lead no shard, and an edge get no new clients. It keeps its data and its copies; `godwit undrain` takes it back.",
		Example: "  godwit drain core-1\n  godwit undrain core-1",
	})
}

func newUndrainCmd() *cobra.Command {
	return wishCmd(fleet.Serve, &cobra.Command{
		Use:   "undrain NODE",
		Short: "Take a node back that was drained or was to leave",
	})
}

func newDecommissionCmd() *cobra.Command {
	return wishCmd(fleet.Leave, &cobra.Command{
		Use:   "decommission NODE",
		Short: "Move everything off a node, so that it can go for good",
		Long: "Move every replica off a node. When it holds nothing it has left the fleet: stop it. Refused when a shard would lose\n" +
			"its majority or too few nodes would stay; --dry-run shows that and the moves.",
		Example: "  godwit decommission core-1 --dry-run\n  godwit decommission core-1 --wait",
	})
}

// wishCmd completes cmd to one that wishes something of a node.
func wishCmd(wish fleet.Wish, cmd *cobra.Command) *cobra.Command {
	var dry, wait bool
	cmd.Args = oneNode
	operatorCmd(cmd, func(ctx context.Context, cmd *cobra.Command, o *operator, c *api.Client, args []string) error {
		ask, cancel := context.WithTimeout(ctx, controlWithin)
		defer cancel()
		a, err := c.Wish(ask, args[0], api.WishRequest{Wish: wish, DryRun: dry})
		if err != nil {
			return err
		}
		f, err := view(ctx, c)
		if err != nil {
			return err
		}
		if err := o.show(cmd, a, func(w io.Writer) error { return wishText(w, wish, dry, &a, names(f)) }); err != nil {
			return err
		}
		if i := slices.IndexFunc(a.Problems, func(p fleet.Problem) bool { return p.Fatal }); i >= 0 {
			return fault.New(fault.BreaksMajority, "%s", plainText(a.Problems[i].Text))
		}
		if wait && !dry {
			return waitEmpty(ctx, cmd, o, c, a.ID, args[0])
		}
		return nil
	})
	if wish != fleet.Serve {
		cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would happen, and change nothing")
	}
	if wish == fleet.Leave {
		cmd.Flags().BoolVar(&wait, "wait", false, "wait until the node holds nothing")
	}
	return cmd
}

func oneNode(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, "which node?").Advise("give one name or id, as `godwit nodes` shows them")
	}
	return nil
}

func wishText(w io.Writer, wish fleet.Wish, dry bool, a *api.WishAnswer, name func(wire.NodeID) string) error {
	will := map[fleet.Wish]string{fleet.Serve: "serves", fleet.Drain: "is drained", fleet.Leave: "leaves"}[wish]
	if dry {
		will = map[fleet.Wish]string{fleet.Serve: "would serve", fleet.Drain: "would be drained", fleet.Leave: "would leave"}[wish]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n", name(a.ID), will, moves(len(a.Moves), a.EstimateS))
	writeMoves(&b, a.Moves, name)
	writeProblems(&b, a.Problems)
	_, err := io.WriteString(w, b.String())
	return err
}

// waitEmpty follows a node until the map does not name it any more.
func waitEmpty(ctx context.Context, cmd *cobra.Command, o *operator, c *api.Client, id wire.NodeID, name string) error {
	return follow(ctx, c, func(f *api.Fleet) (bool, error) {
		left := holds(f, id)
		if o.output == "json" {
			return left == 0, printJSON(cmd.OutOrStdout(), struct {
				ID        wire.NodeID `json:"id"`
				Left      int         `json:"shards_left"`
				EstimateS float64     `json:"estimate_s,omitempty"`
			}{id, left, estimate(f)})
		}
		line := fmt.Sprintf("%s %s holds %d shards; %s", time.Now().Format(time.TimeOnly), name, left, planLine(f))
		if left == 0 {
			line = fmt.Sprintf("%s holds nothing and has left the fleet: stop it", name)
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), line)
		return left == 0, err
	})
}

func estimate(f *api.Fleet) float64 {
	if f.Plan == nil {
		return 0
	}
	return f.Plan.EstimateS
}

// holds counts the shards that the map or a node itself still has on it.
func holds(f *api.Fleet, id wire.NodeID) (n int) {
	if f.Map != nil {
		for i := range f.Map.Shards {
			if s := &f.Map.Shards[i]; slices.Contains(s.Replicas, id) || slices.Contains(s.Learners, id) {
				n++
			}
		}
	}
	for i := range f.Nodes {
		if node := &f.Nodes[i]; node.ID == id && node.Alive && node.Report != nil {
			n = max(n, node.Report.Shards)
		}
	}
	return n
}

func newForgetCmd() *cobra.Command {
	return operatorCmd(&cobra.Command{
		Use:     "forget NODE",
		Short:   "Remove a node that holds nothing and does not run",
		Example: "  godwit forget core-1",
		Args:    oneNode,
	}, func(ctx context.Context, cmd *cobra.Command, o *operator, c *api.Client, args []string) error {
		ctx, cancel := context.WithTimeout(ctx, controlWithin)
		defer cancel()
		if err := c.Forget(ctx, args[0]); err != nil {
			return err
		}
		return o.show(cmd, struct {
			Forgotten string `json:"forgotten"`
		}{args[0]}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s is forgotten\n", args[0])
			return err
		})
	})
}
