package session

import (
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// sendMessage passes l.in to the conversation's shard. It is not answered
// here: ack_sent leaves when the shard has answered.
func (s *Session) sendMessage(l *Loop) {
	in := &l.in
	if wire.KindReserved(in.Kind) {
		s.refuse(l, refusal{code: wire.CodeBadField, op: in.Op, field: "kind", chat: in.Chat, id: in.ClientMsgID})
		return
	}
	if code := s.judgeSend(l); code != wire.OK {
		s.refuseIn(l, code, 0)
		return
	}
	if int(s.inFlight) >= l.cfg.InFlight {
		s.refuseIn(l, wire.CodeTooFast, SendRetryAfter)
		return
	}
	l.item = peer.Item{
		Op: peer.OpAppend, Chat: in.Chat, Session: s.id, User: s.User(), Device: s.Device(), Peer: in.To,
		ClientMsgID: in.ClientMsgID, Kind: in.Kind, ReplyTo: in.ReplyTo, Body: in.Content,
	}
	if len(in.To) != 0 {
		l.item.Chat = wire.DirectChat(wire.UserID(s.User()), wire.UserID(in.To))
	}
	if !l.out.Core(&l.item, 0) {
		s.refuseIn(l, wire.CodeUnavailable, SendRetryAfter)
		return
	}
	s.inFlight++
	l.Counters.Sends.Add(1)
}

// judgeSend says what is wrong with the send in l.in, in the order of
// wire.Codes.
func (s *Session) judgeSend(l *Loop) wire.Code {
	in := &l.in
	switch {
	case in.Chat.IsZero() == (len(in.To) == 0):
		return wire.CodeNoRecipient
	case len(in.Content) > l.cfg.MaxContent:
		return wire.CodeContentTooBig
	case string(in.To) == string(s.User()):
		return wire.CodeSelfChat
	}
	return wire.OK
}

// sendAnswered turns the shard's answer into ack_sent or an error.
func (s *Session) sendAnswered(l *Loop, ask *Ask, it *peer.Item) {
	s.inFlight -= min(s.inFlight, 1)
	if it.Code != wire.OK {
		s.refuse(l, sendRefusal(it.Code, ask))
		return
	}
	chat := it.Chat
	if chat.IsZero() {
		chat = ask.Chat
	}
	l.Counters.Acked.Add(1)
	l.frame = wire.Frame{Op: wire.OpAckSent, ClientMsgID: ask.ClientMsgID, Chat: chat, Seq: it.Seq, At: it.At}
	s.send(l)
}

// sendRefusal is what a client hears of a core's refusal. Where in the fleet
// the send went wrong is not its business: it may try again.
func sendRefusal(code wire.Code, ask *Ask) refusal {
	r := refusal{code: code, op: wire.OpSendMessage, chat: ask.Chat, id: ask.ClientMsgID}
	switch {
	case code == wire.CodeStorage:
		r.after = StorageRetryAfter
	case code.SpecOf() == nil:
		r.code, r.after = wire.CodeUnavailable, SendRetryAfter
	case code.Retryable():
		r.after = SendRetryAfter
	}
	return r
}

// typing forwards a hint. Clients send start on every key press; more than the
// protocol allows is dropped without a word, because nobody misses it.
func (s *Session) typing(l *Loop) {
	state := l.in.Typing
	start := state == wire.TypingStart
	switch {
	case start && s.typed != 0 && l.Now < s.typed+wire.Millis(wire.TypingEvery.Milliseconds()),
		!start && s.flags&flagTyping == 0:
		l.Counters.TypingTooFast.Add(1)
		return
	case start:
		s.typed = l.Now
		s.flags |= flagTyping
	default:
		s.flags &^= flagTyping
	}
	l.item = peer.Item{Op: peer.OpTyping, Chat: l.in.Chat, User: s.User(), Flags: uint8(state), Session: s.id}
	l.out.Core(&l.item, 0)
}
