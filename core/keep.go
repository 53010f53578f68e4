package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/godwit-im/godwit/core/fanout"
	"github.com/godwit-im/godwit/core/store"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// keeper sees to it that this node runs the replicas that it should: it starts
// what the map places here, asks for a seat where a group has begun without
// this node, and takes away what Raft has removed. It belongs to one goroutine.
//
// A replica is only taken away when Raft has removed its number for good, not
// because the map does not mention it: until then the group may need its vote.
type keeper struct {
	n        *Node
	m        *shardmap.Map
	asks     map[wire.ShardID]*asking
	drops    map[wire.ShardID]store.Hold // of replicas that have stopped and whose data is there
	gone     map[wire.ShardID]uint64     // the numbers of replicas that were dropped
	measured time.Time
	next     wire.ShardID // to be measured
	helloAt  time.Time
}

// asking is whom a question about a shard goes to.
type asking struct {
	hint     wire.NodeID // who leads, as the last that was asked said; 0 not known
	answered bool        // since the last question
	turn     int         // in the list of those who may know
}

// ReplicaLostError says that this node has a vote in a shard's group and not
// the data that goes with it.
type ReplicaLostError struct {
	Shard wire.ShardID
	Node  wire.NodeID
	Dir   string
}

// Error names the shard, the node, the directory and what to do.
func (e *ReplicaLostError) Error() string {
	return fmt.Sprintf("core: node %d has a vote in shard %d, but %s has no Raft log of it: the disk was wiped or replaced, and what the node had promised is forgotten; "+
		"take the node out of the fleet and let this directory join under a new id (start it with --replace), or restore the directory from a backup",
		e.Node, e.Shard, e.Dir)
}

// open starts what the directory and the map say, before Raft hears of anything
// else. An error keeps the node from starting.
func (k *keeper) open() error {
	n := k.n
	holds, err := n.store.Holds()
	if err != nil {
		return err
	}
	if err := k.checkStore(holds); err != nil {
		return err
	}
	for _, h := range holds {
		switch h.State {
		case store.Dropping:
			k.drops[h.Shard] = h
			continue
		case store.Gone:
			k.gone[h.Shard] = h.Replica
			continue
		}
		if err := k.start(h, k.m.Founders(h.Shard)); err != nil {
			return err
		}
	}
	for id := range k.drops {
		if err := k.finishDrop(id); err != nil {
			return err
		}
	}
	return k.follow(true)
}

// checkStore refuses a directory whose Raft logs are there and whose rows are
// not, now and whenever it is opened again.
func (k *keeper) checkStore(holds []store.Hold) error {
	lost := slices.ContainsFunc(holds, func(h store.Hold) bool { return h.State == store.RowsLost })
	if k.n.store.Fresh() {
		if info := k.n.host.GetNodeHostInfo(dragonboat.NodeHostInfoOption{}); info != nil {
			for _, l := range info.LogInfo {
				lost = true
				if err := k.n.store.SetHold(store.Hold{Shard: wire.ShardID(l.ShardID), Replica: l.ReplicaID, State: store.RowsLost}); err != nil {
					return err
				}
			}
		}
	}
	if !lost {
		return nil
	}
	return fmt.Errorf("core: %s has Raft logs, and the store that belongs to them was removed; restore the whole data directory from a backup, or remove it and let the node join under a new id (start it with --replace)", k.n.raftDir())
}

// follow starts what the map places here and does not run. While the node
// opens, a replica that cannot start is an error; later it is said once and
// reported.
func (k *keeper) follow(opening bool) error {
	for _, id := range k.m.ShardsOn(k.n.cfg.Node) {
		_, dropping := k.drops[id]
		if k.n.replica(id) != nil || dropping {
			continue
		}
		if !fanout.Fits(id) {
			return fmt.Errorf("core: shard number %d is over 65535", id)
		}
		if err := k.begin(id, opening); err != nil {
			if opening {
				return err
			}
			k.lose(id, err)
		}
	}
	return nil
}

// begin starts a replica that the directory knows nothing of: as one of those
// that begin the group, or it asks the group for a seat.
func (k *keeper) begin(id wire.ShardID, opening bool) error {
	n := k.n
	h := store.Hold{Shard: id, Replica: uint64(n.cfg.Node), State: store.Beginning}
	founders, votes := k.m.Founders(id), slices.Contains(k.m.Replicas(id), n.cfg.Node)
	_, gone := k.gone[id]
	switch {
	case gone:
		k.asking(id)
		return nil
	case n.host.HasNodeInfo(uint64(id), h.Replica): // from before holds were noted
		h.State = store.Holding
	case votes && slices.Contains(founders, n.cfg.Node):
	case opening && votes:
		return &ReplicaLostError{Shard: id, Node: n.cfg.Node, Dir: n.cfg.Dir}
	default:
		k.asking(id)
		return nil
	}
	if err := n.store.SetHold(h); err != nil {
		return err
	}
	return k.start(h, founders)
}

