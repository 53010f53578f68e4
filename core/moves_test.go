package core

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/godwit-im/godwit/core/store"
	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// newFleet starts nodes that can hold more than they do: in the first map every
// shard is on the first replicas of them. The test plays control.
func newFleet(t *testing.T, nodes, replicas, shards int, with ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, hub: link.NewHub(), watch: new(watch.Watcher), cores: map[wire.NodeID]*coreNode{}, leads: 50 * time.Millisecond}
	for _, f := range with {
		f(w)
	}
	d := shardmap.Draft{Epoch: 1, Slots: shardmap.SpreadSlots(shards)}
	for i := range nodes {
		d.Nodes = append(d.Nodes, shardmap.Node{ID: wire.NodeID(i + 1), RaftAddr: freeAddr(t)})
	}
	for range shards {
		d.Replicas = append(d.Replicas, upTo(replicas))
	}
	m, err := shardmap.New(d)
	if err != nil {
		t.Fatal(err)
	}
	w.watch.Publish(m)
	for _, id := range upTo(nodes) {
		if id != w.late {
			w.start(id, t.TempDir())
		}
	}
	w.edge = newEdge(w)
	t.Cleanup(w.close)
	w.ready()
	return w
}

// upTo returns the nodes 1 to n.
func upTo(n int) (ids []wire.NodeID) {
	for i := range n {
		ids = append(ids, wire.NodeID(i+1))
	}
	return ids
}

// remap publishes the next map.
func (w *world) remap(change func(d *shardmap.Draft)) {
	w.t.Helper()
	d := w.watch.Current().Draft()
	if d.Learners == nil {
		d.Learners = make([][]wire.NodeID, len(d.Replicas))
	}
	change(&d)
	m, err := shardmap.New(d)
	if err != nil {
		w.t.Fatal(err)
	}
	w.watch.Publish(m)
}

// lead returns what the leader of a shard reports, the one of the highest term.
func (w *world) lead(id wire.ShardID) (led fleet.ShardReport, leader wire.NodeID) {
	for node, c := range w.cores {
		for _, s := range c.Report() {
			if s.Shard == id && s.Leads && s.Term >= led.Term {
				led, leader = s, node
			}
		}
	}
	return led, leader
}

// applied returns what a node reports to have applied of a shard.
func (w *world) applied(node wire.NodeID, id wire.ShardID) (uint64, bool) {
	if c := w.cores[node]; c != nil {
		for _, s := range c.Report() {
			if s.Shard == id {
				return s.Applied, s.Failed == ""
			}
		}
	}
	return 0, false
}

// learn adds a learner to every shard and waits until it has caught up.
func (w *world) learn(to wire.NodeID) {
	w.t.Helper()
	w.remap(func(d *shardmap.Draft) {
		for i := range d.Learners {
			d.Learners[i] = append(d.Learners[i], to)
		}
	})
	w.each(fmt.Sprintf("node %d to catch up", to), func(id wire.ShardID) bool {
		led, _ := w.lead(id)
		at, ok := w.applied(to, id)
		return ok && slices.Contains(led.Learners, to) && at+100 >= led.Applied
	})
}

// vote gives learners of every shard a vote and waits until they have it.
func (w *world) vote(to wire.NodeID) {
	w.t.Helper()
	w.remap(func(d *shardmap.Draft) { voteIn(d, to) })
	w.each(fmt.Sprintf("node %d to vote", to), func(id wire.ShardID) bool {
		led, _ := w.lead(id)
		return slices.Contains(led.Voters, to) && !slices.Contains(led.Learners, to)
	})
}

func voteIn(d *shardmap.Draft, to wire.NodeID) {
	for i := range d.Replicas {
		d.Replicas[i] = append(d.Replicas[i], to)
		d.Learners[i] = slices.DeleteFunc(d.Learners[i], func(n wire.NodeID) bool { return n == to })
	}
}

// leave takes a node out of every shard and waits until Raft is without it.
func (w *world) leave(from wire.NodeID) {
	w.t.Helper()
	w.remap(func(d *shardmap.Draft) { leaveOut(d, from) })
	w.left(from)
}

func leaveOut(d *shardmap.Draft, from wire.NodeID) {
	for i := range d.Replicas {
		d.Replicas[i] = slices.DeleteFunc(d.Replicas[i], func(n wire.NodeID) bool { return n == from })
	}
}

func (w *world) left(from wire.NodeID) {
	w.t.Helper()
	w.each(fmt.Sprintf("Raft to be without node %d", from), func(id wire.ShardID) bool {
		led, leader := w.lead(id)
		return leader != 0 && len(led.Voters) > 0 && !slices.Contains(led.Voters, from)
	})
}

func (w *world) each(what string, ok func(wire.ShardID) bool) {
	w.t.Helper()
	for _, id := range w.watch.Current().Shards() {
		w.eventually(fmt.Sprintf("%s in shard %d", what, id), func() bool { return ok(id) })
	}
}

