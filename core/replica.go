package core

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"
	"github.com/lni/dragonboat/v4/config"
	sm "github.com/lni/dragonboat/v4/statemachine"

	"github.com/godwit-im/godwit/core/fanout"
	"github.com/godwit-im/godwit/core/live"
	"github.com/godwit-im/godwit/core/store"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// replica is one shard on this node: its Raft group, and what its leader does.
type replica struct {
	// Set at start.
	node    *Node
	id      wire.ShardID
	hold    store.Hold // its place in the Raft group
	run     uint64     // names this life of the replica in its proposals
	solo    bool       // it has no other replicas, and there is nowhere to have them
	machine *machine
	session *client.Session
	kick    chan struct{}
	opens   chan struct{} // says that sessions wait to be opened
	asks    chan struct{} // says that reads wait for a quorum
	// linger kicks for items that are not urgent.
	linger *time.Timer

	// Owned by the apply goroutine; see memberReader.
	members memberReader

	leads   atomic.Bool            // leader, by the last that Raft said
	leader  atomic.Uint32          // its node, 0 when not known
	term    atomic.Uint64          // of that leader
	lonely  atomic.Int64           // since when no leader is known, in Node.millis; 0: one is
	failed  atomic.Bool            // the store failed; never taken back
	why     atomic.Pointer[string] // it failed
	whole   atomic.Bool            // it has everything and is alone; never taken back. See read
	removed atomic.Bool            // Raft has removed it for good

	gone chan struct{}  // closed by halt
	wg   sync.WaitGroup // its goroutines
	gov  governor

	mu struct {
		sync.Mutex
		filling *entry // what waits for the next proposal
		flight  *entry // what was proposed and has not been applied; nil none
		spare   *entry
		number  uint64        // of the last proposal
		over    uint64        // the last proposal that was applied or given up
		lingers bool          // linger runs
		hurry   bool          // what waits is to go as soon as nothing is in flight
		turned  chan struct{} // closed when over rises; nil when nobody waits

		live    *live.Table
		fan     *fanout.Table
		sending bool   // somebody is in sendLanes
		led     uint64 // leaderships begun
		looked  bool   // this leadership has looked through the outbox once
		looking bool   // a look is under way
		lookAt  int64

		opens  []open        // that wait for a read index
		reads  []job         // likewise
		behind bool          // one of them is to be behind what was taken
		ended  chan struct{} // closed when this leadership ends; nil when not leading

		expireAt int64
	}
}

// entry is a Raft entry in the making, and who asked for its items.
type entry struct {
	number uint64
	buf    []byte
	asked  []asked // one per item
}

// asked is who asked for one item of an entry. node is 0 when nobody did.
type asked struct {
	node wire.NodeID
	op   peer.Op
	req  uint64
}

// newReplica makes the replica that h says. single: the map has no other of its
// shard.
func newReplica(n *Node, h store.Hold, single bool) *replica {
	id := h.Shard
	r := &replica{
		node: n, id: id, hold: h, run: rand.Uint64(), solo: single && n.cfg.RaftAddr == "", gone: make(chan struct{}),
		kick: make(chan struct{}, 1), opens: make(chan struct{}, 1), asks: make(chan struct{}, 1),
	}
	r.linger = time.AfterFunc(time.Hour, r.hurry)
	r.linger.Stop()
	r.gov.init()
	r.lonely.Store(n.millis())
	r.machine = &machine{r: r, checked: make(chan struct{})}
	r.members = memberReader{node: n, settle: r.machine.settle, view: n.store.NewView(id)}
	r.mu.filling, r.mu.spare = new(entry), new(entry)
	r.mu.live = live.New()
	r.mu.fan = fanout.New(id, fanout.MaxChats)
	return r
}

