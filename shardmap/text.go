package shardmap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/wire"
)

// String draws the map as two tables, for people: nodes with their load, shards
// with their slots and replicas. It ends with a newline.
func (m *Map) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "epoch %d, %d shards, %d nodes\n", m.epoch, len(m.shards), len(m.nodes))
	leads := make(map[wire.NodeID]int)
	for _, r := range m.replicas {
		leads[r[0]]++
	}
	fmt.Fprintf(&b, "%6s %-8s %8s %6s  %s\n", "node", "zone", "replicas", "leads", "address")
	for _, n := range m.nodes {
		line := fmt.Sprintf("%6d %-8s %8d %6d  %s", n.ID, orDash(n.Zone), len(m.on[n.ID]), leads[n.ID], n.LinkAddr)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	slots := make([]int, len(m.replicas))
	for _, s := range m.slots {
		slots[s-1]++
	}
	fmt.Fprintf(&b, "%6s %6s  %s\n", "shard", "slots", "replicas")
	for i, r := range m.replicas {
		fmt.Fprintf(&b, "%6d %6d  %s", i+1, slots[i], joinIDs(r))
		if l := m.Learners(wire.ShardID(i + 1)); len(l) > 0 {
			fmt.Fprintf(&b, " (filling %s)", joinIDs(l))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func joinIDs(ids []wire.NodeID) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, id)
	}
	return b.String()
}

// Changes is what differs between two maps.
type Changes struct {
	Added, Removed []Node // nodes by id
	Moved          []Node // nodes whose zone or an address is new, as they are now
	Shards         []ShardChange
	Slots          int // slots that another shard owns now
}

// ShardChange is what differs for one shard.
type ShardChange struct {
	Shard        wire.ShardID
	Gained, Lost []wire.NodeID // replicas, ascending
	Leader       wire.NodeID   // the preferred leader when it changed, else 0
}

// Diff returns what changes from a to b. Shards that only one of the maps has
// are listed with all their replicas.
func Diff(a, b *Map) Changes {
	var c Changes
	for _, n := range b.nodes {
		if old, ok := a.Node(n.ID); !ok {
			c.Added = append(c.Added, n)
		} else if old != n {
			c.Moved = append(c.Moved, n)
		}
	}
	for _, n := range a.nodes {
		if _, ok := b.Node(n.ID); !ok {
			c.Removed = append(c.Removed, n)
		}
	}
	for s := wire.ShardID(1); int(s) <= max(len(a.shards), len(b.shards)); s++ {
		was, now := a.Replicas(s), b.Replicas(s)
		sc := ShardChange{Shard: s, Gained: without(now, was), Lost: without(was, now)}
		if len(now) > 0 && (len(was) == 0 || was[0] != now[0]) {
			sc.Leader = now[0]
		}
		if len(sc.Gained)+len(sc.Lost) > 0 || sc.Leader != 0 {
			c.Shards = append(c.Shards, sc)
		}
	}
	for i, s := range b.slots {
		if a.slots[i] != s {
			c.Slots++
		}
	}
	return c
}

// Empty reports whether nothing differs but perhaps the epoch.
func (c Changes) Empty() bool {
	return len(c.Added)+len(c.Removed)+len(c.Moved)+len(c.Shards)+c.Slots == 0
}

// String sums the changes up in one line, for logs.
func (c Changes) String() string {
	gained, lost, leaders := 0, 0, 0
	for _, s := range c.Shards {
		gained, lost = gained+len(s.Gained), lost+len(s.Lost)
		if s.Leader != 0 {
			leaders++
		}
	}
	return fmt.Sprintf("nodes +%d -%d ~%d, replicas +%d -%d, leaders %d, slots %d",
		len(c.Added), len(c.Removed), len(c.Moved), gained, lost, leaders, c.Slots)
}

// without returns what is in a and not in b, ascending.
func without(a, b []wire.NodeID) []wire.NodeID {
	var only []wire.NodeID
	for _, n := range a {
		if !slices.Contains(b, n) {
			only = append(only, n)
		}
	}
	slices.Sort(only)
	return only
}
