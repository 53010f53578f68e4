package core

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// leading returns a node that leads shard id.
func (w *world) leading(id wire.ShardID) wire.NodeID {
	w.t.Helper()
	var leader wire.NodeID
	w.eventually("a leader", func() bool {
		for _, c := range w.cores {
			if r := c.replica(id); r != nil && r.leads.Load() {
				leader = c.cfg.Node
				return true
			}
		}
		return false
	})
	return leader
}

// eventually waits for something that nobody announces.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	tk := time.NewTicker(5 * time.Millisecond)
	defer tk.Stop()
	for end := time.Now().Add(patience); !ok(); <-tk.C {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Three replicas: whoever is stopped, nothing acknowledged is lost or out of
// order, and the survivors go on.
func TestLeaderChangeLosesNothing(t *testing.T) {
	w := newWorld(t, 3, 2)
	e := w.edge
	e.open(1, "bob", "phone")
	var mu sync.Mutex
	acked := map[wire.Seq]string{}
	sendAll := func(from, to int) {
		for i := from; i < to; i++ {
			text := fmt.Sprintf("m%d", i)
			r := e.say("alice", "bob", text, 9)
			mu.Lock()
			if before, ok := acked[r.Seq]; ok {
				t.Errorf("seq %d was given to %q and to %q", r.Seq, before, text)
			}
			acked[r.Seq] = text
			mu.Unlock()
		}
	}
	sendAll(0, 20)
	victim := w.leading(w.chatShard(aliceBob))
	var wg sync.WaitGroup
	wg.Go(func() { sendAll(20, 60) })
	w.stop(victim)
	wg.Wait()
	var want []string
	for i := range len(acked) {
		want = append(want, fmt.Sprintf("%d:%s", i+1, acked[wire.Seq(i+1)]))
	}
	if got := e.history("bob", aliceBob); got != strings.Join(want, " ") {
		t.Errorf("history after the leader stopped:\n got %s\nwant %s", got, strings.Join(want, " "))
	}
	// The new leader of bob's shard knows no session and asks for them.
	e.open(2, "bob", "phone")
	r := e.say("alice", "bob", "after", 9)
	e.until(func() (bool, string) {
		for i := range e.pushed[2] {
			if e.pushed[2][i].Seq == r.Seq {
				return true, ""
			}
		}
		return e.resyncs[2] > 0, "bob's new session got neither the message nor a resync"
	})
}

// A follower that was away for longer than the log reaches back gets the
// shard as a stream.
func TestLateFollowerGetsASnapshot(t *testing.T) {
	w := newWorld(t, 3, 1)
	e := w.edge
	e.say("alice", "bob", "first", 9)
	away := wire.NodeID(1)
	if w.leading(1) == away {
		away = 2
	}
	dir := w.cores[away].dir
	w.stop(away)
	var want []string
	for i := range 60 {
		e.say("alice", "bob", fmt.Sprintf("m%d", i), 9)
		want = append(want, fmt.Sprintf("%d:m%d", i+2, i))
	}
	for _, c := range w.cores {
		r := c.replica(1)
		r.machine.pending.Store(snapshotBytes)
		r.machine.entries.Store(4) // keep one entry
		w.eventually("the log to be trimmed", func() bool {
			rd, err := c.host.GetLogReader(1)
			if err != nil {
				t.Fatal(err)
			}
			first, _ := rd.GetRange()
			return first > 30
		})
	}
	c := w.start(away, dir)
	w.ready()
	w.eventually("the follower to have everything", func() bool {
		if err := c.replica(1).machine.settle(); err != nil {
			t.Fatal(err)
		}
		var p shard.RangePage
		q := shard.RangeQuery{Chat: aliceBob, User: []byte("bob"), After: 1, Limit: 200}
		if err := shard.Range(c.store.NewView(1), &q, &p); err != nil {
			t.Fatal(err)
		}
		var got []string
		for l, ok := p.List, true; ; {
			var frame []byte
			if frame, l, ok = peer.NextBytes(l); !ok {
				break
			}
			var f wire.Frame
			if err := wire.DecodeMsgpack(frame, &f); err != nil {
				t.Fatal(err)
			}
			got = append(got, word(&f))
		}
		return strings.Join(got, " ") == strings.Join(want, " ")
	})
}

// The process dies: what lies on the disk at that moment has every message
// that was acknowledged.
func TestDeathKeepsWhatWasAcknowledged(t *testing.T) {
	w := newWorld(t, 1, 2)
	e := w.edge
	var want []string
	for i := range 30 {
		e.say("alice", "bob", fmt.Sprintf("m%d", i), 1)
		want = append(want, fmt.Sprintf("%d:m%d", i+1, i))
	}
	image := t.TempDir()
	if err := os.CopyFS(image, os.DirFS(w.cores[1].dir)); err != nil {
		t.Fatal(err)
	}
	w.stop(1)
	w.start(1, image)
	w.ready()
	if got := e.history("bob", aliceBob); got != strings.Join(want, " ") {
		t.Errorf("after the process died bob reads %q", got)
	}
}

// A message whose fan-out was cut off is finished by the next leader.
func TestOutboxIsFinishedAfterRestart(t *testing.T) {
	w := newWorld(t, 1, 4)
	n, dir := w.cores[1], w.cores[1].dir
	// The node loses its link: it stores, and reaches nobody, not even itself.
	n.link.Close()
	n.batch(edgeID, peer.Append(nil, &peer.Item{
		Op: peer.OpAppend, Req: 1, Shard: w.chatShard(aliceBob), Chat: aliceBob, User: []byte("alice"), Device: []byte("phone"),
		Peer: []byte("bob"), ClientMsgID: []byte("x"), Body: []byte("cut off"),
	}))
	r := n.replica(w.chatShard(aliceBob))
	owes := func() bool {
		found := false
		if err := r.machine.settle(); err != nil {
			t.Fatal(err)
		}
		if err := shard.OutboxScan(n.store.NewView(r.id), func(o *shard.Owed) bool {
			found = o.Chat == aliceBob
			return true
		}); err != nil {
			t.Fatal(err)
		}
		return found
	}
	w.eventually("the message in the outbox", owes)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = w.start(1, dir)
	r = n.replica(w.chatShard(aliceBob))
	w.edge.open(5, "bob", "phone")
	w.edge.until(func() (bool, string) { return w.edge.resyncs[5] > 0 || bobKnows(w), "bob is not told" })
	w.eventually("the outbox to be cleared", func() bool { return !owes() })
	if !bobKnows(w) {
		t.Error("bob's inbox does not have the conversation")
	}
}

// bobKnows reports whether bob's changes have the conversation with alice. It
// must not ask through the edge, whose lock may be held.
func bobKnows(w *world) bool {
	n := w.cores[1]
	r := n.replica(w.userShard("bob"))
	if r.machine.settle() != nil {
		return false
	}
	p, err := shard.Changes(n.store.NewView(r.id), []byte("bob"), []byte("phone"), 0, 10, nil)
	if err != nil {
		return false
	}
	row, _, ok := peer.NextRow(p.List)
	return ok && row.Chat == aliceBob && row.Last == 1
}

// A push that would leave a hole becomes a resync; a repeat is not pushed.
func TestPushesKeepTheirOrder(t *testing.T) {
	w := newWorld(t, 1, 1)
	e := w.edge
	e.open(1, "bob", "phone")
	bump := func(seq wire.Seq) {
		body := wire.AppendMsgpack(nil, &wire.Frame{
			Op: wire.OpNewMessage, Chat: aliceBob, Seq: seq, User: []byte("alice"), Content: []byte("x"), At: 1,
		})
		r, _ := e.try(peer.Item{
			Op: peer.OpBump, Shard: 1, Chat: aliceBob, Seq: seq, At: 1, User: []byte("alice"), Peer: []byte("bob"),
			List: peer.AppendBytes(nil, "bob"), Body: body,
		})
		if r.Code != wire.OK {
			t.Fatalf("bump %d: %v", seq, r.Code)
		}
	}
	bump(1)
	bump(2)
	bump(2)
	bump(5)
	bump(6)
	e.sees(1, "1:x 2:x 6:x")
	e.until(func() (bool, string) { return e.resyncs[1] == 1, fmt.Sprintf("%d resyncs, want 1", e.resyncs[1]) })
}

// Edges that come are asked for their sessions, and an edge that goes takes
// its sessions along.
func TestEdgesComeAndGo(t *testing.T) {
	w := newWorld(t, 1, 2)
	e := w.edge
	e.until(func() (bool, string) {
		return e.reopens[1] > 0 && e.reopens[2] > 0, "the edge was not asked to open its sessions"
	})
	e.open(1, "bob", "phone")
	sessions := func() (n int) {
		for _, r := range w.cores[1].all() {
			r.mu.Lock()
			n += r.mu.live.Len()
			r.mu.Unlock()
		}
		return n
	}
	if n := sessions(); n != 1 {
		t.Fatalf("%d sessions, want 1", n)
	}
	e.link.Close()
	w.eventually("the sessions to go", func() bool { return sessions() == 0 })
	e.mu.Lock()
	before := e.reopens[1] + e.reopens[2]
	e.mu.Unlock()
	e.link = w.hub.Join(edgeID, link.Events{Batch: e.batch})
	e.until(func() (bool, string) {
		return e.reopens[1]+e.reopens[2] == before+2, "the edge that came back was not asked to open its sessions"
	})
}

// A bump that comes just before a session is pushed to nobody. The session
// must find it in the inbox that it reads next, however far the log is.
func TestOpenComesAfterTheBumpsBeforeIt(t *testing.T) {
	w := newWorld(t, 1, 1)
	e := w.edge
	for i := range 100 {
		user := fmt.Sprintf("user-%d", i)
		chat := wire.DirectChat("alice", wire.UserID(user))
		e.mu.Lock()
		answer := make(chan peer.Item, 1)
		e.req += 2
		e.waiting[e.req] = answer
		batch := peer.Append(nil, &peer.Item{
			Op: peer.OpBump, Req: e.req - 1, Shard: 1, Chat: chat, Seq: 1, At: 1, User: []byte("alice"), Peer: []byte("alice"),
			List: peer.AppendBytes(nil, user),
		})
		batch = peer.Append(batch, &peer.Item{
			Op: peer.OpOpen, Req: e.req, Shard: 1, Session: wire.SessionID(i + 1), User: []byte(user), Device: []byte("phone"),
		})
		e.mu.Unlock()
		if !e.link.Send(1, batch) {
			t.Fatal("the link takes nothing")
		}
		if r := <-answer; r.Code != wire.OK {
			t.Fatalf("open: %v", r.Code)
		}
		r := e.ask(peer.Item{Op: peer.OpChanges, Shard: 1, User: []byte(user), Device: []byte("phone"), Limit: 10})
		if row, _, ok := peer.NextRow(r.List); !ok || row.Chat != chat {
			t.Fatalf("%s: the inbox lacks the bump that came before the session", user)
		}
	}
}