// start has the replica take part in its Raft group. founders are the nodes that
// begin the group, of whom this is one unless the replica was added.
func (r *replica) start(founders []wire.NodeID) error {
	n, shardID, number := r.node, uint64(r.id), r.hold.Replica
	var known bool
	if err := n.guarded(func() error { known = n.host.HasNodeInfo(shardID, number); return nil }); err != nil {
		r.failed.Store(true)
		return err
	}
	if !known && r.hold.State == store.Holding {
		return r.logLost()
	}
	var members map[uint64]dragonboat.Target
	if !known && !r.hold.Joined {
		members = make(map[uint64]dragonboat.Target, len(founders))
		for _, id := range founders {
			members[uint64(id)] = target(id, 0)
		}
	}
	err := n.guarded(func() error {
		if err := r.join(members, r.config(r.hold.Joined)); err != nil {
			return err
		}
		if r.hold.Joined {
			if err := r.rejoin(); err != nil {
				return err
			}
		}
		return r.checkLog()
	})
	if err == nil && r.hold.State == store.Beginning {
		r.hold.State = store.Holding
		err = n.store.SetHold(r.hold)
	}
	if err != nil {
		r.failed.Store(true)
		stop := n.guarded(func() error { return n.host.StopShard(shardID) })
		if !errors.Is(stop, dragonboat.ErrShardNotFound) {
			err = errors.Join(err, stop)
		}
		return err
	}
	close(r.machine.checked)
	r.session = n.host.GetNoOPSession(shardID)
	r.wg.Go(r.propose)
	r.wg.Go(r.answerOpens)
	r.wg.Go(r.confirmReads)
	if n.cfg.RaftAddr != "" {
		r.wg.Go(r.govern)
	}
	return nil
}

// logLost says that the Raft log of a replica that took part is not there.
func (r *replica) logLost() error {
	r.failed.Store(true)
	applied, err := r.node.store.Applied(r.id)
	switch {
	case err != nil:
		return err
	case applied > 0:
		return &LogLostError{Shard: r.id, Applied: applied, Dir: r.node.raftDir(), Solo: r.single()}
	}
	return &ReplicaLostError{Shard: r.id, Node: r.node.cfg.Node, Dir: r.node.cfg.Dir}
}

// config is what dragonboat is told of the replica. Changes of the membership
// are ordered: one that was asked for before another was made is refused.
func (r *replica) config(learns bool) config.Config {
	c := config.Config{
		ShardID: uint64(r.id), ReplicaID: r.hold.Replica,
		CheckQuorum: true, PreVote: true,
		ElectionRTT: election, HeartbeatRTT: heartbeat,
		MaxInMemLogSize:     inMemLog,
		OrderedConfigChange: true,
		IsNonVoting:         learns,
	}
	if r.solo {
		c.ElectionRTT, c.HeartbeatRTT = soloElection, soloHeartbeat
	}
	return c
}

// rejoin starts a replica that was added to its group once more, as a voter,
// when it has become one and its last snapshot says so. Started as a learner,
// dragonboat would never let it vote; started as a voter, it would not read a
// log that begins with the replica as a learner.
func (r *replica) rejoin() error {
	log, err := r.node.host.GetLogReader(uint64(r.id))
	if err != nil {
		return fmt.Errorf("core: reading the Raft log of shard %d: %w", r.id, err)
	}
	_, members := log.NodeState()
	if _, votes := members.Addresses[r.hold.Replica]; !votes {
		return nil
	}
	if err := r.node.host.StopShard(uint64(r.id)); err != nil {
		return err
	}
	for end := time.Now().Add(unloadTimeout); ; {
		err := r.join(nil, r.config(false))
		if !errors.Is(err, dragonboat.ErrShardAlreadyExist) || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(readyPoll): // it is still being unloaded
		case <-r.node.stop:
			return err
		}
	}
}

// join hands the replica to dragonboat.
func (r *replica) join(members map[uint64]dragonboat.Target, c config.Config) error {
	create := func(uint64, uint64) sm.IOnDiskStateMachine { return r.machine }
	return r.node.host.StartOnDiskReplica(members, r.hold.Joined, create, c)
}

