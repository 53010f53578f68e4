package sim

import (
	"errors"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// device is one device of a user: the SDK's machine and an application that
// keeps its cursor and what it has not got an answer for on disk.
type device struct {
	w    *world
	user wire.UserID
	chat uint32
	side int
	no   int // which of the user's devices

	m     *client.Machine
	life  uint32
	sock  *socket
	rx    []byte
	waked time.Time // the wake-up that is scheduled
	wakes uint64

	cursor    wire.Cursor
	hasCursor bool
	unacked   []workload.ID
	synced    wire.Cursor // the greatest that the server said
	hello     wire.Cursor // what the connection began with

	top  wire.Seq // newest entry that this connection was sent
	last wire.Seq // newest entry that this machine has yielded
	told map[toldKey]wire.Seq
}

var (
	errCut    = errors.New("sim: the connection was cut")
	errHangup = errors.New("sim: the client hung up")
	errSlow   = errors.New("sim: no answer in time")
)

const fetchTimeout = 10 * time.Second

// clock is the time as the SDK has it.
func (w *world) clock() time.Time { return time.UnixMilli(birth).Add(w.e.now) }

// start begins a life of the application.
func (d *device) start() {
	d.life++
	d.rx, d.sock, d.last, d.waked = nil, nil, 0, time.Time{}
	d.m = client.NewMachine(client.MachineConfig{
		Device: deviceName(d.no), Cursor: d.cursor, HasCursor: d.hasCursor, Seed: d.w.e.rnd.Uint64(),
		BackoffHi: 5 * time.Second,
	})
	for _, id := range d.unacked {
		d.post(id)
	}
	d.pump()
}

func deviceName(no int) wire.DeviceID { return wire.DeviceID("d" + string(rune('0'+no))) }

// crash ends the application; it starts again after a while.
func (d *device) crash(back time.Duration) {
	if d.sock != nil {
		d.sock.hangUp()
	}
	d.sock, d.m = nil, nil
	d.life++
	d.w.e.after(back, d.start)
}

// send takes a message over.
func (d *device) send(id workload.ID) {
	d.unacked = append(d.unacked, id)
	for _, c := range d.w.checks {
		c.Sent(id)
	}
	d.w.note(record{kind: "sends", user: d.user, dev: d.no, chat: id.Chat, k: id.K, has: true})
	if d.m != nil {
		d.post(id)
		d.pump()
	}
}

func (d *device) post(id workload.ID) {
	to := client.ToChat(d.w.chats[id.Chat].id)
	if !d.w.plan.IsGroup(id.Chat) {
		to = client.ToUser(d.w.plan.User(id.Chat, 1-d.side))
	}
	err := d.m.Send(client.Outgoing{Target: to, Content: d.w.plan.AppendContent(nil, id, 0), ID: string(d.w.plan.ClientMsgID(id))})
	if err != nil {
		d.w.fault("%s cannot send: %v", d.user, err)
	}
}

// pump drives the machine until it has nothing more to do now.
func (d *device) pump() {
	now := d.w.clock()
	m := d.m
	m.Tick(now)
	d.events()
	var out []byte
	var f wire.Frame
	for m.Next(&f, now) {
		if f.Op == wire.OpHello {
			d.hello = f.Cursor
		}
		out = appendFrame(out, uint32(d.w.e.rnd.Uint64()), &f)
	}
	if len(out) > 0 && d.sock != nil {
		d.sock.write(toEdge, out)
	}
	if req, ok := m.Fetch(now); ok {
		d.fetch(req)
	}
	switch m.Wish(now) {
	case client.WishDial:
		m.Dialing()
		d.dial()
	case client.WishHangup:
		d.sock.hangUp()
		d.sock = nil
		m.Lost(errHangup, now)
		d.events()
	case client.WishStop:
		d.w.fault("the machine of %s ended: %v", d.user, m.Err())
		return
	}
	d.plan(now)
}

// plan has the machine woken when it wants.
func (d *device) plan(now time.Time) {
	due := d.m.Deadline()
	if due.IsZero() || due.Equal(d.waked) {
		return
	}
	d.waked = due
	d.wakes++
	n, life := d.wakes, d.life
	d.w.e.after(max(due.Sub(now), 0), func() {
		if d.life == life && d.wakes == n {
			d.waked = time.Time{}
			d.pump()
		}
	})
}

// dial opens a socket to some edge.
func (d *device) dial() {
	life := d.life
	g := d.w.edges[d.w.e.rnd.IntN(len(d.w.edges))]
	d.w.e.after(d.w.e.between(ms, 30*ms), func() {
		if d.life != life {
			return
		}
		if !g.p.up || g.p.paused {
			d.m.Lost(errCut, d.w.clock())
			d.pump()
			return
		}
		s := &socket{w: d.w, d: d, g: g}
		d.sock, d.rx, d.top = s, nil, 0
		g.accept(s)
		d.m.Opened(string(d.user), d.w.clock())
		d.pump()
	})
}

// lost says that the connection is gone.
func (d *device) lost(s *socket, err error) {
	if d.sock != s {
		return
	}
	d.sock = nil
	d.m.Lost(err, d.w.clock())
	d.pump()
}

// receive takes bytes from the edge.
func (d *device) receive(s *socket, b []byte) {
	if d.sock != s {
		return
	}
	d.rx = append(d.rx, b...)
	for d.sock == s {
		op, body, rest, ok := nextFrame(d.rx)
		if !ok {
			break
		}
		d.rx = rest
		switch op {
		case ws.OpBinary:
			d.look(body)
			d.m.Received(body, d.w.clock())
		case ws.OpClose:
			s.hangUp()
			d.lost(s, errCut)
			return
		}
	}
	d.pump()
}

// fetch asks the REST interface of some edge for history.
func (d *device) fetch(req client.FetchRequest) {
	life, once := d.life, false
	answer := func(msgs []client.Message, err error) {
		if d.life == life && !once {
			once = true
			d.m.Fetched(req, msgs, err, d.w.clock())
			d.pump()
		}
	}
	d.w.e.after(fetchTimeout, func() { answer(nil, errSlow) })
	g := d.w.edges[d.w.e.rnd.IntN(len(d.w.edges))]
	g.p.after(d.w.e.between(ms, 10*ms), func() {
		it := peer.Item{Op: peer.OpRange, Chat: req.Chat, User: []byte(d.user), After: uint64(req.After), Limit: uint32(req.Limit)}
		g.rest(req.Chat.Slot(), it, fetchTimeout, func(rep *peer.Item) {
			if rep == nil || rep.Code != wire.OK {
				return // the time-out says so
			}
			msgs := messagesOf(rep.List)
			d.w.e.after(d.w.e.between(ms, 10*ms), func() { answer(msgs, nil) })
		})
	})
}

// messagesOf reads the frames of an OpRangeReply.
func messagesOf(list []byte) (msgs []client.Message) {
	for {
		b, rest, ok := peer.NextBytes(list)
		if !ok {
			return msgs
		}
		list = rest
		var f wire.Frame
		if wire.DecodeMsgpack(b, &f) == nil {
			msgs = append(msgs, client.Message{ChatID: f.Chat, MessageID: f.Seq, SenderID: client.UserID(f.User),
				Content: append([]byte(nil), f.Content...), Kind: string(f.Kind), ClientMsgID: string(f.ClientMsgID)})
		}
	}
}

// events hands what the machine yields to the application and the checkers.
func (d *device) events() {
	for {
		r, ok := d.m.Result()
		if !ok {
			break
		}
		d.result(r)
	}
	for {
		ev, ok := d.m.Event()
		if !ok {
			return
		}
		switch ev := ev.(type) {
		case client.Message:
			d.message(&ev)
		case client.Status:
			if of, ok := d.w.plan.SideOf(d.chat, []byte(ev.UserID)); ok {
				d.status(of, &ev)
			}
		case client.Synced:
			d.cursor, d.hasCursor = ev.Cursor, true
		}
		d.m.Taken(ev)
	}
}

// status takes what the device is told of another member's cursor.
func (d *device) status(of int, ev *client.Status) {
	if d.told == nil {
		d.told = map[toldKey]wire.Seq{}
	}
	k := toldKey{of, ev.Status}
	if ev.MessageID < d.told[k] && !d.w.cfg.StrictStatus {
		d.w.figures.statusBack++
		return
	}
	d.told[k] = max(d.told[k], ev.MessageID)
	d.w.checks[d.no].Status(d.chat, d.side, of, ev.MessageID, ev.Status)
	if ev.MessageID > d.w.audit.cursor(d.chat, ev.UserID, ev.Status) {
		d.w.fault("receipt: %s device %d was told that %s has %d, which nobody has recorded", d.user, d.no, ev.UserID, ev.MessageID)
	}
}

// toldKey names a cursor of another member.
type toldKey struct {
	of     int
	status wire.Status
}

func (d *device) result(r client.Result) {
	id, ok := d.w.plan.ParseClientMsgID([]byte(r.ID))
	if !ok || r.Err != nil {
		d.w.fault("%s: send %s ended: %v", d.user, r.ID, r.Err)
		return
	}
	d.w.note(record{kind: "is told stored", user: d.user, dev: d.no, chat: id.Chat, k: id.K, seq: r.Ack.MessageID, has: true})
	for _, c := range d.w.checks {
		c.Acked(id, r.Ack.MessageID)
	}
	for i, u := range d.unacked {
		if u == id {
			d.unacked = append(d.unacked[:i], d.unacked[i+1:]...)
			break
		}
	}
	d.w.acked++
}

// message is what the application does with a message: it reads some at once.
func (d *device) message(m *client.Message) {
	if m.ChatID != d.w.chats[d.chat].id {
		d.w.fault("%s was given a message of a conversation it is not in", d.user)
		return
	}
	if d.last != 0 && m.MessageID <= d.last {
		d.w.fault("%s device %d was given %d after %d", d.user, d.no, m.MessageID, d.last)
	}
	d.last = m.MessageID
	if m.Kind != client.KindGroupCreated {
		id, _ := d.w.checks[d.no].Received(d.chat, d.side, m.MessageID, []byte(m.ClientMsgID), m.Content)
		d.w.note(record{kind: "is given", user: d.user, dev: d.no, chat: d.chat, k: id.K, seq: m.MessageID, has: true})
	}
	if d.w.e.chance(0.3) {
		d.m.Read(m.ChatID, m.MessageID)
	}
}

// look judges a frame as it comes from the socket, before the SDK mends it.
func (d *device) look(body []byte) {
	var f wire.Frame
	if wire.DecodeMsgpack(body, &f) != nil {
		d.w.fault("%s was sent a frame that cannot be read", d.user)
		return
	}
	switch f.Op {
	case wire.OpWelcome:
		if d.hello > 0 && f.Cursor < d.hello {
			d.w.fault("cursor back: %s device %d said %d and was welcomed at %d", d.user, d.no, d.hello, f.Cursor)
		}
	case wire.OpSynced:
		if f.Cursor < d.synced {
			d.w.fault("cursor back: %s device %d was synced to %d, now to %d", d.user, d.no, d.synced, f.Cursor)
		}
		d.synced = f.Cursor
	case wire.OpNewMessage:
		d.w.note(record{kind: "is sent", user: d.user, dev: d.no, chat: d.chat, seq: f.Seq})
		for q := d.top + 1; d.top != 0 && q < f.Seq; q++ {
			d.w.audit.skipped(d, q)
		}
		d.top = max(d.top, f.Seq)
	}
}
