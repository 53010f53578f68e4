package edge

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// router knows who to ask: from the shard map which shard owns a slot, and
// from what cores answered which node leads a shard. What it knows about
// leaders is a hint; a wrong one costs a NotLeader answer. It is safe for
// concurrent use.
type router struct {
	routes atomic.Pointer[routes]
	nodes  atomic.Pointer[map[wire.NodeID]bool] // whose link is up; replaced, never changed
	turn   atomic.Uint32                        // spreads questions to shards without a known leader

	mu struct {
		sync.Mutex
		// lost holds the shards whose leader's link went down: their sessions
		// are known to nobody until they are opened again.
		lost map[wire.ShardID]bool
	}
}

// routes is the shard map with the leader hint of each shard.
type routes struct {
	m       *shardmap.Map
	leaders map[wire.ShardID]*atomic.Uint32 // NodeID, 0 unknown; the map itself is immutable
}

func newRouter(m *shardmap.Map) *router {
	r := &router{}
	r.nodes.Store(&map[wire.NodeID]bool{})
	r.mu.lost = make(map[wire.ShardID]bool)
	r.install(m)
	return r
}

// follow installs every new map until ctx ends. changed is called after each.
func (r *router) follow(ctx context.Context, w *watch.Watcher, changed func(*shardmap.Map)) {
	for {
		var epoch uint64
		if rt := r.routes.Load(); rt != nil {
			epoch = rt.m.Epoch()
		}
		m, err := w.Wait(ctx, epoch)
		if err != nil {
			return
		}
		r.install(m)
		changed(m)
	}
}

// install replaces the map and keeps the hints that still make sense.
func (r *router) install(m *shardmap.Map) {
	if m == nil {
		return
	}
	old := r.routes.Load()
	rt := &routes{m: m, leaders: make(map[wire.ShardID]*atomic.Uint32)}
	for _, shard := range m.Shards() {
		hint := new(atomic.Uint32)
		if old != nil && old.leaders[shard] != nil {
			if was := wire.NodeID(old.leaders[shard].Load()); holds(m.Replicas(shard), was) {
				hint.Store(uint32(was))
			}
		}
		rt.leaders[shard] = hint
	}
	r.routes.Store(rt)
}

func holds(nodes []wire.NodeID, n wire.NodeID) bool {
	for _, node := range nodes {
		if node == n {
			return true
		}
	}
	return false
}

// ready reports whether there is a map.
func (r *router) ready() bool { return r.routes.Load() != nil }

// shard returns the shard that owns slot; ok is false when there is no map
// yet.
func (r *router) shard(slot wire.Slot) (shard wire.ShardID, ok bool) {
	rt := r.routes.Load()
	if rt == nil {
		return 0, false
	}
	shard = rt.m.ShardOf(slot)
	return shard, shard != 0
}

// leader returns whom to ask about shard: the hint, or one replica after the
// other when there is none. It is 0 when the map names nobody.
func (r *router) leader(shard wire.ShardID) wire.NodeID {
	rt := r.routes.Load()
	if rt == nil || rt.leaders[shard] == nil {
		return 0
	}
	if n := rt.leaders[shard].Load(); n != 0 {
		return wire.NodeID(n)
	}
	replicas := rt.m.Replicas(shard)
	if len(replicas) == 0 {
		return 0
	}
	up, turn := *r.nodes.Load(), int(r.turn.Add(1)%(1<<20))
	for i := range replicas {
		if n := replicas[(turn+i)%len(replicas)]; up[n] {
			return n
		}
	}
	return replicas[turn%len(replicas)]
}

// learn notes that node leads shard; 0 forgets what was known.
func (r *router) learn(shard wire.ShardID, node wire.NodeID) {
	rt := r.routes.Load()
	if rt == nil || rt.leaders[shard] == nil {
		return
	}
	if hint := rt.leaders[shard]; hint.Load() != uint32(node) {
		hint.Store(uint32(node))
	}
}

// forget drops the hint that node leads shard, if that is what is known.
func (r *router) forget(shard wire.ShardID, node wire.NodeID) {
	if rt := r.routes.Load(); rt != nil && rt.leaders[shard] != nil {
		rt.leaders[shard].CompareAndSwap(uint32(node), 0)
	}
}

// up notes that node's link is up and returns the shards that have to be
// opened again there: those that lost their leader and have a replica on it.
func (r *router) up(node wire.NodeID) (reopen []wire.ShardID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.setNode(node, true)
	rt := r.routes.Load()
	if rt == nil {
		return nil
	}
	for shard := range r.mu.lost {
		if holds(rt.m.Replicas(shard), node) {
			reopen = append(reopen, shard)
			delete(r.mu.lost, shard)
		}
	}
	return reopen
}

// down notes that node's link is down: nobody is known to lead its shards.
func (r *router) down(node wire.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.setNode(node, false)
	rt := r.routes.Load()
	if rt == nil {
		return
	}
	for shard, hint := range rt.leaders {
		if hint.CompareAndSwap(uint32(node), 0) {
			r.mu.lost[shard] = true
		}
	}
}

// leads notes that node has become leader of shard, by its own word.
func (r *router) leads(shard wire.ShardID, node wire.NodeID) {
	r.learn(shard, node)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.lost, shard)
}

// anyUp reports whether some core's link is up.
func (r *router) anyUp() bool { return len(*r.nodes.Load()) > 0 }

// setNode replaces the set of nodes that are up. mu is held.
func (r *router) setNode(node wire.NodeID, up bool) {
	next := map[wire.NodeID]bool{}
	for n := range *r.nodes.Load() {
		if n != node {
			next[n] = true
		}
	}
	if up {
		next[node] = true
	}
	r.nodes.Store(&next)
}

// note learns from an answer of node about the shard of slot.
func (r *router) note(slot wire.Slot, node wire.NodeID, it *peer.Item) {
	shard, ok := r.shard(slot)
	if !ok {
		return
	}
	switch it.Code {
	case wire.CodeNotLeader:
		if it.Node != 0 && it.Node != node {
			r.learn(shard, it.Node)
		} else {
			r.forget(shard, node)
		}
	case wire.CodeWrongShard:
		r.forget(shard, node) // the watcher brings the new map
	default:
		r.learnFirst(shard, node)
	}
}

// learnFirst notes that node leads shard unless somebody is known to.
func (r *router) learnFirst(shard wire.ShardID, node wire.NodeID) {
	if rt := r.routes.Load(); rt != nil && rt.leaders[shard] != nil && rt.leaders[shard].Load() == 0 {
		rt.leaders[shard].CompareAndSwap(0, uint32(node))
	}
}
