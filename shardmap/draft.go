package shardmap

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/godwit-im/godwit/wire"
)

// Draft is a map in the making. It belongs to whoever fills it in; New copies
// it.
type Draft struct {
	// Epoch is at least 1.
	Epoch uint64
	// Slots gives each of the wire.Slots slots a shard of 1..len(Replicas);
	// every shard owns a slot. See SpreadSlots.
	Slots []wire.ShardID
	// Replicas lists for shard i+1 the nodes that hold it: 1 to MaxReplicas,
	// distinct, all in Nodes, the preferred leader first. 1 to MaxShards
	// shards; the number is chosen when the fleet is created.
	Replicas [][]wire.NodeID
	// Learners lists for shard i+1 the nodes that are being filled with it, at
	// most MaxReplicas, none of them also in Replicas. Nil, or as long as
	// Replicas.
	Learners [][]wire.NodeID
	// Founders lists for shard i+1 the nodes on which its Raft group began, the
	// group's initial members, ascending and distinct; they need not be in
	// Replicas or Nodes any more. Empty for a shard means that the group is known
	// to have begun on all of them: from then on no node may begin it with an
	// empty directory. Nil means that Replicas are the founders, as it is until
	// the first replica moves; Map.Draft fills it in. Else as long as Replicas.
	Founders [][]wire.NodeID
	// Nodes are 1 to MaxNodes core nodes in any order, ids distinct and not
	// zero, texts printable and within MaxZone and MaxAddr.
	Nodes []Node
}

// ErrInvalid is in the chain of every error of New.
var ErrInvalid = errors.New("shardmap: not a valid map")

// SpreadSlots returns the slot table of a new fleet of shards shards: each gets
// a run of wire.Slots/shards slots, rounded up or down. Shards is 1 to
// MaxShards.
func SpreadSlots(shards int) []wire.ShardID {
	slots := make([]wire.ShardID, wire.Slots)
	for i := range slots {
		slots[i] = wire.ShardID(i*shards/wire.Slots) + 1
	}
	return slots
}

// Draft returns a copy of m to change, with the next epoch.
func (m *Map) Draft() Draft {
	d := Draft{Epoch: m.epoch + 1, Slots: slices.Clone(m.slots), Nodes: slices.Clone(m.nodes)}
	for _, r := range m.replicas {
		d.Replicas = append(d.Replicas, slices.Clone(r))
	}
	for _, r := range m.learners {
		d.Learners = append(d.Learners, slices.Clone(r))
	}
	for _, s := range m.shards {
		d.Founders = append(d.Founders, slices.Clone(m.Founders(s)))
	}
	return d
}

// New makes a map of d, or says which invariant d breaks.
func New(d Draft) (*Map, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	m := &Map{
		epoch: d.Epoch,
		slots: slices.Clone(d.Slots),
		nodes: slices.SortedFunc(slices.Values(d.Nodes), func(a, b Node) int { return cmp.Compare(a.ID, b.ID) }),
		on:    make(map[wire.NodeID][]wire.ShardID),
	}
	if d.moved() {
		for _, f := range d.Founders {
			m.founders = append(m.founders, slices.Clone(f))
		}
	}
	for i, nodes := range d.Replicas {
		shard := wire.ShardID(i + 1)
		m.shards = append(m.shards, shard)
		m.replicas = append(m.replicas, slices.Clone(nodes))
		for _, n := range nodes {
			m.on[n] = append(m.on[n], shard)
		}
		if d.learning() {
			m.learners = append(m.learners, slices.Clone(d.Learners[i]))
			for _, n := range d.Learners[i] {
				m.on[n] = append(m.on[n], shard)
			}
		}
	}
	return m, nil
}

func (d *Draft) check() error {
	if d.Epoch == 0 {
		return errors.New("epoch is 0, want at least 1")
	}
	nodes, err := d.checkNodes()
	if err != nil {
		return err
	}
	if err := d.checkReplicas(nodes); err != nil {
		return err
	}
	if err := d.checkLearners(nodes); err != nil {
		return err
	}
	if err := d.checkFounders(); err != nil {
		return err
	}
	return d.checkSlots()
}

