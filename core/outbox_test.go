package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-im/godwit/core/fanout"
	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// owes counts the conversations in a replica's outbox.
func (w *world) owes(r *replica) (n int) {
	w.t.Helper()
	if err := r.machine.settle(); err != nil {
		w.t.Fatal(err)
	}
	err := shard.OutboxScan(r.node.store.NewView(r.id), func(*shard.Owed) bool { n++; return true })
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// unplug takes the only core off its link: it stores, and reaches nobody, not
// even itself. plug puts it back.
func (w *world) unplug() { w.cores[1].link.Close() }

func (w *world) plug() {
	c := w.cores[1]
	c.link = w.hub.Join(1, c.Events())
	c.Attach(c.link)
}

// store has the only core store a message from alice to a user.
func (w *world) store(to, text string) {
	c := wire.DirectChat("alice", wire.UserID(to))
	w.cores[1].batch(edgeID, peer.Append(nil, &peer.Item{
		Op: peer.OpAppend, Req: 1, Shard: w.chatShard(c), Chat: c, User: []byte("alice"), Device: []byte("phone"),
		Peer: []byte(to), ClientMsgID: []byte(text), Body: []byte(text),
	}))
}

// answerAll answers everything in the lane of the only shard. r.mu is held.
func (r *replica) answerAll() {
	late := time.Hour.Milliseconds()
	r.mu.fan.Lanes(late, func(wire.ShardID) {}) // those that were sent are sent again
	batch := r.mu.fan.Take(1, nil, laneBatch, late)
	for it := (peer.Item{}); len(batch) > 0; {
		_, batch, _ = peer.Next(batch, &it)
		r.mu.fan.Answer(it.Req, wire.OK, late)
	}
}

// An entry that was not applied takes along what was to clear the outbox. The
// same leader clears it, without a message or a restart that reminds it.
func TestLostDoneIsMadeUpFor(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.cores[1].replica(1)
	w.unplug()
	w.store("bob", "hello")
	w.eventually("the message in the outbox", func() bool { return w.owes(r) == 1 })

	e := &entry{buf: make([]byte, inMemLog+1)} // dragonboat refuses it
	r.mu.Lock()
	led := r.mu.led
	r.answerAll()
	r.mu.fan.TakeDone(1, func(wire.ChatID, wire.Seq) { e.asked = append(e.asked, asked{op: peer.OpFanoutDone}) })
	r.mu.number++
	e.number, r.mu.flight = r.mu.number, e
	r.mu.Unlock()
	if len(e.asked) != 1 {
		t.Fatal("the fan-out is not done")
	}
	r.carry(e)
	if n := r.node.c.doneLost.Load(); n != 1 {
		t.Errorf("%d lost items are counted, want 1", n)
	}
	w.plug()
	w.eventually("the outbox to be cleared", func() bool { return w.owes(r) == 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.led != led {
		t.Error("it took another leadership")
	}
}

// What has no room in an entry is lost too.
func TestDoneWithoutRoomIsMadeUpFor(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.cores[1].replica(1)
	w.unplug()
	for i := range 3 {
		w.store(fmt.Sprintf("user-%d", i), "hello")
	}
	w.eventually("the messages in the outbox", func() bool { return w.owes(r) == 3 })
	r.mu.Lock()
	r.answerAll()
	filling := r.mu.filling
	r.mu.filling = &entry{buf: make([]byte, entryBytes)} // room for one
	r.addDone()
	took := len(r.mu.filling.asked)
	r.mu.filling, r.mu.lingers = filling, false
	r.mu.Unlock()
	if took != 1 || r.node.c.doneLost.Load() != 2 {
		t.Fatalf("%d items are in the entry and %d lost, want 1 and 2", took, r.node.c.doneLost.Load())
	}
	r.mu.Lock()
	r.lostDone(1) // the entry of this test
	r.mu.Unlock()
	w.plug()
	w.eventually("the outbox to be cleared", func() bool { return w.owes(r) == 0 })
}

// An entry that is applied and left to the outbox just before a look begins is
// found by that look, whether or not the store has it yet.
func TestLookFindsWhatIsNotInTheStoreYet(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.cores[1].replica(1)
	w.unplug()
	r.machine.mu.Lock()
	r.machine.settled = time.Now().Add(time.Hour) // what follows waits
	r.machine.mu.Unlock()
	r.mu.Lock()
	r.mu.fan.Clear(1)
	r.mu.lookAt = time.Hour.Milliseconds() // by hand
	led := r.mu.led
	r.mu.Unlock()
	w.store("bob", "hello")
	w.eventually("the message to be left to the outbox", func() bool { return r.node.c.leftToOutbox.Load() == 1 })
	before := r.node.c.resumed.Load()
	if err := r.takeUp(led); err != nil {
		t.Fatal(err)
	}
	if r.node.c.resumed.Load() != before+1 {
		t.Error("the look has not found the message")
	}
}

// A leader that finds more conversations in its outbox than it follows at a
// time finishes all of them, by looking again, while messages go on.
func TestSmallTableFinishesALargeOutbox(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.cores[1].replica(1)
	w.unplug()
	const chats = 7
	for i := range chats {
		w.store(fmt.Sprintf("user-%d", i), "first")
	}
	w.eventually("the messages in the outbox", func() bool { return w.owes(r) == chats })
	r.mu.Lock()
	r.mu.fan = fanout.New(r.id, 3)
	r.mu.fan.Clear(7)
	r.mu.looked, r.mu.lookAt = false, 0
	led := r.mu.led
	r.mu.Unlock()
	w.plug()
	r.look()
	for i := range chats { // of those that wait, some find room and some do not
		w.store(fmt.Sprintf("user-%d", i), "second")
	}
	w.eventually("the outbox to be cleared", func() bool { return w.owes(r) == 0 })
	if r.node.c.looksPartial.Load() == 0 {
		t.Error("no look met a full table: the test tests nothing")
	}
	w.eventually("the leader to have looked through all of it", r.settled)
	for i := range chats {
		user := fmt.Sprintf("user-%d", i)
		p, err := shard.Changes(r.node.store.NewView(1), []byte(user), []byte("phone"), 0, 10, nil)
		if row, _, ok := peer.NextRow(p.List); err != nil || !ok || row.Last != 2 {
			t.Errorf("the inbox of %s has message %d, want 2 (%v)", user, row.Last, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.led != led {
		t.Error("it took another leadership")
	}
}
