package fanout

import "github.com/godwit-im/godwit/wire"

// WantsLook reports whether the outbox holds something that the Table does not
// know and there is room to take it up.
func (t *Table) WantsLook() bool {
	if !t.rest {
		return false
	}
	for _, l := range t.lanes {
		if l.len() > LaneItems/2 || l.bytes() > LaneBytes/2 || l.waitFor != 0 {
			return false
		}
	}
	return true
}

// Look says that the caller begins to look through the outbox: what it reads
// from now on has everything that was left so far. Entries that come while it
// looks are taken as usual, or left and found by the next look.
func (t *Table) Look() { t.rest, t.over, t.unseen = false, false, false }

// Resume says that the outbox owes entries of id up to last. When it returns
// true the caller adds one bump for last to each member's shard, without a
// frame, and calls Settle. It returns false when the conversation is on its way
// already, or cannot be taken up yet.
func (t *Table) Resume(id wire.ChatID, last wire.Seq) bool {
	c, missed := t.chats[id], wire.Seq(0)
	switch {
	case c == nil && len(t.chats) >= t.most:
		t.noRoom()
		return false
	case c == nil:
		if c = t.newChat(id); t.unseen {
			missed = last // perhaps not the last: look again
		}
	case c.missed > last: // newer than what the caller read
		t.rest = true
		return false
	case c.missed == 0 && (len(c.tasks) > 0 || c.done != 0):
		return false
	}
	c.missed = missed
	t.begin(c, last)
	return true
}

// Looked says that the whole outbox was looked through. It reports whether
// every conversation in it is known now, so that new entries are fanned out as
// they come. Otherwise the Table was full: it wants to look again, and what
// comes until then is left to the outbox too.
func (t *Table) Looked() bool {
	t.blind = t.over
	return !t.blind
}

// LookFailed says that the look has to be made again, or that the outbox may
// still hold what was said to be done.
func (t *Table) LookFailed() { t.rest = true }
