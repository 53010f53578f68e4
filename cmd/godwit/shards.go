package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

func newShardsCmd() *cobra.Command {
	cmd := operatorCmd(&cobra.Command{
		Use:     "shards",
		Short:   "Show where the shards of a fleet are, and move them",
		Example: "  godwit shards\n  godwit shards plan\n  godwit shards status --watch",
	}, func(ctx context.Context, cmd *cobra.Command, o *operator, c *api.Client, _ []string) error {
		f, err := view(ctx, c)
		if err != nil {
			return err
		}
		return o.show(cmd, f.Map, func(w io.Writer) error { return shardsText(w, f) })
	})
	cmd.AddCommand(
		planCmd(api.Preview, "plan", "Show which replicas would move to spread them evenly, and move none"),
		planCmd(api.Apply, "apply", "Move replicas until they are spread evenly over the nodes"),
		planCmd(api.Pause, "pause", "Begin no further step of the moves under way"),
		planCmd(api.Resume, "resume", "Go on with the moves that were paused, or let them start by themselves again"),
		planCmd(api.Abort, "abort", "Give up the moves that have not begun, and end the others in order"),
		newShardsStatusCmd())
	return cmd
}

func shardsText(w io.Writer, f *api.Fleet) error {
	if f.Map == nil {
		_, err := fmt.Fprintf(w, "there is no shard map yet: it is made when %d core nodes have joined\n", f.Settings.Cores)
		return err
	}
	name := names(f)
	rows := [][]string{{"SHARD", "STATE", "LEADER", "REPLICAS", "LEARNERS", "SLOTS", "TERM", "APPLIED", "LAG", "SIZE"}}
	for i := range f.Map.Shards {
		s := &f.Map.Shards[i]
		rows = append(rows, []string{fmt.Sprint(s.Shard), s.State, name(s.Leader), list(s.Replicas, name), list(s.Learners, name), fmt.Sprint(s.Slots),
			fmt.Sprint(s.Term), fmt.Sprint(s.Applied), fmt.Sprint(s.Lag), bytesText(s.Bytes)})
	}
	if err := table(w, rows); err != nil {
		return err
	}
	for i := range f.Map.Shards {
		if s := &f.Map.Shards[i]; s.Why != "" {
			if _, err := fmt.Fprintf(w, "shard %d is %s: %s\n", s.Shard, s.State, plainText(s.Why)); err != nil {
				return err
			}
		}
	}
	return nil
}

func list(ids []wire.NodeID, name func(wire.NodeID) string) string {
	var parts []string
	for _, id := range ids {
		parts = append(parts, name(id))
	}
	return orDash(strings.Join(parts, ","))
}

// planCmd is a subcommand of shards that asks for one action.
func planCmd(action, use, short string) *cobra.Command {
	replicas := 0
	cmd := operatorCmd(&cobra.Command{Use: use, Short: short}, func(ctx context.Context, cmd *cobra.Command, o *operator, c *api.Client, _ []string) error {
		ask, cancel := context.WithTimeout(ctx, controlWithin)
		defer cancel()
		a, err := c.Plan(ask, api.PlanRequest{Action: action, Replicas: replicas})
		if err != nil {
			return err
		}
		f, err := view(ctx, c)
		if err != nil {
			return err
		}
		return o.show(cmd, a, func(w io.Writer) error { return planText(w, action, &a, names(f)) })
	})
	if action == api.Preview || action == api.Apply {
		cmd.Flags().IntVar(&replicas, "replicas", 0, "replicas of each shard from now on; 0: as it is")
	}
	return cmd
}

func planText(w io.Writer, action string, a *api.PlanAnswer, name func(wire.NodeID) string) error {
	var b strings.Builder
	switch {
	case action == api.Apply && a.ID != 0:
		fmt.Fprintf(&b, "plan %d began: %s; see `godwit shards status --watch`\n", a.ID, moves(len(a.Moves), a.EstimateS))
	case action == api.Preview && len(a.Moves) > 0:
		fmt.Fprintf(&b, "%s; `godwit shards apply` makes them\n", moves(len(a.Moves), a.EstimateS))
	case action == api.Preview || action == api.Apply:
		b.WriteString("nothing to move: the replicas are where they should be\n")
	case len(a.Moves) == 0:
		b.WriteString("no moves are under way\n")
	case a.Paused:
		fmt.Fprintf(&b, "paused: %s to go\n", moves(len(a.Moves), 0))
	default:
		fmt.Fprintf(&b, "%s to go\n", moves(len(a.Moves), a.EstimateS))
	}
	writeMoves(&b, a.Moves, name)
	writeProblems(&b, a.Problems)
	_, err := io.WriteString(w, b.String())
	return err
}

