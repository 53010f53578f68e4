package sim

import (
	"slices"
	"time"

	"github.com/godwit-im/godwit/core/fanout"
	"github.com/godwit-im/godwit/core/live"
	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// coreNode is a core node: package core's driver, retold without goroutines.
// Whoever changes the order of what happens there changes it here.
type coreNode struct {
	w    *world
	p    *proc
	disk *disk
	m    *shardmap.Map

	reps  []*replica // by shard
	peers map[wire.NodeID]bool
	hints map[wire.ShardID]wire.NodeID
}

// As core/limits.go has them.
const (
	entryItems   = 8192
	doneLimit    = 4096
	laneBatch    = 1 << 20
	touchMembers = 32
	memberPage   = 1024
	changesPage  = 1000

	unsettledFor     = 40 * ms
	tickEvery        = 50 * ms
	lingerFor        = 5 * ms
	proposeTimeout   = 3 * time.Second
	readIndexTimeout = 1500 * ms
	readIndexAgain   = 5 * ms
	ackWithin        = 5
	lookEvery        = 1000
	expireEvery      = 600_000
	expireRows       = 2000

	// Smaller than core's, so that logs are trimmed and followers that were
	// away get snapshots within minutes.
	trimEvery   = 400
	keepEntries = 50
)

// replica is one shard on a core node.
type replica struct {
	c    *coreNode
	id   wire.ShardID
	run  uint64
	raft *raft
	sm   *machine

	leads    bool
	leader   wire.NodeID
	leaderAt time.Duration // when what Raft says of the leader arrives

	prop    proposer
	live    *live.Table
	fan     *fanout.Table
	led     uint64 // leaderships begun
	ends    uint64 // leaderships begun or ended
	looked  bool
	looking bool
	lookAt  int64

	reading  readQueue
	expireAt int64
	sinceCut uint64 // entries applied since the log was trimmed
	trimming bool
}

func (c *coreNode) process() *proc { return c.p }

// start brings the node up from its disk.
func (c *coreNode) start() {
	c.p.up = true
	c.reps, c.peers, c.hints = nil, map[wire.NodeID]bool{}, map[wire.ShardID]wire.NodeID{}
	c.follow(c.w.m)
	c.tick(1)
	c.w.net.born(c.p.id)
}

// follow starts the replicas that m places here and that do not run yet, and
// ends those that it does not any more.
func (c *coreNode) follow(m *shardmap.Map) {
	c.m = m
	for _, id := range m.ShardsOn(c.p.id) {
		if c.replica(id) == nil {
			c.reps = append(c.reps, newReplica(c, id))
		}
	}
	slices.SortFunc(c.reps, func(a, b *replica) int { return int(a.id) - int(b.id) })
}

func (c *coreNode) replica(id wire.ShardID) *replica {
	for _, r := range c.reps {
		if r.id == id {
			return r
		}
	}
	return nil
}

func newReplica(c *coreNode, id wire.ShardID) *replica {
	shelf := c.disk.shelf(id)
	r := &replica{c: c, id: id, run: c.w.e.rnd.Uint64(), live: live.New(), fan: fanout.New(id, fanout.MaxChats)}
	r.sm = &machine{r: r, shard: shard.New(id), store: shelf.store, index: shelf.store.applied}
	r.sm.tape.digest = shelf.store.digest
	r.prop.filling = new(entry)
	if shelf.store.applied+1 < shelf.log.first {
		c.w.fault("hole: shard %d on node %d has applied %d, its log begins at %d", id, c.p.id, shelf.store.applied, shelf.log.first)
		shelf.store.applied = shelf.log.first - 1 // not to stumble over it before the run ends
		r.sm.index = shelf.store.applied
	}
	if shelf.log.first == 0 {
		shelf.log = raftLog{first: 1, conf: members{voters: slices.Clone(c.m.Replicas(id))}}
		if c.m.Epoch() > 1 {
			shelf.log.conf = members{} // the group says who it is
		}
	}
	r.raft = &raft{e: c.w.e, p: c.p, net: c.w.net, disk: c.disk, log: &shelf.log, self: c.p.id, out: r,
		unsynced: c.w.plant == ackBeforeSync}
	r.raft.send = func(to wire.NodeID, m *rmsg) {
		m.from = c.p.id
		c.w.net.datagram(c.p.id, to, func() {
			if o := c.w.core(to).replica(id); o != nil {
				o.raft.step(m)
			}
		})
	}
	r.raft.start()
	return r
}

// leaderIs takes what Raft says about the leader, a little later.
func (r *replica) leaderIs(id wire.NodeID) {
	e := r.c.w.e
	r.leaderAt = max(r.leaderAt, e.now+e.between(10*us, 1500*us)) + 1
	r.c.p.after(r.leaderAt-e.now, func() {
		r.leader = id
		if id == r.c.p.id {
			r.begin()
			return
		}
		if r.leads {
			r.leads = false
			r.end()
		}
	})
}

// begin begins a leadership.
func (r *replica) begin() {
	r.live.Clear()
	r.fan.Clear(r.c.w.e.rnd.Uint32())
	r.led++
	r.ends++
	r.looked, r.looking, r.lookAt = false, false, 0
	r.expireAt = r.c.p.mono() + expireEvery
	r.leads = true
	r.c.w.figures.elections++
	r.c.w.note(record{kind: "leads", node: r.c.p.id, shard: r.id})
	t := r.c.turn()
	for _, id := range r.c.edges() {
		t.add(id, &peer.Item{Op: peer.OpReopen, Shard: r.id})
	}
	t.flush()
	r.look()
}

// end ends a leadership.
func (r *replica) end() {
	t := r.c.turn()
	e := r.take()
	opens, reads := r.reading.opens, r.reading.reads
	r.reading.opens, r.reading.reads = nil, nil
	r.ends++
	r.live.Clear()
	r.fan.Clear(r.c.w.e.rnd.Uint32())
	r.looked = false
	if e != nil {
		r.isOver(e.number)
	}
	for i := range opens {
		t.refuse(opens[i].from, peer.OpOpen, opens[i].req, wire.CodeNotLeader, r.leader)
	}
	r.refuseReads(reads, t)
	if e != nil {
		r.refuseAll(e, wire.CodeNotLeader, t)
	}
	t.flush()
}

// absence says why the replica serves nobody, or OK.
func (r *replica) absence() wire.Code {
	if !r.leads {
		return wire.CodeNotLeader
	}
	return wire.OK
}

func (r *replica) unreadable() wire.Code {
	if code := r.absence(); code != wire.OK {
		return code
	}
	return wire.CodeUnavailable
}

// tick is core's ticks.
func (c *coreNode) tick(i int64) {
	c.p.after(tickEvery, func() { c.tick(i + 1) })
	for _, r := range c.reps {
		r.tick(i)
	}
}

func (r *replica) tick(i int64) {
	if r.sm.dirty && r.c.w.e.now-r.sm.settled >= unsettledFor {
		r.sm.commit()
	}
	r.trim()
	if !r.leads {
		return
	}
	r.sendLanes()
	if r.fan.HasDone() && r.prop.flight == nil {
		r.hurry()
	}
	if i%20 == 0 {
		r.resyncLate()
		r.look()
		r.expire()
		r.prefer()
		r.govern()
	}
}

// trim syncs the store and drops the log before it, when that is long.
func (r *replica) trim() {
	if r.trimming || r.sinceCut < trimEvery {
		return
	}
	r.trimming, r.sinceCut = true, 0
	r.sm.settle()
	index := r.sm.index
	if r.c.w.plant == trimBeforeSync {
		r.raft.log.trim(index)
	}
	r.c.disk.sync(r.c.p, func() {
		r.trimming = false
		if r.c.w.plant == trimBeforeSync {
			return
		}
		r.sm.store.sync(min(index, r.sm.store.applied))
		if index > keepEntries {
			r.raft.log.trim(index - keepEntries)
		}
	})
}

// prefer gives the leadership to the replica that the map prefers.
func (r *replica) prefer() {
	if nodes := r.c.m.Replicas(r.id); len(nodes) > 0 && nodes[0] != r.c.p.id && r.c.w.e.chance(0.01) {
		r.raft.transfer(nodes[0])
	}
}

func (c *coreNode) isCore(id wire.NodeID) bool { return c.w.core(id) != nil }

// edges returns the edges that are connected, in order.
func (c *coreNode) edges() (ids []wire.NodeID) {
	for id := range c.peers {
		if !c.isCore(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// peerUp implements endpoint.
func (c *coreNode) peerUp(id wire.NodeID) {
	c.peers[id] = true
	if c.isCore(id) {
		return
	}
	t := c.turn()
	for _, r := range c.reps {
		if r.leads {
			t.add(id, &peer.Item{Op: peer.OpReopen, Shard: r.id})
		}
	}
	t.flush()
}

// peerDown implements endpoint.
func (c *coreNode) peerDown(id wire.NodeID) {
	delete(c.peers, id)
	if c.isCore(id) {
		return
	}
	for _, r := range c.reps {
		r.live.CloseEdge(id)
	}
}
