package fanout

import (
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// lane is what is on its way to one shard, in order. Encoded items lie one
// after the other in buf, so that sending again costs a copy and nothing is
// allocated per item.
//
//	items:  gone | answered or not ... | not sent ...
//	             ^head                 ^next
type lane struct {
	buf   []byte
	base  int64  // offset of buf[0] in all bytes the lane ever had
	items []item // those before head are gone
	head  int
	next  int    // the next to send
	first uint32 // number of items[head]

	sentAt  int64 // when items[head] became the oldest sent one; 0 not seen yet
	waitFor int64 // nothing is sent before; 0 for no wait
	backoff int64
}

// item is one encoded item of a lane.
type item struct {
	chat  wire.ChatID
	task  uint64 // 0: nobody waits for it
	start int64  // offset of its first byte
	size  int32
	done  bool
}

// len and bytes are what has not been answered, and what lies between.
func (l *lane) len() int { return len(l.items) - l.head }

func (l *lane) bytes() int {
	if l.len() == 0 {
		return 0
	}
	return int(l.base + int64(len(l.buf)) - l.items[l.head].start)
}

func (l *lane) add(from, to wire.ShardID, it *peer.Item, task uint64) bool {
	if l.len() >= LaneItems || l.bytes()+len(it.Body)+len(it.List) > LaneBytes {
		return false
	}
	it.Shard, it.Req = to, req(from, to, l.first+uint32(l.len()))
	before := len(l.buf)
	l.buf = peer.Append(l.buf, it)
	l.items = append(l.items, item{
		chat: it.Chat, task: task, start: l.base + int64(before), size: int32(len(l.buf) - before),
	})
	return true
}

// answer marks item number n as answered and lets go of the answered ones in
// front.
func (l *lane) answer(n uint32) (item, bool) {
	i := int64(n-l.first) + int64(l.head)
	if i >= int64(len(l.items)) || l.items[i].done {
		return item{}, false
	}
	l.items[i].done = true
	it := l.items[i]
	l.backoff = 0
	if int(i) != l.head {
		return it, true
	}
	for l.head < len(l.items) && l.items[l.head].done {
		l.head++
		l.first++
	}
	l.next = max(l.next, l.head)
	l.sentAt = 0
	l.shrink()
	return it, true
}

// shrink moves what is left to the front once half of the room is gone.
func (l *lane) shrink() {
	if 2*l.head < len(l.items) {
		return
	}
	gone := int64(len(l.buf))
	if l.len() > 0 {
		gone = l.items[l.head].start - l.base
	}
	l.buf = l.buf[:copy(l.buf, l.buf[gone:])]
	l.base += gone
	l.items = l.items[:copy(l.items, l.items[l.head:])]
	l.next -= l.head
	l.head = 0
}

// refused makes the lane wait and then go back to its oldest item.
func (l *lane) refused(n uint32, now int64) bool {
	if uint64(n-l.first) >= uint64(l.len()) || l.waitFor != 0 {
		return false
	}
	l.backoff = min(max(2*l.backoff, backoffMin), backoffMax)
	l.waitFor = now + l.backoff
	l.next = l.head
	return true
}

// ready reports whether something may be sent now.
func (l *lane) ready(now int64) bool {
	if l.len() == 0 {
		return false
	}
	if l.waitFor == 0 && l.next > l.head {
		switch {
		case l.sentAt == 0:
			l.sentAt = now // a new oldest item: its time begins
		case now-l.sentAt > ReplyTimeout:
			l.next = l.head
		}
	}
	return l.next < len(l.items) && now >= l.waitFor
}

func (l *lane) take(batch []byte, limit int, now int64) []byte {
	if now < l.waitFor {
		return batch
	}
	l.waitFor = 0
	if l.next == l.head {
		l.sentAt = now
	}
	for ; l.next < len(l.items) && limit > 0; l.next++ {
		it := &l.items[l.next]
		if it.done {
			continue
		}
		at := it.start - l.base
		batch = append(batch, l.buf[at:at+int64(it.size)]...)
		limit -= int(it.size)
	}
	return batch
}
