package core

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// More shards without quorum than there are readers leave the reads of a
// healthy shard alone.
func TestOpensWithoutQuorumLeaveReadersAlone(t *testing.T) {
	w := newWorld(t, 1, readers+2)
	w.edge.say("alice", "bob", "hello", 1)
	n, healthy := w.cores[1], w.chatShard(aliceBob)
	turn := n.turn()
	for id, r := range n.all() {
		if id == healthy {
			continue
		}
		r.mu.Lock()
		r.mu.number++ // an entry that nobody will ever commit
		r.mu.Unlock()
		r.open(edgeID, &peer.Item{Op: peer.OpOpen, Session: 7, User: []byte("carol"), Device: []byte("phone")}, turn)
	}
	n.flush(turn)
	start := time.Now()
	if got := w.edge.history("bob", aliceBob); got != "1:hello" {
		t.Errorf("history is %q", got)
	}
	if d := time.Since(start); d > proposeTimeout {
		t.Errorf("the read took %v", d)
	}
}

// A session that an earlier leadership registered is not said to be open: the
// present one pushes nothing to it.
func TestOpenOfAnEarlierLeadershipIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.cores[1].replica(1)
	r.mu.Lock()
	led := r.mu.led
	r.mu.Unlock()
	answer := func(led uint64) wire.Code {
		c := make(chan peer.Item, 1)
		w.edge.mu.Lock()
		w.edge.req++
		req := w.edge.req
		w.edge.waiting[req] = c
		w.edge.mu.Unlock()
		turn := w.cores[1].turn()
		r.opened(&open{from: edgeID, req: req, session: 9, led: led, user: []byte("alice"), device: []byte("phone")},
			w.cores[1].store.NewView(1), nil, turn)
		w.cores[1].flush(turn)
		return (<-c).Code
	}
	if got := answer(led - 1); got != wire.CodeNotLeader {
		t.Errorf("a session of the leadership before: %v, want not leader", got)
	}
	if got := answer(led); got != wire.OK {
		t.Errorf("a session of this leadership: %v", got)
	}
}
