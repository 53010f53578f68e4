package core

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// tryAt asks node id once.
func (e *edge) tryAt(id wire.NodeID, it peer.Item) peer.Item {
	e.w.t.Helper()
	e.mu.Lock()
	e.leaders[it.Shard] = id
	e.mu.Unlock()
	r, ok := e.try(it)
	if !ok {
		e.w.t.Fatalf("%v: node %d does not answer", it.Op, id)
	}
	return r
}

// reads are the three reads of a shard that has everything.
func reads() []peer.Item {
	return []peer.Item{
		{Op: peer.OpRange, Shard: 1, Chat: aliceBob, User: []byte("bob"), Limit: 10},
		{Op: peer.OpChanges, Shard: 1, User: []byte("bob"), Device: []byte("phone"), Limit: 10},
		{Op: peer.OpChats, Shard: 1, User: []byte("bob"), Limit: 10},
	}
}

// A leader that is cut off goes on to believe that it leads. What it has is
// from before the next leader's writes, and it must not say so.
func TestCutOffLeaderAnswersNoReads(t *testing.T) {
	ws := newWires(t)
	w := newWorldOn(t, ws, 3, 1)
	e := w.edge
	e.say("alice", "bob", "before", 1)
	old := w.leading(1)
	ws.cut(old)
	e.mu.Lock()
	e.leaders[1] = old%3 + 1
	e.mu.Unlock()
	e.say("alice", "bob", "after", 1)

	r := w.cores[old].replica(1)
	w.eventually("the old leader to be deposed", func() bool { return !r.leads.Load() })
	r.leads.Store(true) // as it believed until then
	for _, q := range reads() {
		start := time.Now()
		a := e.tryAt(old, q)
		if a.Op != answerTo(q.Op) || a.Code == wire.OK || !a.Code.Retryable() {
			t.Errorf("op %v: the leader that is cut off answers op %v, %v", q.Op, a.Op, a.Code)
		}
		if took := time.Since(start); took > readIndexTimeout+time.Second {
			t.Errorf("op %v: the refusal took %v", q.Op, took)
		}
	}
	if w.cores[old].c.readsUnconfirmed.Load() == 0 {
		t.Error("no refusal is counted")
	}
	r.leads.Store(false)
	ws.cut(0)
	if got := e.history("bob", aliceBob); got != "1:before 2:after" {
		t.Errorf("after the partition bob reads %q", got)
	}
}

// Reads that wait for a quorum when the leadership ends, in flight and behind
// it, are told to go elsewhere at once.
func TestEndOfLeadershipRefusesWaitingReads(t *testing.T) {
	ws := newWires(t)
	w := newWorldOn(t, ws, 3, 1)
	e := w.edge
	e.say("alice", "bob", "before", 1)
	old := w.leading(1)
	r := w.cores[old].replica(1)
	ws.cut(old)
	answers := make(chan peer.Item, 2)
	for _, q := range reads()[:2] {
		w.eventually("the read before to be in flight", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.mu.reads) == 0
		})
		e.mu.Lock()
		e.req++
		q.Req = e.req
		e.waiting[q.Req] = answers
		e.mu.Unlock()
		if !e.link.Send(old, peer.Append(nil, &q)) {
			t.Fatal("the link takes nothing")
		}
	}
	start := time.Now()
	r.leaderIs(0)
	for range 2 {
		select {
		case a := <-answers:
			if a.Code != wire.CodeNotLeader {
				t.Errorf("op %v: %v, want not leader", a.Op, a.Code)
			}
		case <-time.After(patience):
			t.Fatal("a read is answered with silence")
		}
	}
	if took := time.Since(start); took > readIndexTimeout/2 {
		t.Errorf("the refusals took %v", took)
	}
}

