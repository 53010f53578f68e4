package edge

import (
	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// leaver is the driver of what a session left behind: its connection is gone
// or about to go, its receipts are not stored yet. It belongs to its loop, and
// is forgotten with the answer to its last request or when that expires.
type leaver struct {
	loop    *loop
	parting *session.Parting
	slot    wire.Slot // of the user
}

var _ session.Asker = (*leaver)(nil)

// Core implements session.Asker.
func (v *leaver) Core(it *peer.Item, tag uint32) bool {
	return v.loop.ask(v.parting.Session(), v.slotOf(it.Op, it.Chat), it, tag)
}

// slotOf returns the slot that a request is about.
func (v *leaver) slotOf(op peer.Op, chat wire.ChatID) wire.Slot {
	if ofUser(op) {
		return v.slot
	}
	return chat.Slot()
}

// keep sees to p until it is done.
func (l *loop) keep(p *session.Parting) {
	l.leavers[p.Session()] = &leaver{loop: l, parting: p, slot: wire.UserID(p.User()).Slot()}
	l.n.leaving.Add(1)
}

// leaverOf returns who is to hear of a request instead of a connection, or nil.
func (l *loop) leaverOf(ask *session.Ask) *leaver {
	if ask.Op != peer.OpReceipt && ask.Op != peer.OpMark {
		return nil
	}
	return l.leavers[ask.Session]
}

// forget lets go of v if it is done.
func (l *loop) forget(v *leaver) {
	if v.parting.Done() {
		delete(l.leavers, v.parting.Session())
		l.n.leaving.Add(-1)
	}
}
