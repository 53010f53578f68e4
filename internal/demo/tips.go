package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/godwit-im/godwit/internal/process"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

// count names the members by number.
func (d *demo) count() string {
	n := map[fleet.Role]int{}
	for i := range d.fleet.Processes {
		n[d.fleet.Processes[i].Role]++
	}
	return fmt.Sprintf("%d control, %d core and %d edge processes", n[fleet.Control], n[fleet.Core], n[fleet.Edge])
}

// of returns the members of a role.
func (d *demo) of(role fleet.Role) (list []*Member) {
	for i := range d.fleet.Processes {
		if m := &d.fleet.Processes[i]; m.Role == role {
			list = append(list, m)
		}
	}
	return list
}

// tips prints where everything is and what to try.
func (d *demo) tips(took time.Duration) {
	me := process.Program(d.cfg.Program)
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s are ready (%.1f s)\n\n", d.count(), took.Seconds())
	edges, cores := d.of(fleet.Edge), d.of(fleet.Core)
	var pages []string
	for _, e := range edges {
		fmt.Fprintf(&b, "  page   %s/  (%s)\n", e.Public, e.Name)
		pages = append(pages, e.Public)
	}
	fmt.Fprintf(&b, "  fleet  %s\n  logs   %s\n\n", d.path(fleetFile), d.path("*.log"))
	b.WriteString("  *** DEVELOPMENT SIGN-IN IS ON: whoever reaches the page may use any name. ***\n\n")
	if len(edges) > 0 {
		first, last := pages[0], pages[len(pages)-1]
		b.WriteString("Try, each in a terminal of its own:\n")
		fmt.Fprintf(&b, "  %s chat --as alice --with bob --server %s\n", me, first)
		fmt.Fprintf(&b, "  %s chat --as bob --with alice --server %s\n", me, last)
		fmt.Fprintf(&b, "  %s load --server %s --pairs 50 --rate 500 --for 1m\n", me, strings.Join(pages, ","))
	}
	if len(cores) > 0 {
		m := cores[0]
		fmt.Fprintf(&b, "  kill -9 %-8d # %s: nothing is lost. It starts again with\n  %s\n", m.PID, m.Name, strings.Join(m.Argv, " "))
	}
	b.WriteString("Look at the fleet and change it:\n")
	fmt.Fprintf(&b, "  export GODWIT_CONTROL=%s GODWIT_JOIN_SECRET=$(cat %s)\n", strings.Join(d.fleet.Control, ","), process.Quote(d.path(secretFile)))
	fmt.Fprintf(&b, "  %s nodes; %s shards; %s top; %s drain core-1\n", me, me, me, me)
	end := "the data stays, and the same command starts the same fleet again"
	if d.cfg.Remove {
		end = "and removes " + d.cfg.Dir
	}
	fmt.Fprintf(&b, "\nCtrl-C stops all: %s.\n", end)
	d.say("%s", b.String())
}
