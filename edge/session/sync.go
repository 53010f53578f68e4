package session

import (
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// syncer is a sync under way. It asks for one thing at a time, in this order,
// and is freed at the end:
//
//	open ──▶ changes ──▶ range, range, ... ──▶ changes, while there are more pages
//	                          ▲                   │     or something was missed
//	                          └── held pushes ◀───┤
//	                                              └──▶ synced
//
// open is left out when only a part may be missing (Resync). Whatever fails is
// asked again; the socket's low-water mark paces the ranges.
type syncer struct {
	after wire.Cursor // changes after this stamp are to be asked for
	rows  []syncRow   // conversations of this page still to be pulled, in order
	held  []heldPush  // live pushes since the sync began
	done  []syncRow   // the last conversations that were pulled, and up to where
	limit uint32      // messages to ask for next

	retryAt wire.Millis // not before this; 0: at once
	tries   uint8       // failures in a row
	waiting bool        // a request is out
	opened  bool        // the user's leader knows the session
	resumes bool        // after is a cursor, not "nothing known"
	more    bool        // there may be changes after after
	again   bool        // something may have been missed: one more round
	device  []byte      // of hello, until the user is known
}

// syncRow is a conversation to pull, from the entry behind after.
type syncRow struct {
	chat  wire.ChatID
	after wire.Seq
}

// heldPush stands for the live pushes of a conversation.
type heldPush struct {
	chat        wire.ChatID
	first, last wire.Seq
}

// maxHints is how many answers in a row may name another leader and be
// followed at once. After that the nodes disagree, and time has to pass.
const maxHints = 3

func (y *syncer) dueAt() wire.Millis {
	if y.waiting || y.retryAt == 0 {
		return never
	}
	return y.retryAt
}

// advance asks for the next thing, if it may.
func (s *Session) advance(l *Loop) {
	y := s.sync
	for s.state != Closed && s.userLen != 0 && !y.waiting && y.retryAt <= l.Now {
		switch {
		case !y.opened:
			s.askOpen(l)
		case len(y.rows) > 0:
			if int(s.outbound) > l.low() {
				return // OutboundBuffered comes back here
			}
			s.askSync(l, peer.Item{Op: peer.OpRange, Chat: y.rows[0].chat, User: s.User(), After: uint64(y.rows[0].after), Limit: y.limit})
		case y.more:
			s.askSync(l, peer.Item{Op: peer.OpChanges, User: s.User(), Device: s.Device(), After: uint64(y.after), Limit: ChangesPage})
		case y.again: // before held: what was missed lies before it in the log
			y.again, y.more = false, true
		case len(y.held) > 0:
			y.pullHeld()
		default:
			s.synced(l)
			return
		}
	}
}

func (s *Session) askOpen(l *Loop) {
	y := s.sync
	it := peer.Item{Op: peer.OpOpen, Session: s.id, User: s.User(), Device: s.Device()}
	if y.resumes {
		// Until the first answer after is what hello said. Later it may be ahead
		// of what has been sent, and the core believes what it is told here.
		after := y.after
		if s.state != Authenticating {
			after = s.cursor
		}
		it.Flags, it.After = peer.FlagCursor, uint64(after)
	}
	s.flags |= flagOpened
	s.askSync(l, it)
}

// askSync sends the sync's next request under a new tag: the answer to an
// older one is not waited for any more.
func (s *Session) askSync(l *Loop, it peer.Item) {
	y := s.sync
	s.tag++
	l.item = it
	y.retryAt = 0
	if y.waiting = l.out.Core(&l.item, s.tag); !y.waiting {
		y.retryAt = l.Now + RetryEvery
	}
}

// syncAnswered takes the answer to the sync's request and goes on.
func (s *Session) syncAnswered(l *Loop, ask *Ask, it *peer.Item) {
	y := s.sync
	if y == nil || !y.waiting || ask.Tag != s.tag {
		l.Counters.StaleReplies.Add(1)
		return
	}
	y.waiting = false
	switch {
	case it.Code != wire.OK:
		s.syncFailed(l, ask.Op, it)
	case ask.Op == peer.OpOpen:
		y.tries = 0
		s.opened(l, it)
	case ask.Op == peer.OpChanges:
		y.tries = 0
		y.takeChanges(it)
	default:
		y.tries = 0
		s.takeRange(l, it)
	}
	if s.state != Closed {
		s.advance(l)
	}
}

// syncFailed decides what a refused request means. A conversation that is not
// there or not the user's any more is left out; a user that may not open ends
// the connection; all else is asked again.
func (s *Session) syncFailed(l *Loop, op peer.Op, it *peer.Item) {
	y := s.sync
	switch {
	case op == peer.OpRange && final(it.Code):
		s.rowDone()
	case op == peer.OpOpen && (it.Code == wire.CodeTooManySessions || final(it.Code)):
		s.fatal(l, it.Code)
	case it.Code == wire.CodeNotLeader && it.Node != 0 && y.tries < maxHints:
		y.tries++
	default:
		y.retryAt = l.Now + RetryEvery
	}
}

// opened takes the answer to OpOpen. The first one makes the session live.
func (s *Session) opened(l *Loop, it *peer.Item) {
	y := s.sync
	y.opened, y.resumes = true, true
	if s.state != Authenticating {
		if head := wire.Cursor(it.After); head < s.cursor { // the counter has gone back: a restore
			y.after, s.cursor = head, head
		}
		y.again = true
		return
	}
	y.after, y.more = wire.Cursor(it.After), true
	s.cursor = y.after
	s.welcome(l)
}

// takeChanges reads a page of changed conversations. Each is pulled, also when
// the device has all its messages: the cursors of the members may have moved.
func (y *syncer) takeChanges(it *peer.Item) {
	y.rows = make([]syncRow, 0, min(ChangesPage, len(it.List)/24))
	more := it.Flags&peer.FlagMore != 0
	reached := y.after
	list := it.List
	for {
		row, rest, ok := peer.NextRow(list)
		if !ok {
			break
		}
		if len(y.rows) == ChangesPage {
			more = true
			break
		}
		list = rest
		y.rows = append(y.rows, syncRow{chat: row.Chat, after: row.Delivered})
		reached = max(reached, row.Stamp)
	}
	if !more {
		reached = max(reached, it.Stamp)
	}
	y.more = more && reached > y.after // a page that leads nowhere is the last
	y.after = reached
}

// takeRange writes a page of messages, as much as the socket has room for. The
// rest of the page is dropped and asked for again: holding it would hold it in
// memory for the slowest clients.
func (s *Session) takeRange(l *Loop, it *peer.Item) {
	y := s.sync
	row := &y.rows[0]
	sent, cut := 0, false
	for list := it.List; !cut; {
		frame, rest, ok := peer.NextBytes(list)
		if !ok {
			break
		}
		list = rest
		if wire.DecodeMsgpack(frame, &l.frame) != nil || l.frame.Op != wire.OpNewMessage || l.frame.Seq <= row.after {
			continue
		}
		room := int(s.outbound)+len(frame) <= l.page()
		if !room && (sent > 0 || int(s.outbound) > l.low()) {
			cut = true
			continue
		}
		if !s.writePulled(l, frame) {
			return // closed
		}
		row.after = l.frame.Seq
		sent++
	}
	switch {
	case cut:
		y.limit = uint32(max(sent, 1))
	case it.Flags&peer.FlagMore != 0 && sent > 0:
		y.limit = min(2*y.limit, MaxRangePage)
	default:
		s.writeStatuses(l, row.chat, it.Cursors)
		s.rowDone()
	}
}

// writePulled writes a frame that is decoded in l.frame and lies in msgpack.
func (s *Session) writePulled(l *Loop, msgpack []byte) bool {
	if s.reader.format == wire.Msgpack {
		return s.write(l, dear, msgpack)
	}
	l.encode(s.reader.format)
	return s.write(l, dear, l.buf)
}

// writeStatuses tells how far the other members have come, so that the ticks
// of the user's own messages are right, and what the user has read elsewhere.
func (s *Session) writeStatuses(l *Loop, chat wire.ChatID, list []byte) {
	for range MaxStatuses {
		c, rest, ok := peer.NextCursor(list)
		if !ok {
			return
		}
		list = rest
		if c.Delivered > c.Read && string(c.User) != string(s.User()) {
			s.writeStatus(l, chat, c.User, c.Delivered, wire.StatusDelivered)
		}
		if c.Read > 0 {
			s.writeStatus(l, chat, c.User, c.Read, wire.StatusRead)
		}
	}
}

func (s *Session) writeStatus(l *Loop, chat wire.ChatID, user []byte, seq wire.Seq, status wire.Status) {
	cursor := l.told.key(s.id, chat, user, status)
	if !l.told.news(cursor, seq) {
		l.Counters.OldStatuses.Add(1)
		return
	}
	l.frame = wire.Frame{Op: wire.OpStatusUpdate, Chat: chat, Seq: seq, User: user, Status: status}
	if s.send(l) {
		l.told.told(cursor, seq)
	}
}

// rowDone goes to the next conversation. What was pulled covers held pushes.
func (s *Session) rowDone() {
	y := s.sync
	if y == nil {
		return // closed meanwhile
	}
	row := y.rows[0]
	if len(y.done) == MaxHeld {
		y.done = append(y.done[:0], y.done[1:]...)
	}
	y.done = append(y.done, row)
	for i := range y.held {
		if h := &y.held[i]; h.chat == row.chat {
			if h.first = max(h.first, row.after+1); h.first > h.last {
				y.held[i] = y.held[len(y.held)-1]
				y.held = y.held[:len(y.held)-1]
			}
			break
		}
	}
	y.rows = y.rows[1:]
	y.limit = FirstRangePage
	if len(y.rows) == 0 {
		s.cursor = y.after
	}
}

// synced ends the sync.
func (s *Session) synced(l *Loop) {
	s.cursor = s.sync.after
	s.sync = nil
	l.Counters.Syncs.Add(1)
	l.frame = wire.Frame{Op: wire.OpSynced, Cursor: s.cursor, HasCursor: true}
	s.send(l)
}

// hold remembers a live push until it is pulled.
func (s *Session) hold(l *Loop, chat wire.ChatID, seq wire.Seq) {
	y := s.sync
	for _, d := range y.done {
		if d.chat == chat && seq <= d.after {
			return // the push was slower than the pull
		}
	}
	for i := range y.held {
		if h := &y.held[i]; h.chat == chat {
			h.first, h.last = min(h.first, seq), max(h.last, seq)
			return
		}
	}
	if len(y.held) == MaxHeld {
		l.Counters.HeldOverflow.Add(1)
		y.again = true
		return
	}
	y.held = append(y.held, heldPush{chat: chat, first: seq, last: seq})
}

// pullHeld makes the held pushes the next conversations to pull.
func (y *syncer) pullHeld() {
	for _, h := range y.held {
		y.rows = append(y.rows, syncRow{chat: h.chat, after: h.first - min(h.first, 1)})
	}
	y.held = y.held[:0]
}

// Resync syncs again from the last cursor, as OpResync asks. The client sees
// only messages, statuses and another synced.
func (s *Session) Resync(l *Loop, out Actions) {
	l.out = out
	if s.state == Live || s.state == Draining {
		s.resync(l)
		s.plan(l)
	}
}

func (s *Session) resync(l *Loop) {
	l.Counters.Resyncs.Add(1)
	s.flags &^= flagStale
	if s.sync != nil {
		s.sync.again = true
		return
	}
	s.sync = &syncer{after: s.cursor, resumes: true, opened: true, more: true, limit: FirstRangePage}
	s.advance(l)
}

// Reopen opens the session again at the leader of the user's shard, as
// OpReopen asks and after the link to that leader was lost, and syncs. What a
// sync under way has reached is kept.
func (s *Session) Reopen(l *Loop, out Actions) {
	l.out = out
	if s.userLen == 0 || s.state == Handshake || s.state == Closed {
		return
	}
	l.Counters.Resyncs.Add(1)
	s.flags &^= flagStale
	if s.sync == nil {
		s.sync = &syncer{after: s.cursor, resumes: true, limit: FirstRangePage}
	}
	y := s.sync
	y.opened, y.waiting, y.retryAt, y.tries = false, false, 0, 0
	s.advance(l)
	s.plan(l)
}
