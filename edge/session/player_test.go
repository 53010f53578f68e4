package session

import (
	"fmt"
	"strings"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

func (p *player) note(format string, args ...any) {
	p.did = append(p.did, shorten(fmt.Sprintf(format, args...)))
}

// Send implements Actions.
func (p *player) Send(b []byte) {
	var f wire.Frame
	if err := wire.Decode(b, &f, p.sess.Format()); err != nil {
		p.t.Errorf("sent a frame that cannot be decoded: %v: %x", err, b)
	}
	if len(f.Content) > 20 {
		p.note("send new_message %v %d with %d bytes", f.Chat, f.Seq, len(f.Content))
		return
	}
	p.note("send %s", wire.AppendJSON(nil, &f))
}

// Pong implements Actions.
func (p *player) Pong(b []byte) { p.note("pong %x", b) }

// Close implements Actions.
func (p *player) Close(status uint16, why wire.Code) {
	p.note("close %d %s", status, why.String())
	p.done = true
}

// Authenticate implements Actions.
func (p *player) Authenticate(token []byte) { p.note("authenticate %s", token) }

// Wake implements Actions.
func (p *player) Wake(at wire.Millis) {
	if p.wake != 0 && at >= p.wake {
		p.t.Errorf("asked for a wake at %d although one at %d was asked for", at, p.wake)
	}
	p.wake = at
}

// Parted implements Actions.
func (p *player) Parted(left *Parting) {
	p.left = left
	p.note("parted with %d receipts", len(left.rows))
}

// Core implements Actions.
func (p *player) Core(it *peer.Item, tag uint32) bool {
	if !p.reach {
		p.note("core %v: out of reach", it.Op)
		return false
	}
	p.asks = append(p.asks, Ask{Session: 7, Chat: it.Chat, Tag: tag, Op: it.Op, ClientMsgID: []byte(string(it.ClientMsgID))})
	var b strings.Builder
	fmt.Fprintf(&b, "core #%d %v", len(p.asks), it.Op)
	add := func(name string, v any, show bool) {
		if show {
			fmt.Fprintf(&b, " %s=%v", name, v)
		}
	}
	add("chat", it.Chat, !it.Chat.IsZero())
	add("user", string(it.User), true)
	add("device", string(it.Device), len(it.Device) > 0)
	add("peer", string(it.Peer), len(it.Peer) > 0)
	add("id", string(it.ClientMsgID), len(it.ClientMsgID) > 0)
	add("body", string(it.Body), len(it.Body) > 0)
	add("flags", it.Flags, it.Flags != 0)
	add("after", it.After, it.Op == peer.OpOpen || it.Op == peer.OpChanges || it.Op == peer.OpRange)
	add("limit", it.Limit, it.Limit > 0)
	add("delivered", it.Delivered, it.Delivered > 0)
	add("read", it.Read, it.Read > 0)
	p.note("%s", b.String())
	return true
}
