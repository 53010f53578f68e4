// Package fanout is what the leader of a conversation's shard still owes to the
// shards of the members: lanes of bumps and touches on their way, and the
// entries that wait for all their lanes.
//
// What it promises: items of one lane are handed out in the order in which they
// were added, again from the oldest that is not answered when one fails, until
// each was answered. Done names an entry only when every lane of it and of the
// entries before it was answered. Everything is bounded; what has no room, and
// everything after it in the same conversation, is left to the outbox in the
// store, which Resume takes up again later.
//
// A Table belongs to whoever holds its replica's lock. It has no clock: now is
// in milliseconds and comes from the caller. It never sends anything.
package fanout

import (
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

const (
	// LaneBytes and LaneItems bound what is on its way from one shard to
	// another: 8,192 messages of 100 bytes, half a second at full speed. When
	// a lane is full its conversations wait in the outbox.
	LaneBytes = 4 << 20
	LaneItems = 8192

	// MaxChats bounds the conversations that are followed at a time.
	MaxChats = 1 << 15

	// ReplyTimeout is how long the oldest item of a lane may go unanswered
	// before all are sent again: longer than an election takes.
	ReplyTimeout = 2000

	// A lane that was refused waits backoffMin, then twice as long each time
	// up to backoffMax: a new leader is found within a second, a shard without
	// one costs a batch a second.
	backoffMin = 20
	backoffMax = 1000
)

// Table is the fan-out of one conversation shard.
type Table struct {
	self  wire.ShardID
	lanes map[wire.ShardID]*lane
	chats map[wire.ChatID]*chat
	spare []*chat
	done  []wire.ChatID // chats with something for TakeDone
	first uint32        // number of the first item of a new lane

	most  int    // conversations that are followed at a time
	tasks uint64 // the last task begun

	blind bool // nothing is begun before the outbox was looked through
	rest  bool // the outbox holds what the Table does not know
	// Since the last Look some of that is of conversations without a record;
	// unseen says that a look under way may not find it either.
	over, unseen bool

	// Left counts entries left to the outbox, Lost the touches that had no
	// room, Refused the items that a shard will never take.
	Left, Lost, Refused uint64
}

// chat follows the entries of one conversation.
type chat struct {
	tasks  []task   // in order of seq, unanswered in front
	done   wire.Seq // everything up to here was answered; 0 when told
	missed wire.Seq // newest entry that was left to the outbox; 0 none
}

// task is one entry and how many lanes have not answered it. An entry that is
// taken up again is another task: answers to the items of the first do not
// count for the second.
type task struct {
	id    uint64
	seq   wire.Seq
	waits int
}

// New returns the Table of shard self, which follows up to chats conversations
// at a time (MaxChats). It begins blind; see Look.
func New(self wire.ShardID, chats int) *Table {
	t := &Table{self: self, most: chats}
	t.Clear(0)
	return t
}

// Clear forgets everything and makes the Table blind, for a new leadership.
// seed tells its requests from those of earlier ones.
func (t *Table) Clear(seed uint32) {
	t.lanes = make(map[wire.ShardID]*lane)
	t.chats = make(map[wire.ChatID]*chat)
	t.spare, t.done = nil, nil
	t.first = seed
	t.blind, t.rest, t.over, t.unseen = true, true, false, false
}

// Begin says that entry seq of id is to be fanned out. When it returns true the
// caller Adds an item for each shard and then calls Settle; when it returns
// false the entry is left to the outbox.
func (t *Table) Begin(id wire.ChatID, seq wire.Seq) bool {
	c := t.chats[id]
	switch {
	case c == nil && len(t.chats) >= t.most:
		t.noRoom()
		t.unseen = true
		t.Left++
		return false
	case c == nil && t.blind:
		c = t.newChat(id)
	case c == nil:
		t.begin(t.newChat(id), seq)
		return true
	case c.missed == 0:
		t.begin(c, seq)
		return true
	}
	c.missed = max(c.missed, seq)
	t.rest = true
	t.Left++
	return false
}

// begin makes a task. One wait is for Settle, so that early answers do not end
// it.
func (t *Table) begin(c *chat, seq wire.Seq) {
	t.tasks++
	c.tasks = append(c.tasks, task{id: t.tasks, seq: seq, waits: 1})
}

// noRoom notes that a conversation is left to the outbox and has no record that
// says so. Nobody can tell which one it is, so no conversation without a record
// is begun from now on before a look has found them all: the answer to a later
// entry would clear the one that was left.
func (t *Table) noRoom() { t.blind, t.rest, t.over = true, true, true }

// Add puts a bump of the entry last begun into the lane to a shard. It sets
// the item's Req and Shard; it copies the item. When the lane has no room the
// conversation is left to the outbox.
func (t *Table) Add(to wire.ShardID, it *peer.Item) {
	c := t.chats[it.Chat]
	if c == nil || len(c.tasks) == 0 {
		return // an earlier lane of the entry had no room
	}
	last := &c.tasks[len(c.tasks)-1]
	if !t.lane(to).add(t.self, to, it, last.id) {
		c.missed = max(c.missed, last.seq)
		c.tasks = c.tasks[:0]
		t.rest = true
		t.Left++
		return
	}
	last.waits++
}

// AddTouch puts an item that no entry waits for into the lane to a shard. It
// is lost when there is no room.
func (t *Table) AddTouch(to wire.ShardID, it *peer.Item) {
	if !t.lane(to).add(t.self, to, it, 0) {
		t.Lost++
	}
}

// Settle ends what Begin began.
func (t *Table) Settle(id wire.ChatID) {
	c := t.chats[id]
	if c != nil && len(c.tasks) > 0 {
		t.answered(id, c, c.tasks[len(c.tasks)-1].id)
	}
}

// req is the request number of item n of the lane from shard from to shard to.
// Shard numbers beyond 16 bits do not fit; Fits tells.
func req(from, to wire.ShardID, n uint32) uint64 {
	return uint64(from)<<48 | uint64(to&0xffff)<<32 | uint64(n)
}

// Fits reports whether a shard's number fits a request number.
func Fits(id wire.ShardID) bool { return id > 0 && id <= 0xffff }

// OwnerOf returns the two shards of a request number that a Table made: whose
// Table it was and to whom it went.
func OwnerOf(req uint64) (from, to wire.ShardID) {
	return wire.ShardID(req >> 48), wire.ShardID(req >> 32 & 0xffff)
}

// Answer takes the answer to request req. It returns true when the lane has to
// wait before it may go on.
func (t *Table) Answer(req uint64, code wire.Code, now int64) (waits bool) {
	_, to := OwnerOf(req)
	l := t.lanes[to]
	if l == nil {
		return false
	}
	if code != wire.OK && again(code) {
		return l.refused(uint32(req), now)
	}
	if code != wire.OK {
		t.Refused++
	}
	it, ok := l.answer(uint32(req))
	if !ok || it.task == 0 {
		return false
	}
	if c := t.chats[it.chat]; c != nil {
		t.answered(it.chat, c, it.task)
	}
	return false
}

// again reports whether a refusal may pass.
func again(code wire.Code) bool {
	return code == wire.CodeNotLeader || code == wire.CodeWrongShard || code.Retryable()
}

// answered counts one answer for a task, which may be gone.
func (t *Table) answered(id wire.ChatID, c *chat, task uint64) {
	for i := range c.tasks {
		if c.tasks[i].id == task {
			c.tasks[i].waits--
			break
		}
	}
	n, before := 0, c.done
	for n < len(c.tasks) && c.tasks[n].waits == 0 {
		c.done = c.tasks[n].seq
		n++
	}
	if n == 0 {
		return
	}
	c.tasks = c.tasks[:copy(c.tasks, c.tasks[n:])]
	if before == 0 {
		t.done = append(t.done, id)
	}
}

// HasDone reports whether TakeDone has something.
func (t *Table) HasDone() bool { return len(t.done) > 0 }

// TakeDone calls fn with up to limit conversations and how far all their
// members' shards have them.
func (t *Table) TakeDone(limit int, fn func(id wire.ChatID, seq wire.Seq)) {
	n := min(limit, len(t.done))
	for _, id := range t.done[:n] {
		c := t.chats[id]
		if c == nil {
			continue
		}
		fn(id, c.done)
		c.done = 0
		if len(c.tasks) == 0 && c.missed == 0 {
			t.drop(id, c)
		}
	}
	t.done = t.done[:copy(t.done, t.done[n:])]
}

// Lanes calls fn with each shard that has items waiting to be sent now, after
// turning back those lanes whose answers did not come.
func (t *Table) Lanes(now int64, fn func(to wire.ShardID)) {
	for to, l := range t.lanes {
		if l.ready(now) {
			fn(to)
		}
	}
}

// Take appends what waits for shard to to batch, up to about limit bytes, and
// counts it as sent.
func (t *Table) Take(to wire.ShardID, batch []byte, limit int, now int64) []byte {
	if l := t.lanes[to]; l != nil {
		return l.take(batch, limit, now)
	}
	return batch
}

// Waiting returns how many items wait for an answer.
func (t *Table) Waiting() (items, bytes int) {
	for _, l := range t.lanes {
		items += l.len()
		bytes += l.bytes()
	}
	return items, bytes
}

func (t *Table) lane(to wire.ShardID) *lane {
	l := t.lanes[to]
	if l == nil {
		l = &lane{first: t.first}
		t.lanes[to] = l
	}
	return l
}

func (t *Table) newChat(id wire.ChatID) *chat {
	var c *chat
	if n := len(t.spare); n > 0 {
		c, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		c = new(chat)
	}
	t.chats[id] = c
	return c
}

// spares is how many chat records are kept for the next conversations.
const spares = 1024

func (t *Table) drop(id wire.ChatID, c *chat) {
	delete(t.chats, id)
	if len(t.spare) < spares {
		*c = chat{tasks: c.tasks[:0]}
		t.spare = append(t.spare, c)
	}
}