// checkNodes returns the set of node ids.
func (d *Draft) checkNodes() (map[wire.NodeID]bool, error) {
	if len(d.Nodes) == 0 || len(d.Nodes) > MaxNodes {
		return nil, fmt.Errorf("%d nodes, want 1 to %d", len(d.Nodes), MaxNodes)
	}
	ids := make(map[wire.NodeID]bool, len(d.Nodes))
	for _, n := range d.Nodes {
		if n.ID == 0 {
			return nil, errors.New("a node has id 0, want 1 or more")
		}
		if ids[n.ID] {
			return nil, fmt.Errorf("node %d is listed twice", n.ID)
		}
		ids[n.ID] = true
		if !printable(n.Zone, MaxZone) {
			return nil, fmt.Errorf("zone of node %d: want printable text of at most %d bytes", n.ID, MaxZone)
		}
		if !printable(n.LinkAddr, MaxAddr) || !printable(n.RaftAddr, MaxAddr) {
			return nil, fmt.Errorf("address of node %d: want printable text of at most %d bytes", n.ID, MaxAddr)
		}
	}
	return ids, nil
}

func (d *Draft) checkReplicas(nodes map[wire.NodeID]bool) error {
	if len(d.Replicas) == 0 || len(d.Replicas) > MaxShards {
		return fmt.Errorf("%d shards, want 1 to %d", len(d.Replicas), MaxShards)
	}
	for i, r := range d.Replicas {
		if len(r) == 0 || len(r) > MaxReplicas {
			return fmt.Errorf("shard %d has %d replicas, want 1 to %d", i+1, len(r), MaxReplicas)
		}
		for j, n := range r {
			if !nodes[n] {
				return fmt.Errorf("shard %d has a replica on node %d, which is not listed", i+1, n)
			}
			if slices.Contains(r[:j], n) {
				return fmt.Errorf("shard %d has two replicas on node %d", i+1, n)
			}
		}
	}
	return nil
}

// learning reports whether any shard has a learner.
func (d *Draft) learning() bool {
	return slices.ContainsFunc(d.Learners, func(l []wire.NodeID) bool { return len(l) > 0 })
}

func (d *Draft) checkLearners(nodes map[wire.NodeID]bool) error {
	if d.Learners != nil && len(d.Learners) != len(d.Replicas) {
		return fmt.Errorf("learners of %d shards, want none or those of all %d", len(d.Learners), len(d.Replicas))
	}
	for i, l := range d.Learners {
		if len(l) > MaxReplicas {
			return fmt.Errorf("shard %d has %d learners, want at most %d", i+1, len(l), MaxReplicas)
		}
		for j, n := range l {
			if !nodes[n] {
				return fmt.Errorf("shard %d has a learner on node %d, which is not listed", i+1, n)
			}
			if slices.Contains(l[:j], n) || slices.Contains(d.Replicas[i], n) {
				return fmt.Errorf("shard %d is on node %d twice", i+1, n)
			}
		}
	}
	return nil
}

// moved reports whether any shard's replicas are other nodes than its founders.
func (d *Draft) moved() bool {
	for i := range d.Founders {
		if !slices.Equal(d.Founders[i], slices.Sorted(slices.Values(d.Replicas[i]))) {
			return true
		}
	}
	return false
}

func (d *Draft) checkFounders() error {
	if d.Founders != nil && len(d.Founders) != len(d.Replicas) {
		return fmt.Errorf("founders of %d shards, want none or those of all %d", len(d.Founders), len(d.Replicas))
	}
	for i, f := range d.Founders {
		if len(f) > MaxReplicas {
			return fmt.Errorf("shard %d has %d founders, want at most %d", i+1, len(f), MaxReplicas)
		}
		for j, n := range f {
			if n == 0 || j > 0 && f[j-1] >= n {
				return fmt.Errorf("the founders of shard %d are %v, want ids of nodes, ascending", i+1, f)
			}
		}
	}
	return nil
}

func (d *Draft) checkSlots() error {
	if len(d.Slots) != wire.Slots {
		return fmt.Errorf("%d slots, want %d", len(d.Slots), wire.Slots)
	}
	owned := make([]bool, len(d.Replicas))
	for slot, s := range d.Slots {
		if s == 0 || int(s) > len(owned) {
			return fmt.Errorf("slot %d belongs to shard %d, want 1 to %d", slot, s, len(owned))
		}
		owned[s-1] = true
	}
	if i := slices.Index(owned, false); i >= 0 {
		return fmt.Errorf("shard %d owns no slot", i+1)
	}
	return nil
}

// printable reports whether s is at most max bytes of printable UTF-8.
func printable(s string, max int) bool {
	if len(s) > max || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
