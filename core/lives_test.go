package core

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/core/store"
	"github.com/godwit-im/godwit/internal/pki"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
)

// The leader is killed right after each step of a move was published, and comes
// back: whoever leads then goes on with the step.
func TestLeaderKilledInEveryStepOfAMove(t *testing.T) {
	w := newFleet(t, 4, 3, 1)
	killLeader := func() {
		t.Helper()
		victim := w.leading(1)
		dir := w.cores[victim].dir
		w.kill(victim)
		w.start(victim, dir)
	}
	wr := w.write()
	w.remap(func(d *shardmap.Draft) { d.Learners[0] = []wire.NodeID{4} })
	killLeader()
	w.eventually("node 4 to learn", func() bool {
		led, _ := w.lead(1)
		at, ok := w.applied(4, 1)
		return ok && slices.Contains(led.Learners, 4) && at+100 >= led.Applied
	})
	w.remap(func(d *shardmap.Draft) { voteIn(d, 4) })
	killLeader()
	w.eventually("node 4 to vote", func() bool {
		led, _ := w.lead(1)
		return slices.Contains(led.Voters, 4)
	})
	w.remap(func(d *shardmap.Draft) { leaveOut(d, 1) })
	killLeader()
	w.left(1)
	wr.check()
	w.equal()
	w.gone(1)
}

// The preferred replica leads after a while, and again after it came back.
func TestPreferredReplicaLeads(t *testing.T) {
	w := newFleet(t, 3, 3, 4)
	leads := func(want func(wire.ShardID) wire.NodeID) {
		t.Helper()
		w.each("the preferred replica to lead", func(id wire.ShardID) bool {
			_, leader := w.lead(id)
			return leader == want(id)
		})
	}
	leads(func(wire.ShardID) wire.NodeID { return 1 })
	w.remap(func(d *shardmap.Draft) {
		for i := range d.Replicas {
			d.Replicas[i] = []wire.NodeID{wire.NodeID(i%3 + 1), wire.NodeID((i+1)%3 + 1), wire.NodeID((i+2)%3 + 1)}
		}
	})
	leads(func(id wire.ShardID) wire.NodeID { return wire.NodeID((int(id)-1)%3 + 1) })
	w.edge.say("alice", "bob", "hello", 9)
}

// A node whose disk is full hands all that it leads to the others, and takes
// nothing back before there is room.
func TestFullDiskHandsOver(t *testing.T) {
	w := newFleet(t, 3, 3, 2)
	w.each("node 1 to lead", func(id wire.ShardID) bool { _, l := w.lead(id); return l == 1 })
	n := w.cores[1]
	w.full.Store(1)
	w.each("another to lead", func(id wire.ShardID) bool { _, l := w.lead(id); return l != 0 && l != 1 })
	w.edge.say("alice", "bob", "hello", 9)
	if n := n.c.handedOver.Load(); n < 2 {
		t.Errorf("%d shards were handed over", n)
	}
}

// The process dies in the middle of deleting a replica's data: the next start
// goes on with it, and the node can come back to the shard.
func TestDroppingGoesOnAfterACrash(t *testing.T) {
	for name, cut := range map[string]func(n *Node, h store.Hold) error{
		"before anything is deleted": func(*Node, store.Hold) error { return nil },
		"after the Raft log":         func(n *Node, h store.Hold) error { return n.removeRaft(h) },
		"after the rows": func(n *Node, h store.Hold) error {
			return errors.Join(n.removeRaft(h), n.store.Drop(h.Shard))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFleet(t, 3, 3, 1)
			w.edge.say("alice", "bob", "hello", 9)
			dir := w.cores[3].dir
			w.kill(3)
			w.remap(func(d *shardmap.Draft) { leaveOut(d, 3) })
			w.left(3)
			dropHalf(t, w, dir, cut)
			w.start(3, dir)
			w.gone(3)
			w.learn(3)
			w.vote(3)
			w.equal()
		})
	}
}