// moves says how many there are and how long they take.
func moves(n int, estimateS float64) string {
	text := fmt.Sprintf("%d moves", n)
	if n == 1 {
		text = "1 move"
	}
	if estimateS > 0 {
		text += ", about " + seconds(estimateS)
	}
	return text
}

func seconds(s float64) string { return max(time.Duration(s)*time.Second, time.Second).String() }

func writeMoves(b *strings.Builder, list []place.Move, name func(wire.NodeID) string) {
	for _, m := range list {
		switch {
		case m.From == 0:
			fmt.Fprintf(b, "  shard %-4d to %s\n", m.Shard, name(m.To))
		case m.To == 0:
			fmt.Fprintf(b, "  shard %-4d off %s\n", m.Shard, name(m.From))
		default:
			fmt.Fprintf(b, "  shard %-4d %s -> %s\n", m.Shard, name(m.From), name(m.To))
		}
	}
}

func writeProblems(b *strings.Builder, problems []fleet.Problem) {
	for _, p := range problems {
		kind := "wait"
		if p.Fatal {
			kind = "refused"
		}
		fmt.Fprintf(b, "%s: %s\n", kind, plainText(p.Text))
	}
}

func newShardsStatusCmd() *cobra.Command {
	watch := false
	cmd := operatorCmd(&cobra.Command{
		Use:   "status",
		Short: "Show how far the moves under way are",
	}, func(ctx context.Context, cmd *cobra.Command, o *operator, c *api.Client, _ []string) error {
		if !watch {
			f, err := view(ctx, c)
			if err != nil {
				return err
			}
			return o.show(cmd, f.Plan, func(w io.Writer) error {
				var b strings.Builder
				fmt.Fprintln(&b, planLine(f))
				if f.Plan != nil {
					writeMoves(&b, f.Plan.Moves, names(f))
				}
				_, err := io.WriteString(w, b.String())
				return err
			})
		}
		return follow(ctx, c, func(f *api.Fleet) (bool, error) {
			err := o.show(cmd, f.Plan, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, time.Now().Format(time.TimeOnly), planLine(f))
				return err
			})
			return f.Plan == nil, err
		})
	})
	cmd.Flags().BoolVar(&watch, "watch", false, "a line a second until no moves are under way")
	return cmd
}

// planLine is the state of the moves in one line.
func planLine(f *api.Fleet) string {
	p := f.Plan
	if p == nil {
		text := "no moves are under way"
		if l := f.Last; l != nil {
			text += fmt.Sprintf("; plan %d (%s) ended: %d done, %d given up", l.ID, plainText(l.Why), l.Done, l.Dropped)
		}
		if f.Hold {
			text += "; none begin by themselves until `godwit shards resume`"
		}
		return text
	}
	total := p.Done + p.Dropped + len(p.Moves)
	text := fmt.Sprintf("plan %d (%s): %d of %d moves done", p.ID, plainText(p.Why), p.Done, total)
	if p.Dropped > 0 {
		text += fmt.Sprintf(", %d given up", p.Dropped)
	}
	switch {
	case p.Aborted:
		text += ", aborted: ending what has begun"
	case p.Paused:
		text += ", paused"
	case p.EstimateS > 0:
		text += ", about " + seconds(p.EstimateS) + " left"
	}
	return text
}

// follow shows the fleet once a second until it is as wanted. Control may be
// away in between.
func follow(ctx context.Context, c *api.Client, show func(*api.Fleet) (done bool, err error)) error {
	tick := time.NewTicker(askFleetEvery)
	defer tick.Stop()
	for {
		f, err := view(ctx, c)
		if ctx.Err() != nil {
			return fault.New(fault.Interrupted, "what was begun goes on")
		}
		if err != nil {
			return err
		}
		done, err := show(f)
		if done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fault.New(fault.Interrupted, "what was begun goes on")
		}
	}
}
