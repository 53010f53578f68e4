package swarm

import (
	"errors"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// errClosed says that the server closed the connection in good order.
var errClosed = errors.New("closed by the server")

// readLoop handles what arrives until the connection ends. Receipts are
// cumulative, so one ack_delivered covers whatever arrived in one read.
func (u *user) readLoop(f *framer) error {
	var chat wire.ChatID
	var delivered wire.Seq
	owed := false // an ack, also for a repeat: it says that ours did not count
	for {
		if err := f.conn.SetReadDeadline(time.Now().Add(2 * u.s.opt.Heartbeat)); err != nil {
			return err
		}
		op, b, err := f.read()
		if err != nil {
			return err
		}
		switch op {
		case ws.OpClose:
			return errClosed
		case ws.OpPing:
			u.mu.Lock()
			err = f.pong(b)
			u.mu.Unlock()
			if err != nil {
				return err
			}
			continue
		case ws.OpBinary:
		default:
			continue
		}
		if err := wire.DecodeMsgpack(b, &u.frame); err != nil {
			return err
		}
		if err := u.handle(f); err != nil {
			return err
		}
		if u.frame.Op == wire.OpNewMessage && string(u.frame.User) != string(u.name) {
			chat, delivered, owed = u.frame.Chat, max(delivered, u.frame.Seq), true
		}
		if owed && f.br.Buffered() == 0 {
			u.mu.Lock()
			err := f.write(&wire.Frame{Op: wire.OpAckDelivered, Chat: chat, Seq: delivered})
			u.mu.Unlock()
			if err != nil {
				return err
			}
			owed = false
		}
	}
}

func (u *user) handle(f *framer) error {
	s, fr := u.s, &u.frame
	switch fr.Op {
	case wire.OpAckSent:
		if id, ok := s.opt.Work.ParseClientMsgID(fr.ClientMsgID); ok {
			u.acked(id, fr.Seq)
		}
	case wire.OpNewMessage:
		s.Count.Received.Add(1)
		if string(fr.Kind) == wire.KindGroupCreated {
			break
		}
		id, first := s.Check.Received(u.chat, u.side, fr.Seq, fr.ClientMsgID, fr.Content)
		if first {
			_, due, _ := s.opt.Work.ParseContent(fr.Content)
			s.Lat.Receive.record(s, due)
			s.last.Store(int64(time.Since(s.born)))
			s.chats[id.Chat].event()
		}
	case wire.OpStatusUpdate:
		s.Count.Statuses.Add(1)
		if of, ok := s.opt.Work.SideOf(u.chat, fr.User); ok {
			s.Check.Status(u.chat, u.side, of, fr.Seq, fr.Status)
		}
	case wire.OpSynced:
		u.cursor, u.hasCursor = fr.Cursor, true
	case wire.OpGoingAway:
		return wire.CodeGoingAway
	case wire.OpError:
		return u.refused(f)
	}
	return nil
}

// acked takes the answered send off the list.
func (u *user) acked(id workload.ID, seq wire.Seq) {
	again := u.s.Check.Acked(id, seq)
	u.mu.Lock()
	for i, m := range u.mu.unacked {
		if m.id == id {
			u.mu.unacked = append(u.mu.unacked[:i], u.mu.unacked[i+1:]...)
			if !again {
				u.s.Count.Acked.Add(1)
				if u.s.opt.Work.IsGroup(u.chat) {
					u.s.Count.GroupAcked.Add(1)
				}
				u.s.Lat.Ack.record(u.s, m.due)
				if told := u.s.opt.Acked; told != nil {
					told(m.id, m.due, u.s.clock()-m.due)
				}
			}
			break
		}
	}
	u.mu.Unlock()
	if !again {
		u.s.chats[u.chat].event()
	}
}

// refused handles an error frame: a retryable send is repeated when the server
// says so, anything else ends the connection and shows in the report.
func (u *user) refused(f *framer) error {
	u.s.Count.Errors.Add(1)
	u.s.Errs.add(u.frame.Code)
	id, isSend := u.s.opt.Work.ParseClientMsgID(u.frame.ClientMsgID)
	if !isSend || !u.frame.Retryable {
		return u.frame.Code
	}
	after := max(time.Duration(u.frame.RetryAfter)*time.Millisecond, 20*time.Millisecond)
	time.AfterFunc(after, func() { u.resend(f, id) })
	return nil
}

// resend repeats one send if it is still unanswered on the same connection.
func (u *user) resend(f *framer, id workload.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.mu.f != f {
		return // the next connection repeats all
	}
	for _, m := range u.mu.unacked {
		if m.id == id {
			u.s.Count.Resent.Add(1)
			if u.transmit(f, m) != nil {
				f.conn.Close()
			}
			return
		}
	}
}

// event moves the closed loop on. The channel holds what one turn can make;
// more is a repeat and may be dropped.
func (c *chat) event() {
	select {
	case c.turn <- struct{}{}:
	default:
	}
}