// All reads that came while a quorum was asked are covered by the next
// question, and what waits is bounded.
func TestReadsWaitTogetherAndBounded(t *testing.T) {
	w := newWorld(t, 3, 1)
	e := w.edge
	e.say("alice", "bob", "hello", 1)
	leader := w.leading(1)
	n, r := w.cores[leader], w.cores[leader].replica(1)
	q := reads()[0]
	e.mu.Lock()
	e.leaders[1] = leader
	answers := make(chan peer.Item, 1000)
	var batch []byte
	for range cap(answers) {
		e.req++
		q.Req = e.req
		e.waiting[q.Req] = answers
		batch = peer.Append(batch, &q)
	}
	e.mu.Unlock()
	if !e.link.Send(leader, batch) {
		t.Fatal("the link takes nothing")
	}
	late := time.After(patience)
	for i := range cap(answers) {
		select {
		case a := <-answers:
			if a.Code != wire.OK || a.Seq != 1 {
				t.Fatalf("a read is answered %v, last %d", a.Code, a.Seq)
			}
		case <-late:
			t.Fatalf("%d of %d reads are answered with silence", cap(answers)-i, cap(answers))
		}
	}
	if n.replica(1).whole.Load() {
		t.Error("a replica among three reads without asking")
	}

	crowd := make([]job, readsWaiting)
	for i := range crowd {
		crowd[i].r = r
	}
	w.eventually("a read too many to be refused", func() bool {
		r.mu.Lock()
		r.mu.reads = crowd // nobody is told, unless a word of before is left
		r.mu.Unlock()
		return e.tryAt(leader, q).Code == wire.CodeUnavailable
	})
	r.mu.Lock()
	r.mu.reads = nil
	r.mu.Unlock()
}

// A replica that is alone asks nobody once it has applied what an earlier life
// left in the log; before, it does.
func TestLoneReplicaReadsWithoutAsking(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.edge.say("alice", "bob", "hello", 1)
	r := w.cores[1].replica(1)
	if !r.whole.Load() {
		t.Fatal("a replica that is ready and alone asks a quorum before each read")
	}
	r.whole.Store(false)
	if got := w.edge.history("bob", aliceBob); got != "1:hello" {
		t.Errorf("history is %q", got)
	}
	if !r.whole.Load() {
		t.Error("the replica asked and has not remembered")
	}
}

// Whatever a node is asked about a shard that it does not lead or have, it
// answers where to go, never with silence.
func TestQuestionsToTheWrongNodeAreAnswered(t *testing.T) {
	w := newWorld(t, 3, 1)
	e := w.edge
	leader := w.leading(1)
	follower := leader%3 + 1
	w.eventually("the follower to know the leader", func() bool { return w.cores[follower].replica(1).leaderNode() == leader })
	for _, op := range []peer.Op{
		peer.OpAppend, peer.OpReceipt, peer.OpMark, peer.OpBump, peer.OpTouch, peer.OpCreateGroup, peer.OpDevice,
		peer.OpOpen, peer.OpChanges, peer.OpRange, peer.OpChats,
	} {
		q := peer.Item{
			Op: op, Shard: 1, Chat: aliceBob, User: []byte("alice"), Device: []byte("phone"), Peer: []byte("bob"),
			Session: 1, List: peer.AppendBytes(nil, "bob"),
		}
		if a := e.tryAt(follower, q); a.Op != answerTo(op) || a.Code != wire.CodeNotLeader || a.Node != leader {
			t.Errorf("op %v to a follower: op %v, %v, node %d; want not leader, node %d", op, a.Op, a.Code, a.Node, leader)
		}
		q.Shard = 7 // of a newer map, or an older one
		if a := e.tryAt(follower, q); a.Op != answerTo(op) || a.Code != wire.CodeWrongShard {
			t.Errorf("op %v about a shard that is not here: op %v, %v; want wrong shard", op, a.Op, a.Code)
		}
	}
	// A replica that failed sends askers to those that did not.
	w.cores[leader].replica(1).fail(errNoQuorum)
	for _, q := range append(reads(), peer.Item{Op: peer.OpAppend, Shard: 1, Chat: aliceBob, User: []byte("alice")}) {
		if a := e.tryAt(leader, q); a.Code != wire.CodeNotLeader {
			t.Errorf("op %v to a replica that failed: %v, want not leader", q.Op, a.Code)
		}
	}
	e.say("alice", "bob", "elsewhere", 1)
}