// gone waits until a node has no row and no log of any shard.
func (w *world) gone(from wire.NodeID) {
	w.t.Helper()
	c := w.cores[from]
	w.eventually(fmt.Sprintf("the data on node %d to go", from), func() bool {
		holds, err := c.store.Holds()
		if err != nil {
			w.t.Fatal(err)
		}
		return len(c.all()) == 0 && !slices.ContainsFunc(holds, func(h store.Hold) bool { return h.State != store.Gone })
	})
	for _, id := range w.watch.Current().Shards() {
		rows := 0
		if err := c.store.NewView(id).Scan(nil, nil, false, func(_, _ []byte) bool { rows++; return true }); err != nil || rows > 0 {
			w.t.Errorf("node %d has %d rows of shard %d: %v", from, rows, id, err)
		}
		if at, err := c.store.Applied(id); err != nil || at != 0 {
			w.t.Errorf("node %d says to have applied %d of shard %d: %v", from, at, id, err)
		}
		for number := range uint64(3) {
			if c.host.HasNodeInfo(uint64(id), uint64(from)|number<<32) {
				w.t.Errorf("node %d has a Raft log of shard %d", from, id)
			}
		}
	}
}

// kill ends a node as a kill of its process does: what was not yet committed to
// the store is not.
func (w *world) kill(id wire.NodeID) {
	w.t.Helper()
	for _, r := range w.cores[id].all() {
		if r.machine.at.Load() == 0 {
			continue // it has nothing, or is being filled: dragonboat panics when that fails
		}
		r.failed.Store(true)
		r.machine.mu.Lock()
		if r.machine.batch != nil { // else dragonboat has not opened it yet
			r.machine.forget()
		}
		r.machine.mu.Unlock()
	}
	w.stop(id)
}

// equal waits until all replicas of the map have applied the same and then have
// the same rows. What differs stays different, so it may look again.
func (w *world) equal() {
	w.t.Helper()
	m := w.watch.Current()
	w.each("equal replicas", func(id wire.ShardID) bool {
		sums := map[string]bool{}
		for _, node := range m.Replicas(id) {
			c := w.cores[node]
			if r := c.replica(id); r == nil || r.machine.settle() != nil {
				return false
			}
			snap, sum := c.store.NewSnapshot(id), xxh3.New128()
			if err := snap.WriteTo(sum, nil); err != nil { // begins with the index
				w.t.Fatal(err)
			}
			snap.Close()
			sums[hex.EncodeToString(sum.Sum(nil))] = true
		}
		return len(sums) == 1
	})
}

// writer says one message after the other until it is stopped.
type writer struct {
	w    *world
	stop context.CancelFunc
	done sync.WaitGroup
	said int
}

func (w *world) write() *writer {
	ctx, cancel := context.WithCancel(context.Background())
	wr := &writer{w: w, stop: cancel}
	wr.done.Go(func() {
		for ; ctx.Err() == nil; wr.said++ {
			w.edge.say("alice", "bob", fmt.Sprintf("m%d", wr.said), 9)
		}
	})
	return wr
}

// check stops the writer; everything it said must be there, once and in order.
func (wr *writer) check() {
	wr.w.t.Helper()
	wr.stop()
	wr.done.Wait()
	var want []string
	for i := range wr.said {
		want = append(want, fmt.Sprintf("%d:m%d", i+1, i))
	}
	if got := wr.w.edge.history("bob", aliceBob); got != strings.Join(want, " ") {
		wr.w.t.Errorf("of %d messages the history is %s", wr.said, got)
	}
	if wr.said < 20 {
		wr.w.t.Errorf("only %d messages were said", wr.said)
	}
}

// One node becomes three, five and again three, while somebody writes. Nothing
// is lost, replicas are equal, and who has left has nothing any more.
func TestGrowAndShrinkUnderLoad(t *testing.T) {
	w := newFleet(t, 5, 1, 2)
	wr := w.write()
	for _, id := range []wire.NodeID{2, 3, 4, 5} {
		w.learn(id)
		w.vote(id)
	}
	w.leave(1) // it leads
	w.leave(4)
	wr.check()
	w.equal()
	w.gone(1)
	w.gone(4)
	for _, id := range w.watch.Current().Shards() {
		led, _ := w.lead(id)
		if !slices.Equal(led.Voters, []wire.NodeID{2, 3, 5}) || len(led.Learners) != 0 || led.Config == 0 {
			t.Errorf("the leader of shard %d reports %+v", id, led)
		}
	}
}

// A node that is dead for good is replaced by another while the rest serves.
func TestReplaceDeadNode(t *testing.T) {
	w := newFleet(t, 4, 3, 1)
	_, leader := w.lead(1)
	wr := w.write()
	w.kill(leader)
	w.learn(4)
	w.vote(4)
	w.leave(leader)
	wr.check()
	w.equal()
}

// A node that was removed comes back to the same shard, more than once, and
// votes.
func TestNodeComesBack(t *testing.T) {
	w := newFleet(t, 3, 3, 1)
	for round := range 2 {
		w.leave(3)
		w.gone(3)
		w.edge.say("alice", "bob", fmt.Sprintf("without %d", round), 9)
		w.learn(3)
		w.vote(3)
		w.equal()
	}
	if n := w.cores[3].replica(1).hold.Replica; n != 3|2<<32 {
		t.Errorf("the replica has number %x", n)
	}
	dir := w.cores[3].dir
	w.kill(3)
	w.start(3, dir)
	w.ready()
	w.kill(1)
	w.edge.say("alice", "bob", "node 3 votes", 9) // else there is no majority
}
