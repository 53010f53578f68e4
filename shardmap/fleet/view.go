package fleet

import (
	"slices"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
)

// view is what one Step sees.
type view struct {
	s       *State
	r       Reports
	now     wire.Millis
	leaders map[wire.ShardID]leader
	seen    map[replicaKey]ShardReport // of live nodes
}

type replicaKey struct {
	node  wire.NodeID
	shard wire.ShardID
}

// leader is the newest leader of a shard that is alive.
type leader struct {
	node   wire.NodeID
	epoch  uint64 // of the map it works with
	at     wire.Millis
	report ShardReport
}

func newView(s *State, r Reports, now wire.Millis) *view {
	v := &view{s: s, r: r, now: now, leaders: make(map[wire.ShardID]leader), seen: make(map[replicaKey]ShardReport)}
	for _, n := range s.Nodes {
		if !r.Alive(n.ID, now) {
			continue
		}
		seen := r[n.ID]
		for _, rep := range seen.Report.Shards {
			v.seen[replicaKey{n.ID, rep.Shard}] = rep
			// One that was cut off may still believe that it leads, with an
			// older term.
			if old, ok := v.leaders[rep.Shard]; rep.Leads && (!ok || rep.Term > old.report.Term) {
				v.leaders[rep.Shard] = leader{node: n.ID, epoch: seen.Report.Epoch, at: seen.At, report: rep}
			}
		}
	}
	return v
}

// replica returns what a live node reports of its replica of shard.
func (v *view) replica(node wire.NodeID, shard wire.ShardID) (ShardReport, bool) {
	rep, ok := v.seen[replicaKey{node, shard}]
	return rep, ok
}

// settled reports whether a leader has the membership that the map wants.
func (v *view) settled(shard wire.ShardID) bool {
	l, ok := v.leaders[shard]
	return ok && same(l.report.Voters, v.s.Map.Replicas(shard)) && same(l.report.Learners, v.s.Map.Learners(shard))
}

// same reports whether a and b, of distinct nodes, are the same set.
func same(a, b []wire.NodeID) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(id wire.NodeID) bool { return !slices.Contains(b, id) })
}

// caughtUp reports whether the learner of mv may get its vote. Both its report
// and the leader's are of the current map, so that none is left over from an
// attempt before this one. And it has applied that it is a learner: an empty
// replica of a short log is not behind by much.
func (v *view) caughtUp(shard wire.ShardID, to wire.NodeID) bool {
	l, ok := v.leaders[shard]
	rep, has := v.replica(to, shard)
	if !ok || !has || !v.settled(shard) {
		return false
	}
	seen := v.r[to]
	if l.epoch < v.s.Epoch() || seen.Report.Epoch < v.s.Epoch() || rep.Applied == 0 || rep.Applied < l.report.Config {
		return false
	}
	if rep.Applied >= l.report.Applied {
		return true
	}
	return l.report.Applied-rep.Applied <= MaxLag && age(seen, v.now) <= FreshFor && v.now-min(v.now, l.at) <= FreshFor
}

// majority reports whether a majority of the shard's replicas, with plus and
// without minus, is alive and in service.
func (v *view) majority(shard wire.ShardID, plus, minus wire.NodeID) bool {
	all, live := 0, 0
	for _, id := range append(slices.Clone(v.s.Map.Replicas(shard)), plus) {
		if id == 0 || id == minus {
			continue
		}
		all++
		if v.serves(id, shard) {
			live++
		}
	}
	return live >= all/2+1
}

// change is the command that makes the next map of the current one. Every next
// map also takes over the nodes as they are now. It is false when nothing
// differs.
func (v *view) change(why string, edit func(*shardmap.Draft)) (Command, bool) {
	d := v.s.Map.Draft()
	if len(d.Learners) == 0 {
		d.Learners = make([][]wire.NodeID, len(d.Replicas))
	}
	edit(&d)
	v.forgetFounders(&d)
	d.Nodes = v.nodes(&d)
	m, err := shardmap.New(d)
	if err != nil {
		return Command{}, false // a core node that cannot be in a map was refused when it joined
	}
	if shardmap.Diff(v.s.Map, m).Empty() && sameFill(v.s.Map, m) {
		return Command{}, false
	}
	return Command{Kind: SetMap, Why: why, Map: m.Encode()}, true
}

// sameFill reports whether a and b agree on what shardmap.Diff does not show.
func sameFill(a, b *shardmap.Map) bool {
	for _, s := range b.Shards() {
		if !slices.Equal(a.Learners(s), b.Learners(s)) || !slices.Equal(a.Founders(s), b.Founders(s)) ||
			!slices.Equal(a.Replicas(s), b.Replicas(s)) {
			return false
		}
	}
	return true
}

// free reports whether no Raft group counts on node id any more: no move takes
// a replica off it or to it, and every shard has a leader that does not name it.
// Until then it has to run, and the others have to find it, because its vote may
// be needed to vote it out.
func (v *view) free(id wire.NodeID) bool {
	if v.s.moving(id) {
		return false
	}
	for _, shard := range v.s.Map.Shards() {
		l, ok := v.leaders[shard]
		if !ok || slices.Contains(l.report.Voters, id) || slices.Contains(l.report.Learners, id) {
			return false
		}
	}
	return true
}

// nodes returns the nodes of the next map: the cores that stay, and those that
// leave and are not free to go, unless they never were in a map.
func (v *view) nodes(d *shardmap.Draft) (nodes []shardmap.Node) {
	used := make(map[wire.NodeID]bool)
	for i := range d.Replicas {
		for _, id := range d.Replicas[i] {
			used[id] = true
		}
		for _, id := range d.Learners[i] {
			used[id] = true
		}
	}
	for _, n := range v.s.Nodes {
		_, had := v.s.Map.Node(n.ID)
		if n.Role == Core && (n.Wish != Leave || used[n.ID] || had && !v.free(n.ID)) {
			nodes = append(nodes, mapNode(n))
		}
	}
	return nodes
}

// forgetFounders notes of every shard that its group has begun on all nodes
// where it was to begin, when they all say so. From then on none of them may
// begin it again, which one could do that has lost its data.
func (v *view) forgetFounders(d *shardmap.Draft) {
	for i, founders := range d.Founders {
		shard := wire.ShardID(i + 1)
		if len(founders) > 0 && v.begun(shard, founders) {
			d.Founders[i] = nil
		}
	}
}

// begun reports whether all of the nodes have a replica that has applied
// something.
func (v *view) begun(shard wire.ShardID, nodes []wire.NodeID) bool {
	for _, id := range nodes {
		if rep, ok := v.replica(id, shard); !ok || rep.Applied == 0 {
			return false
		}
	}
	return true
}
