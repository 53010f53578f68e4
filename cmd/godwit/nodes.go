package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

func newNodesCmd() *cobra.Command {
	return operatorCmd(&cobra.Command{
		Use:     "nodes",
		Short:   "Show the nodes of a fleet and how they are",
		Example: "  godwit nodes\n  godwit nodes --control 10.0.0.1:7700,10.0.0.2:7700 -o json",
	}, func(ctx context.Context, cmd *cobra.Command, o *operator, c *api.Client, _ []string) error {
		f, err := view(ctx, c)
		if err != nil {
			return err
		}
		return o.show(cmd, struct {
			Leader  string              `json:"leader"`
			Control []api.ControlMember `json:"control"`
			Nodes   []api.Node          `json:"nodes"`
		}{f.Leader, f.Control, f.Nodes}, func(w io.Writer) error { return nodesText(w, f) })
	})
}

// nodesText prints every process that control knows, the control members first.
func nodesText(w io.Writer, f *api.Fleet) error {
	rows := [][]string{{"ID", "NAME", "ROLE", "ZONE", "STATE", "SHARDS", "LEADS", "SESSIONS", "OPS/S", "CPU", "MEMORY", "DISK FREE", "SEEN", "ADDRESS"}}
	for _, m := range f.Control {
		rows = append(rows, []string{fmt.Sprint(m.ID), fmt.Sprintf("control-%d", m.ID), "control", "-", m.Role, "-", "-", "-", "-", "-", "-", "-", "-", m.Addr})
	}
	for i := range f.Nodes {
		if n := &f.Nodes[i]; n.Role != fleet.Control {
			rows = append(rows, nodeRow(n))
		}
	}
	if err := table(w, rows); err != nil {
		return err
	}
	for i := range f.Nodes {
		n := &f.Nodes[i]
		if n.Report != nil && n.Report.Note != "" && n.Alive {
			if _, err := fmt.Fprintf(w, "%s is not ready: %s\n", n.Name, plainText(n.Report.Note)); err != nil {
				return err
			}
		}
	}
	return nil
}

func nodeRow(n *api.Node) []string {
	row := []string{fmt.Sprint(n.ID), n.Name, string(n.Role), orDash(plainText(n.Zone)), nodeState(n), "-", "-", "-", "-", "-", "-", "-", seen(n), orDash(plainText(address(n)))}
	r := n.Report
	if r == nil {
		return row
	}
	if n.Role == fleet.Core {
		row[5], row[6] = fmt.Sprint(r.Shards), fmt.Sprint(r.Leads)
	} else {
		row[7] = fmt.Sprint(r.Sessions)
	}
	row[8], row[9] = fmt.Sprintf("%.0f", r.PerSec), fmt.Sprintf("%.2f", r.CPU)
	row[10], row[11] = bytesText(r.Bytes), bytesText(r.DiskFree)
	return row
}

// nodeState is how a node is, in a word, and what is wanted of it.
func nodeState(n *api.Node) string {
	state := "ready"
	switch {
	case n.SeenMSAgo == nil:
		state = "not seen yet"
	case !n.Alive:
		state = "down"
	case n.Report != nil && !n.Report.Ready:
		state = "not ready"
	}
	switch n.Wish {
	case fleet.Drain:
		return state + ", drained"
	case fleet.Leave:
		return state + ", leaving"
	}
	return state
}

func seen(n *api.Node) string {
	if n.SeenMSAgo == nil {
		return "-"
	}
	return (time.Duration(*n.SeenMSAgo) * time.Millisecond).Round(100 * time.Millisecond).String()
}

// address is where clients or other nodes reach a node.
func address(n *api.Node) string {
	if n.Role == fleet.Edge {
		return n.Addrs.Public
	}
	return n.Addrs.Link
}

// names gives ids their names.
func names(f *api.Fleet) func(wire.NodeID) string {
	byID := map[wire.NodeID]string{}
	for i := range f.Nodes {
		byID[f.Nodes[i].ID] = f.Nodes[i].Name
	}
	return func(id wire.NodeID) string {
		switch name, ok := byID[id]; {
		case id == 0:
			return "-"
		case ok:
			return name
		}
		return fmt.Sprintf("node %d", id)
	}
}
