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

// Look says that the caller begins to look through the outbox. Entries that
// come while it looks are taken as usual, or left and found by the next look.
func (t *Table) Look() { t.rest = false }

// Resume says that the outbox owes entries of id up to last. When it returns
// true the caller adds one bump for last to each member's shard, without a
// frame, and calls Settle. It returns false when the conversation is on its way
// already, or cannot be taken up yet.
func (t *Table) Resume(id wire.ChatID, last wire.Seq) bool {
	c := t.chats[id]
	switch {
	case c == nil && len(t.chats) >= MaxChats:
		t.rest = true
		return false
	case c == nil:
		c = t.newChat(id)
	case c.missed > last: // newer than what the caller read
		t.rest = true
		return false
	case c.missed == 0 && (len(c.tasks) > 0 || c.done != 0):
		return false
	}
	c.missed = 0
	c.tasks = append(c.tasks, task{seq: last, waits: 1})
	return true
}

// Looked says that the whole outbox was looked through: from now on new
// entries are fanned out as they come.
func (t *Table) Looked() { t.blind = false }

// LookFailed says that the look has to be made again.
func (t *Table) LookFailed() { t.rest = true }