// start starts a replica.
func (k *keeper) start(h store.Hold, founders []wire.NodeID) error {
	n := k.n
	r := newReplica(n, h, len(k.m.Replicas(h.Shard)) == 1)
	next := maps.Clone(n.all())
	next[h.Shard] = r
	n.replicas.Store(&next)
	if err := r.start(founders); err != nil {
		return fmt.Errorf("core: starting shard %d: %w", h.Shard, err)
	}
	delete(k.asks, h.Shard)
	k.find(h.Shard)
	return nil
}

// keep is the keeper's goroutine.
func (k *keeper) keep() {
	tk := time.NewTicker(tendEvery)
	defer tk.Stop()
	if k.n.cfg.RaftAddr == "" {
		tk.Stop() // nobody to ask
	}
	for {
		changed := k.n.cfg.Watcher.Changed()
		if now := k.n.cfg.Watcher.Current(); now.Epoch() > k.m.Epoch() {
			k.m = now
			k.newMap()
		}
		select {
		case <-changed:
		case <-tk.C:
			k.tend()
		case s := <-k.n.seats:
			k.seated(s)
		case <-k.n.stop:
			return
		}
	}
}

// newMap does what a new map says.
func (k *keeper) newMap() {
	maps.DeleteFunc(k.asks, func(id wire.ShardID, _ *asking) bool { return k.n.replica(id) == nil && !k.placed(id) })
	if err := k.follow(false); err != nil {
		k.n.log.Error("core: a replica does not start", "epoch", k.m.Epoch(), "err", err)
	}
	for _, r := range k.n.all() {
		r.gov.wake()
	}
}

// placed reports whether the map has shard id on this node.
func (k *keeper) placed(id wire.ShardID) bool {
	_, ok := slices.BinarySearch(k.m.ShardsOn(k.n.cfg.Node), id)
	return ok
}

// tend does what is due.
func (k *keeper) tend() {
	for id, r := range k.n.all() {
		if r.removed.Load() {
			k.drop(id, r)
		}
	}
	for id := range k.drops {
		if err := k.finishDrop(id); err != nil {
			k.n.c.dropsFailed.Add(1)
			k.n.log.Debug("core: the data of a replica is not yet removed", "shard", id, "err", err)
		} else if err := k.follow(false); err != nil {
			k.n.log.Error("core: a replica does not start", "err", err)
		}
	}
	k.sayHello()
	k.measure()
}

// sayHello tells the leaders about the replicas here and asks for seats.
func (k *keeper) sayHello() {
	now := time.Now()
	all := now.Sub(k.helloAt) >= helloEvery
	if all {
		k.helloAt = now
	}
	if !all && len(k.asks) == 0 {
		return
	}
	t := k.n.turn()
	for id, r := range k.n.all() {
		if all && !r.leads.Load() {
			k.hello(id, r, now, t)
		}
	}
	for id := range k.asks {
		if k.n.replica(id) == nil {
			k.hello(id, nil, now, t)
		}
	}
	k.n.flush(t)
}

// hello says hello to who leads shard id, and asks for the seat when there is no
// replica, the map has no place for it, or no leader is heard.
func (k *keeper) hello(id wire.ShardID, r *replica, now time.Time, t *turn) {
	it := peer.Item{Op: peer.OpHello, Shard: id, Stamp: wire.Cursor(k.n.disk)}
	if k.n.full.Load() {
		it.Flags = peer.FlagFull
	}
	if r != nil {
		it.After, it.Seq = r.hold.Replica, wire.Seq(r.machine.at.Load())
	}
	if r == nil || !k.placed(id) || r.stranded(now) {
		it.Req = uint64(id)
	}
	if to := k.whom(id, r); to != 0 {
		t.add(to, &it)
	}
}

// whom returns the node to ask about a shard: who is said to lead, or one after
// the other of those who may know.
func (k *keeper) whom(id wire.ShardID, r *replica) wire.NodeID {
	if r != nil && k.placed(id) && r.leaderNode() != 0 {
		return r.leaderNode()
	}
	a := k.asking(id)
	if a.hint != 0 && a.answered && a.hint != k.n.cfg.Node {
		a.answered = false
		return a.hint
	}
	var who []wire.NodeID
	if r != nil && r.leaderNode() != 0 {
		who = append(who, r.leaderNode())
	}
	who = slices.Concat(who, k.m.Replicas(id), k.m.Learners(id), k.m.Founders(id))
	who = slices.DeleteFunc(who, func(n wire.NodeID) bool {
		_, known := k.m.Node(n)
		return n == k.n.cfg.Node || !known
	})
	if len(who) == 0 {
		return 0
	}
	a.turn++
	return who[a.turn%len(who)]
}