// checkLog compares the Raft log with the store, before Raft takes part. A log
// that ends before what the store has applied has lost entries that were
// acknowledged: the next ones would get numbers that the store believes to
// have, and vanish.
func (r *replica) checkLog() error {
	applied, err := r.node.store.Applied(r.id)
	if err != nil {
		return err
	}
	log, err := r.node.host.GetLogReader(uint64(r.id))
	if err != nil {
		return fmt.Errorf("core: reading the Raft log of shard %d: %w", r.id, err)
	}
	if _, last := log.GetRange(); last < applied {
		return &LogLostError{Shard: r.id, Last: last, Applied: applied, Dir: r.node.raftDir(), Solo: r.single()}
	}
	return nil
}

// halt stops a replica for good and waits for what it started. dragonboat lets
// go of it a moment later.
func (r *replica) halt() {
	r.leads.Store(false)
	close(r.gone)
	if err := r.node.host.StopShard(uint64(r.id)); err != nil && !errors.Is(err, dragonboat.ErrShardNotFound) {
		r.node.log.Debug("core: stopping a shard", "shard", r.id, "err", err)
	}
	r.end()
	r.wg.Wait()
	r.free()
}

// stranded reports whether no leader was known for a while.
func (r *replica) stranded(now time.Time) bool {
	since := r.lonely.Load()
	return since != 0 && now.Sub(r.node.started).Milliseconds()-since > strandedFor.Milliseconds()
}

// free gives back what the replica holds, after everything has stopped.
func (r *replica) free() {
	r.linger.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.live.Clear()
}

// fail takes the replica out of service because its store or its log cannot be
// used. The process lives on, and so does what the store can still be read for.
func (r *replica) fail(err error) {
	if r.failed.Swap(true) {
		return
	}
	why := err.Error()
	r.why.Store(&why)
	r.leads.Store(false)
	r.leader.CompareAndSwap(uint32(r.node.cfg.Node), 0) // who asks here is not sent here
	r.node.c.failures.Add(1)
	if !errors.Is(err, store.ErrFailed) { // then another replica has said it
		r.node.log.Error("core: a shard stops on this node; free space or replace the disk, then restart the process",
			"shard", r.id, "err", err)
	}
	// From another goroutine: dragonboat waits for the one that is in Update.
	r.node.wg.Go(func() {
		err := r.node.host.StopShard(uint64(r.id))
		if err != nil && !errors.Is(err, dragonboat.ErrClosed) {
			r.node.log.Debug("core: stopping a failed shard", "shard", r.id, "err", err)
		}
		r.end()
	})
}

// leaderIs takes what Raft says about the leader.
func (r *replica) leaderIs(id wire.NodeID) {
	if id == r.node.cfg.Node && r.failed.Load() {
		id = 0
	}
	r.leader.Store(uint32(id))
	if id != 0 {
		r.lonely.Store(0)
	} else {
		r.lonely.CompareAndSwap(0, r.node.millis())
	}
	if id == r.node.cfg.Node {
		r.begin()
		return
	}
	if r.leads.Swap(false) {
		r.end()
	}
}

// begin begins a leadership: nothing of an earlier one is believed, the outbox
// is looked through and the edges are asked who is there.
func (r *replica) begin() {
	r.mu.Lock()
	r.mu.live.Clear()
	r.mu.fan.Clear(rand.Uint32())
	r.mu.led++
	if r.mu.ended != nil {
		close(r.mu.ended) // elected anew
	}
	r.mu.ended = make(chan struct{})
	r.mu.looked, r.mu.looking, r.mu.lookAt = false, false, 0
	r.mu.expireAt = r.node.millis() + expireEvery.Milliseconds()
	r.leads.Store(true)
	r.mu.Unlock()
	r.node.log.Debug("core: leads a shard", "shard", r.id)
	r.node.c.elected.Add(1)
	r.reopen()
	r.look()
}

