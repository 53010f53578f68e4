package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/godwit-im/godwit/shardmap/control/api"
)

// clearScreen moves to the upper left and removes what was there.
const clearScreen = "\x1b[H\x1b[2J"

func newTopCmd() *cobra.Command {
	once := false
	cmd := operatorCmd(&cobra.Command{
		Use:   "top",
		Short: "Watch a fleet: nodes, shards and moves, once a second",
		Long: "Watch a fleet. On a terminal the table is refreshed in place; elsewhere a block is printed every second, and with\n" +
			"-o json a line with all that control knows.",
	}, func(ctx context.Context, cmd *cobra.Command, o *operator, c *api.Client, _ []string) error {
		refresh := o.output != "json" && !once && term.IsTerminal(int(os.Stdout.Fd()))
		return follow(ctx, c, func(f *api.Fleet) (bool, error) {
			return once, o.show(cmd, f, func(w io.Writer) error {
				var b bytes.Buffer
				if refresh {
					b.WriteString(clearScreen)
				}
				if err := topText(&b, f, time.Now()); err != nil {
					return err
				}
				_, err := w.Write(b.Bytes())
				return err
			})
		})
	})
	cmd.Flags().BoolVar(&once, "once", false, "show it once")
	return cmd
}

// topText prints the whole fleet: a line, the nodes, what is not as it should
// be.
func topText(w io.Writer, f *api.Fleet, now time.Time) error {
	states := map[string]int{}
	var epoch uint64
	if f.Map != nil {
		epoch = f.Map.Epoch
		for i := range f.Map.Shards {
			states[f.Map.Shards[i].State]++
		}
	}
	var sessions int64
	for i := range f.Nodes {
		if r := f.Nodes[i].Report; r != nil && f.Nodes[i].Alive {
			if f.Nodes[i].Addrs.Public != "" {
				sessions += r.Sessions
			}
		}
	}
	text := fmt.Sprintf("%s  map %d  sessions %d  shards", now.Format(time.TimeOnly), epoch, sessions)
	for _, s := range []string{api.ShardOK, api.ShardMoving, api.ShardDegraded, api.ShardFailed, api.ShardDown} {
		if states[s] > 0 {
			text += fmt.Sprintf("  %d %s", states[s], s)
		}
	}
	if _, err := fmt.Fprintf(w, "%s\n%s\n\n", text, planLine(f)); err != nil {
		return err
	}
	if err := nodesText(w, f); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