func (k *keeper) asking(id wire.ShardID) *asking {
	a := k.asks[id]
	if a == nil {
		a = new(asking)
		k.asks[id] = a
	}
	return a
}

// seatAnswer is an OpSeat and who sent it.
type seatAnswer struct {
	from wire.NodeID
	it   peer.Item
}

// seated takes the answer of a leader: which seat this node has.
func (k *keeper) seated(s seatAnswer) {
	id, it := s.it.Shard, &s.it
	if a := k.asks[id]; a != nil {
		a.hint, a.answered = it.Node, it.Node != 0
		if it.Code == wire.OK {
			a.hint, a.answered = s.from, true
		}
	}
	r := k.n.replica(id)
	switch {
	case it.Code != wire.OK:
	case r != nil:
		if it.Flags&peer.FlagGone != 0 && uint64(it.Seq) == r.hold.Replica {
			k.drop(id, r)
		}
	case k.asks[id] == nil || !k.placed(id) || it.Seq != 0 || it.After == 0 || it.After == k.gone[id]:
		// Asks no longer, or has no seat yet.
	case it.Flags&peer.FlagVoter != 0:
		k.lose(id, &ReplicaLostError{Shard: id, Node: k.n.cfg.Node, Dir: k.n.cfg.Dir})
	default:
		k.join(store.Hold{Shard: id, Replica: it.After, Joined: true, State: store.Beginning})
	}
}

// join takes the seat that the group has added for this node.
func (k *keeper) join(h store.Hold) {
	err := k.n.store.SetHold(h)
	if err == nil {
		err = k.start(h, nil)
	}
	if err != nil {
		k.lose(h.Shard, err)
		return
	}
	k.n.c.joined.Add(1)
	k.n.log.Info("core: joins a shard", "shard", h.Shard)
	k.n.changed()
}

// drop stops a replica that Raft has removed and deletes its data. A crash in
// between is picked up by open.
func (k *keeper) drop(id wire.ShardID, r *replica) {
	h := r.hold
	h.State = store.Dropping
	if err := k.n.store.SetHold(h); err != nil {
		k.n.c.dropsFailed.Add(1)
		return // the next tick tries again
	}
	r.removed.Store(true)
	next := maps.Clone(k.n.all())
	delete(next, id)
	k.n.replicas.Store(&next)
	r.halt()
	delete(k.asks, id)
	k.drops[id] = h
	k.n.log.Info("core: was removed from a shard; its data goes", "shard", id)
	k.n.changed()
}

// finishDrop deletes what is left of a replica that has stopped: first what
// Raft has, then the rows; then it is noted that they are gone.
func (k *keeper) finishDrop(id wire.ShardID) error {
	if err := k.n.removeRaft(k.drops[id]); err != nil {
		return err
	}
	if err := k.n.store.Drop(id); err != nil {
		return err
	}
	h := k.drops[id]
	h.State = store.Gone
	if err := k.n.store.SetHold(h); err != nil {
		return err
	}
	delete(k.drops, id)
	k.gone[id] = h.Replica
	k.n.c.dropped.Add(1)
	return nil
}

// removeRaft deletes what dragonboat has of a replica, which panics when the
// disk refuses.
func (n *Node) removeRaft(h store.Hold) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("core: removing the Raft log of shard %d: %v", h.Shard, p)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), unloadTimeout)
	defer cancel()
	return n.host.SyncRemoveData(ctx, uint64(h.Shard), h.Replica)
}

// lose notes why a shard that the map places here does not run, and says so
// once.
func (k *keeper) lose(id wire.ShardID, err error) {
	lost := *k.n.lost.Load()
	if lost[id] == err.Error() {
		return
	}
	next := maps.Clone(lost)
	next[id] = err.Error()
	k.n.lost.Store(&next)
	var gone *ReplicaLostError
	if errors.As(err, &gone) {
		k.n.c.replicasLost.Add(1)
	}
	k.n.log.Error("core: a replica does not start", "shard", id, "err", err)
	k.n.changed()
}

// find takes back what lose noted.
func (k *keeper) find(id wire.ShardID) {
	lost := *k.n.lost.Load()
	if _, ok := lost[id]; !ok {
		return
	}
	next := maps.Clone(lost)
	delete(next, id)
	k.n.lost.Store(&next)
}

// measure measures one shard after the other.
func (k *keeper) measure() {
	now := time.Now()
	all := k.n.all()
	if len(all) == 0 || now.Sub(k.measured) < measureEvery {
		return
	}
	k.measured = now
	ids := slices.Sorted(maps.Keys(all))
	i, _ := slices.BinarySearch(ids, k.next)
	id := ids[i%len(ids)]
	k.next = id + 1
	if size, err := k.n.store.Size(id); err == nil {
		all[id].gov.bytes.Store(size)
	}
}