// end ends a leadership. What waits is answered; what is in flight will be.
func (r *replica) end() {
	t := r.node.turn()
	r.mu.Lock()
	e := r.take()
	opens, reads := r.mu.opens, r.mu.reads
	r.mu.opens, r.mu.reads = nil, nil
	if r.mu.ended != nil {
		close(r.mu.ended)
		r.mu.ended = nil
	}
	r.mu.live.Clear()
	r.mu.fan.Clear(rand.Uint32())
	r.mu.looked = false
	if e != nil {
		r.isOver(e.number)
	}
	r.mu.Unlock()
	for _, o := range opens {
		t.refuse(o.from, peer.OpOpen, o.req, wire.CodeNotLeader, r.leaderNode())
	}
	r.refuseReads(reads, t)
	if e != nil {
		r.refuseAll(e, wire.CodeNotLeader, t)
	}
	r.node.flush(t)
}

func (r *replica) leaderNode() wire.NodeID { return wire.NodeID(r.leader.Load()) }

// settled reports whether the replica is as far as Ready wants it: it follows
// a leader, or leads and has looked through the outbox.
func (r *replica) settled() bool {
	if !r.leads.Load() {
		return r.leader.Load() != 0 && r.leaderNode() != r.node.cfg.Node
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.looked
}

// reopen asks every edge for its sessions in this shard.
func (r *replica) reopen() {
	if !r.leads.Load() {
		return
	}
	t := r.node.turn()
	for _, id := range r.node.edges() {
		t.add(id, &peer.Item{Op: peer.OpReopen, Shard: r.id})
	}
	r.node.flush(t)
}

// ticks runs what is due until the node closes.
func (n *Node) ticks() {
	tk := time.NewTicker(tick)
	defer tk.Stop()
	for i := int64(1); ; i++ {
		select {
		case <-tk.C:
		case <-n.stop:
			return
		}
		for _, r := range n.all() {
			r.tick(i)
		}
		if i%int64(spaceEvery/tick) == 0 {
			n.checkSpace()
		}
	}
}

// syncTails keeps the store on the disk close behind what was acknowledged, so
// that checkLog notices a log that lost its end.
func (n *Node) syncTails() {
	tk := time.NewTicker(tailEvery)
	defer tk.Stop()
	for {
		select {
		case <-tk.C:
		case <-n.stop:
			return
		}
		err := n.store.SyncTail()
		if err == nil && n.store.Failed() {
			err = store.ErrFailed // it has been said
		}
		if err != nil {
			for _, r := range n.all() {
				r.fail(err)
				err = store.ErrFailed // the first has said it
			}
			return
		}
	}
}

// tick does what is due: lanes that wait, sessions that owe, the outbox, the
// log's length.
func (r *replica) tick(i int64) {
	if r.failed.Load() {
		return
	}
	if err := r.machine.settleOld(); err != nil {
		r.fail(err)
		return
	}
	r.trimLog()
	if !r.leads.Load() {
		return
	}
	r.sendLanes()
	r.mu.Lock()
	wants := r.mu.fan.HasDone() && r.mu.flight == nil
	r.mu.Unlock()
	if wants {
		r.hurry()
	}
	if i%int64(time.Second/tick) == 0 {
		r.resyncLate()
		r.look()
		r.expire()
	}
}

// trimLog asks for a snapshot when enough was applied since the last: the
// store is synced and the log before it removed.
func (r *replica) trimLog() {
	if r.machine.pending.Load() < snapshotBytes && r.machine.entries.Load() < snapshotEvery {
		return
	}
	keep := min(uint64(r.machine.entries.Load())/4, keepEntries)
	r.machine.pending.Store(0)
	r.machine.entries.Store(0)
	rs, err := r.node.host.RequestSnapshot(uint64(r.id),
		dragonboat.SnapshotOption{OverrideCompactionOverhead: true, CompactionOverhead: max(keep, 1)}, proposeTimeout)
	if err != nil {
		r.node.log.Debug("core: no snapshot now", "shard", r.id, "err", err)
		return
	}
	r.node.wg.Go(func() {
		<-rs.ResultC()
		rs.Release()
	})
}

// ackTicks is the clock of the unacknowledged guard: seconds.
func (n *Node) ackTicks() uint32 { return uint32(n.millis() / 1000) }
