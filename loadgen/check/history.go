package check

import (
	"fmt"

	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// Entry is one message of a conversation's log, as history shows it.
type Entry struct {
	Seq                  wire.Seq
	ClientMsgID, Content []byte
}

// History compares the whole log of a conversation, oldest entry first and
// without what the server wrote itself, with what its members were told. Call
// it when nothing more is on its way, and before Finish.
func (c *Checker) History(index uint32, log []Entry) {
	if int(index) >= len(c.chats) {
		return
	}
	ch := &c.chats[index]
	ch.mu.Lock()
	defer ch.mu.Unlock()
	places := make(map[uint32]wire.Seq, len(log))
	last := c.firstSeq(index) - 1
	for i := range log {
		e := &log[i]
		if e.Seq != last+1 {
			c.report(Gap, workload.ID{Chat: index}, e.Seq, 0, fmt.Sprintf("history has it after %d", last))
		}
		last = e.Seq
		id, ok := c.work.ParseClientMsgID(e.ClientMsgID)
		inside, _, err := c.work.ParseContent(e.Content)
		if !ok || err != nil || inside != id || id.Chat != index || int(id.K) >= len(ch.msgs) {
			c.report(Phantom, workload.ID{Chat: index}, e.Seq, 0, fmt.Sprintf("history has client_msg_id %q, which was not sent here like that", e.ClientMsgID))
			continue
		}
		if have, twice := places[id.K]; twice {
			c.report(Duplicated, id, e.Seq, c.work.Side(id), fmt.Sprintf("history has it as %d too", have))
			continue
		}
		places[id.K] = e.Seq
	}
	for k := range ch.msgs {
		c.inHistory(workload.ID{Chat: index, K: uint32(k)}, &ch.msgs[k], places[uint32(k)])
	}
}

// firstSeq is the number of the first message: that a group was created is its
// first entry.
func (c *Checker) firstSeq(index uint32) wire.Seq {
	if c.work.IsGroup(index) {
		return 2
	}
	return 1
}

// inHistory compares where history has a message, 0 for nowhere, with where
// its members were told that it is.
func (c *Checker) inHistory(id workload.ID, m *message, at wire.Seq) {
	sender := c.work.Side(id)
	switch {
	case at == 0 && m.acked != 0:
		c.report(Lost, id, m.acked, sender, "acknowledged, not in history")
	case at == 0 && m.seen != 0:
		c.report(Phantom, id, m.seen, sender, "shown to a member, not in history")
	case at != 0 && m.acked != 0 && m.acked != at:
		c.report(Duplicated, id, at, sender, fmt.Sprintf("acknowledged as %d, in history as %d", m.acked, at))
	case at != 0 && m.seen != 0 && m.seen != at:
		c.report(Duplicated, id, at, sender, fmt.Sprintf("seen as %d, in history as %d", m.seen, at))
	}
}