// dropHalf begins to drop what node 3 has of shard 1 as the keeper does, up to a
// point.
func dropHalf(t *testing.T, w *world, dir string, cut func(*Node, store.Hold) error) {
	t.Helper()
	st, err := store.Open(filepath.Join(dir, "store"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	node, _ := w.watch.Current().Node(3)
	n := &Node{cfg: Config{Node: 3, Dir: dir, Watcher: w.watch, RaftAddr: node.RaftAddr}, store: st, log: testLog()}
	n.replicas.Store(&map[wire.ShardID]*replica{})
	if n.host, err = openHost(n); err != nil {
		t.Fatal(err)
	}
	h := store.Hold{Shard: 1, Replica: 3, State: store.Dropping}
	if err := errors.Join(st.SetHold(h), cut(n, h)); err != nil {
		t.Fatal(err)
	}
	n.host.Close()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

// A node that has a vote and not its data is refused before Raft hears of it,
// whatever of the directory is gone.
func TestWipedNodeIsRefused(t *testing.T) {
	for name, wipe := range map[string]func(dir string) error{
		"everything":   os.RemoveAll,
		"the Raft log": func(dir string) error { return os.RemoveAll(filepath.Join(dir, "raft")) },
		"the store":    func(dir string) error { return os.RemoveAll(filepath.Join(dir, "store")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newFleet(t, 3, 3, 1)
			w.edge.say("alice", "bob", "hello", 9)
			w.equal()
			// All founders have reported the shard: control says that it has begun.
			w.remap(func(d *shardmap.Draft) { d.Founders[0] = nil })
			dir := w.cores[3].dir
			w.stop(3)
			if err := wipe(dir); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				node, _ := w.watch.Current().Node(3)
				n, err := Open(t.Context(), Config{Node: 3, Dir: dir, Watcher: w.watch, RaftAddr: node.RaftAddr, Log: testLog()})
				if err == nil {
					n.Close()
					t.Fatal("a wiped node takes part")
				}
				if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "new id") {
					t.Errorf("the error does not help: %v", err)
				}
			}
			w.edge.say("alice", "bob", "the others serve", 9)
		})
	}
}

// A learner whose directory was wiped takes a new seat; the old one goes.
func TestWipedLearnerTakesANewSeat(t *testing.T) {
	w := newFleet(t, 4, 3, 1)
	w.edge.say("alice", "bob", "hello", 9)
	w.learn(4)
	w.kill(4)
	w.start(4, t.TempDir())
	w.eventually("node 4 to catch up", func() bool {
		led, _ := w.lead(1)
		at, ok := w.applied(4, 1)
		return ok && at != 0 && at == led.Applied
	})
	w.vote(4)
	w.equal()
	if n := w.cores[4].replica(1).hold.Replica; n != 4|1<<32 {
		t.Errorf("the replica has number %x", n)
	}
}

// A founder that starts long after the others begins with the first list of
// members, not with the newest.
func TestLateFounder(t *testing.T) {
	w := newFleet(t, 4, 3, 1, func(w *world) { w.late = 3 })
	w.edge.say("alice", "bob", "hello", 9)
	w.learn(4)
	w.vote(4)
	w.start(3, t.TempDir())
	w.equal()
	w.kill(1)
	w.edge.say("alice", "bob", "again", 9)
}

// Replicas talk over TLS, and one without a certificate of the fleet's authority
// is not heard.
func TestRaftTLS(t *testing.T) {
	w := newFleet(t, 4, 3, 1, func(w *world) {
		w.tls = map[wire.NodeID]RaftTLS{}
		for name, ids := range map[string][]wire.NodeID{"ours": {1, 2, 3}, "theirs": {4}} {
			ca := newAuthority(t, name)
			for _, id := range ids {
				w.tls[id] = ca(id)
			}
		}
	})
	w.edge.say("alice", "bob", "hello", 9)
	w.equal()
	w.remap(func(d *shardmap.Draft) { d.Learners[0] = []wire.NodeID{4} })
	w.eventually("the stranger to be given a seat", func() bool {
		led, _ := w.lead(1)
		return slices.Contains(led.Learners, 4) && w.cores[4].replica(1) != nil
	})
	w.edge.say("alice", "bob", "again", 9)
	w.eventually("the stranger to hear no leader", func() bool { return w.cores[4].replica(1).stranded(time.Now()) })
	if at, _ := w.applied(4, 1); at != 0 {
		t.Error("a stranger follows the log")
	}
}

// newAuthority returns what makes certificates of one authority.
func newAuthority(t *testing.T, name string) func(wire.NodeID) RaftTLS {
	t.Helper()
	ca := t.TempDir()
	if err := pki.Init(ca); err != nil {
		t.Fatal(err)
	}
	return func(id wire.NodeID) RaftTLS {
		out := t.TempDir()
		if err := pki.Issue(pki.Request{
			CADir: ca, OutDir: out, Role: "core", Name: fmt.Sprintf("%s-%d", name, id), Hosts: []string{"127.0.0.1"},
		}); err != nil {
			t.Fatal(err)
		}
		node, err := pki.Load(out)
		if err != nil {
			t.Fatal(err)
		}
		var files RaftTLS
		files.CA, files.Cert, files.Key = node.Files()
		return files
	}
}

// A learner far behind gets the shard as a stream, votes, and still does after
// it has a snapshot of its own and was started again.
func TestLearnerByStreamVotesAfterARestart(t *testing.T) {
	w := newFleet(t, 3, 2, 1)
	for i := range 60 {
		w.edge.say("alice", "bob", fmt.Sprintf("m%d", i), 9)
	}
	for _, id := range []wire.NodeID{1, 2} {
		if err := w.cores[id].Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.learn(3)
	w.eventually("node 3 to be level", func() bool {
		led, _ := w.lead(1)
		at, ok := w.applied(3, 1)
		return ok && led.Applied != 0 && at == led.Applied
	})
	log, err := w.cores[3].host.GetLogReader(1)
	if err != nil {
		t.Fatal(err)
	}
	if first, _ := log.GetRange(); first < 30 {
		t.Errorf("node 3 has the log from entry %d on: it was not streamed", first)
	}
	w.vote(3)
	w.edge.say("alice", "bob", "more", 9)
	if err := w.cores[3].Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := w.cores[3].dir
	w.stop(3)
	w.start(3, dir)
	w.ready()
	w.stop(2)
	w.edge.say("alice", "bob", "node 3 votes", 9) // else there is no majority
}
