package fleet

import (
	"cmp"
	"slices"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// Node returns a node by id, and whether there is one.
func (s *State) Node(id wire.NodeID) (Node, bool) {
	if i := s.find(id); i >= 0 {
		return s.Nodes[i], true
	}
	return Node{}, false
}

// Named returns the node of a name, and whether there is one. A node that
// another replaces has lost its name to that one.
func (s *State) Named(name string) (Node, bool) {
	for _, n := range s.Nodes {
		if n.Name == name && s.replacedBy(n.ID) == 0 {
			return n, true
		}
	}
	return Node{}, false
}

// Epoch returns the epoch of the map, 0 when there is none.
func (s *State) Epoch() uint64 {
	if s.Map == nil {
		return 0
	}
	return s.Map.Epoch()
}

// find returns the index of node id, or -1.
func (s *State) find(id wire.NodeID) int {
	i, ok := slices.BinarySearchFunc(s.Nodes, id, func(n Node, id wire.NodeID) int { return cmp.Compare(n.ID, id) })
	if !ok {
		return -1
	}
	return i
}

// replacedBy returns the node that replaces id, or 0.
func (s *State) replacedBy(id wire.NodeID) wire.NodeID {
	for _, n := range s.Nodes {
		if n.Replaces == id {
			return n.ID
		}
	}
	return 0
}

// stays reports whether n is a core that shards may be on in the long run.
func stays(n Node) bool { return n.Role == Core && n.Wish != Leave }

// desired returns the cores that shards may be on in the long run.
func (s *State) desired() (nodes []shardmap.Node) {
	for _, n := range s.Nodes {
		if stays(n) {
			nodes = append(nodes, mapNode(n))
		}
	}
	return nodes
}

// staying reports whether id is among the desired.
func (s *State) staying(id wire.NodeID) bool {
	n, ok := s.Node(id)
	return ok && stays(n)
}

// holds returns the shards that the map has on node id.
func (s *State) holds(id wire.NodeID) []wire.ShardID {
	if s.Map == nil {
		return nil
	}
	return s.Map.ShardsOn(id)
}

// moving reports whether a move of the plan concerns node id.
func (s *State) moving(id wire.NodeID) bool {
	return s.Plan != nil && slices.ContainsFunc(s.Plan.Moves, func(mv place.Move) bool { return mv.From == id || mv.To == id })
}

// shouldNotLead returns the nodes that lead only what nobody else can: those
// that are drained or leave.
func (s *State) shouldNotLead() func(wire.NodeID) bool {
	var ids []wire.NodeID
	for _, n := range s.Nodes {
		if n.Wish != Serve {
			ids = append(ids, n.ID)
		}
	}
	return func(id wire.NodeID) bool { return slices.Contains(ids, id) }
}

// mapNode is n as the map names it.
func mapNode(n Node) shardmap.Node {
	return shardmap.Node{ID: n.ID, Zone: n.Zone, LinkAddr: n.Addrs.Link, RaftAddr: n.Addrs.Raft}
}
