package core

import (
	"bytes"
	"testing"
	"time"

	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// More shards without quorum than there are readers leave the reads of a
// healthy shard alone.
func TestOpensWithoutQuorumLeaveReadersAlone(t *testing.T) {
	w := newWorld(t, 1, readers+4) // two have an entry under way, one is read
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

// A tick or a typing hint that is not sent because the store cannot be read is
// counted by name.
func TestUnreadHintsAreCounted(t *testing.T) {
	w := newWorld(t, 1, 1)
	n, r := w.cores[1], w.cores[1].replica(1)
	chat := wire.NewChatID(wire.Group, [32]byte{7})
	if a := w.edge.ask(peer.Item{
		Op: peer.OpCreateGroup, Shard: 1, Chat: chat, User: []byte("alice"), Name: []byte("all"),
		List: peer.AppendBytes(nil, "bob"),
	}); a.Code != wire.OK {
		t.Fatal(a.Code)
	}
	w.ready()
	if err := r.machine.settle(); err != nil {
		t.Fatal(err)
	}
	applied, err := n.store.Applied(1)
	if err != nil {
		t.Fatal(err)
	}
	b := n.store.NewBatch(1)
	defer b.Close()
	b.Set(append([]byte{'c'}, chat[:]...), []byte("no row"))
	if err := b.Commit(applied); err != nil {
		t.Fatal(err)
	}
	turn := n.turn()
	r.tellCursor(&shard.Effect{Kind: shard.CursorMoved, Chat: chat, User: []byte("alice"), Delivered: 1}, turn)
	raw := peer.Append(nil, &peer.Item{Op: peer.OpTyping, Shard: 1, Chat: chat, User: []byte("alice"), Flags: uint8(wire.TypingStart)})
	new(reader).answer(job{r: r, from: edgeID, raw: raw})
	n.flush(turn)
	if touches, hints := n.c.touchesUnread.Load(), n.c.hintsUnread.Load(); touches != 1 || hints != 1 {
		t.Errorf("%d touches and %d hints are counted, want one of each", touches, hints)
	}
}

// A session that is told to sync finds what it was told for: its Changes are
// read behind the bump, although nobody waits for that and it lingers.
func TestChangesAreReadBehindTheBump(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.edge.open(1, "bob", "phone")
	for i := range 20 {
		chat := wire.NewChatID(wire.Group, [32]byte{byte(i)})
		c := make(chan peer.Item, 1)
		w.edge.mu.Lock()
		w.edge.req++
		req := w.edge.req
		w.edge.waiting[req] = c
		w.edge.mu.Unlock()
		// Without a body, as an outbox row is taken up after a failover.
		batch := peer.Append(nil, &peer.Item{
			Op: peer.OpBump, Shard: 1, Chat: chat, Seq: 1, At: 1, User: []byte("alice"), List: peer.AppendBytes(nil, "bob"),
		})
		w.edge.link.Send(1, peer.Append(batch, &peer.Item{
			Op: peer.OpChanges, Req: req, Shard: 1, User: []byte("bob"), Device: []byte("phone"), After: uint64(i), Limit: 10,
		}))
		a := <-c
		if a.Code != wire.OK || !bytes.Contains(a.List, chat[:]) {
			t.Fatalf("round %d: the changes after %d are %v, %d bytes, without the bump before them", i, i, a.Code, len(a.List))
		}
	}
}
