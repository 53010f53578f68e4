package clienttest

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/godwit-im/godwit/wire"
)

// session is one socket. Its fields belong to whoever holds Server.mu.
type session struct {
	s      *Server
	conn   net.Conn
	out    chan []byte
	user   wire.UserID // "" until welcome
	device wire.DeviceID
}

// maxQueue bounds the frames that wait for a socket; a session that overflows
// is cut.
const maxQueue = 4096

func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	code := wire.OK
	if s.mu.faults.refuseUpgrades > 0 {
		s.mu.faults.refuseUpgrades--
		code = s.mu.faults.refuseCode
	} else if _, _, ok := owner(token); token != "" && !ok {
		code = wire.CodeTokenInvalid
	} else {
		s.mu.counts.Upgrades++
	}
	s.mu.Unlock()
	if code != wire.OK {
		refuse(w, code)
		return
	}
	u := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == wire.SubprotocolMsgpack }}
	conn, _, _, err := u.Upgrade(r, w)
	if err != nil {
		return
	}
	ses := &session{s: s, conn: conn, out: make(chan []byte, maxQueue)}
	s.mu.Lock()
	s.mu.live[ses] = true
	s.mu.Unlock()
	s.sessions.Go(ses.write)
	s.sessions.Go(func() { ses.read(token) })
}

func (ses *session) write() {
	for b := range ses.out {
		if wsutil.WriteServerBinary(ses.conn, b) != nil {
			ses.conn.Close()
		}
	}
	ses.conn.Close()
}

func (ses *session) read(token string) {
	defer func() {
		ses.s.mu.Lock()
		delete(ses.s.mu.live, ses)
		close(ses.out)
		ses.s.mu.Unlock()
	}()
	for {
		b, err := wsutil.ReadClientBinary(ses.conn)
		if err != nil {
			ses.conn.Close()
			return
		}
		var f wire.Frame
		if wire.DecodeMsgpack(b, &f) != nil {
			ses.conn.Close()
			return
		}
		ses.s.mu.Lock()
		if !ses.s.mu.faults.mute {
			ses.handle(&f, token)
		}
		ses.s.mu.Unlock()
	}
}

// push queues a frame. The lock is held.
func (ses *session) push(f *wire.Frame) {
	if ses.s.mu.faults.mute {
		return
	}
	select {
	case ses.out <- wire.AppendMsgpack(nil, f):
	default:
		ses.conn.Close()
	}
}

func (ses *session) fail(code wire.Code, after wire.Millis, cmid []byte) {
	spec := code.SpecOf()
	ses.push(&wire.Frame{Op: wire.OpError, Code: code, Message: []byte(spec.Text), Advice: []byte(spec.Do),
		Retryable: code.Retryable(), RetryAfter: after, ClientMsgID: cmid})
}

// handle takes one frame. The lock is held.
func (ses *session) handle(f *wire.Frame, token string) {
	s := ses.s
	switch f.Op {
	case wire.OpHello:
		ses.hello(f, token)
	case wire.OpSendMessage:
		s.mu.counts.Sends++
		ses.send(f)
	case wire.OpAckDelivered:
		s.mu.counts.Delivered++
		ses.receipt(f.Chat, f.Seq, wire.StatusDelivered)
	case wire.OpAckRead:
		s.mu.counts.Reads++
		ses.receipt(f.Chat, f.Seq, wire.StatusRead)
	case wire.OpTyping:
		if c := s.mu.chats[f.Chat]; c != nil {
			s.tell(c, ses.user, &wire.Frame{Op: wire.OpTyping, Chat: f.Chat, Typing: f.Typing, User: []byte(ses.user)})
		}
	case wire.OpPing:
		s.mu.counts.Pings++
		ses.push(&wire.Frame{Op: wire.OpPong})
	}
}

func (ses *session) hello(f *wire.Frame, token string) {
	if token == "" {
		token = string(f.Token)
	}
	id, device, ok := owner(token)
	if !ok {
		ses.fail(wire.CodeTokenInvalid, 0, nil)
		return
	}
	if device == "" {
		device = wire.DeviceID(f.Device)
	}
	if device == "" {
		device = "default"
	}
	ses.user, ses.device = id, device
	fl := &ses.s.mu.faults
	u := ses.s.user(id)
	ses.push(&wire.Frame{Op: wire.OpWelcome, User: []byte(id), Device: []byte(device), Cursor: u.stamp, HasCursor: true,
		HeartbeatS: uint16(fl.heartbeat / time.Second),
		Limits:     wire.Limits{Content: wire.MaxContent, Frame: uint32(wire.MaxFrame(wire.Msgpack, wire.MaxContent))}})
	since := wire.Cursor(0)
	if f.HasCursor {
		since = f.Cursor
	}
	have := u.device(device)
	for id, stamp := range u.changed {
		if stamp <= since {
			continue
		}
		c := ses.s.mu.chats[id]
		for i := range c.log {
			if c.log[i].seq > have[id] {
				ses.push(c.frame(&c.log[i]))
			}
		}
	}
	ses.push(&wire.Frame{Op: wire.OpSynced, Cursor: u.stamp, HasCursor: true})
}

func (ses *session) send(f *wire.Frame) {
	s, fl := ses.s, &ses.s.mu.faults
	if fl.failSends > 0 {
		fl.failSends--
		ses.fail(fl.failCode, fl.failAfter, f.ClientMsgID)
		return
	}
	c, code := ses.target(f)
	if code != wire.OK {
		ses.fail(code, 0, f.ClientMsgID)
		return
	}
	key := string(ses.user) + "\x00" + string(f.ClientMsgID)
	seq, repeat := c.byCMID[key]
	if !repeat {
		seq = wire.Seq(len(c.log) + 1)
		c.byCMID[key] = seq
		c.log = append(c.log, message{seq: seq, sender: ses.user, cmid: string(f.ClientMsgID), kind: string(f.Kind),
			content: slices.Clone(f.Content), replyTo: f.ReplyTo, at: wire.Millis(time.Now().UnixMilli()), originDevice: ses.device})
		s.mu.counts.Stored++
	}
	if fl.loseAcks > 0 {
		fl.loseAcks--
		s.fanOut(c, &c.log[seq-1], ses)
		ses.conn.Close()
		return
	}
	ses.push(&wire.Frame{Op: wire.OpAckSent, ClientMsgID: f.ClientMsgID, Chat: c.id, Seq: seq, At: c.log[seq-1].at})
	if !repeat {
		s.fanOut(c, &c.log[seq-1], ses)
	}
}

// target finds or makes the conversation of a send, or says what the real
// server would refuse it with.
func (ses *session) target(f *wire.Frame) (*chat, wire.Code) {
	s := ses.s
	if wire.KindReserved(f.Kind) {
		return nil, wire.CodeBadField
	}
	if len(f.To) > 0 {
		peer := wire.UserID(f.To)
		if peer == ses.user {
			return nil, wire.CodeSelfChat
		}
		id := wire.DirectChat(ses.user, peer)
		if s.mu.chats[id] == nil {
			s.add(id, "", []wire.UserID{ses.user, peer})
		}
		return s.mu.chats[id], wire.OK
	}
	c := s.mu.chats[f.Chat]
	switch {
	case c == nil:
		return nil, wire.CodeUnknownChat
	case !slices.Contains(c.members, ses.user):
		return nil, wire.CodeNotMember
	}
	return c, wire.OK
}

func (ses *session) receipt(id wire.ChatID, seq wire.Seq, st wire.Status) {
	c := ses.s.mu.chats[id]
	if c == nil || c.cursors[ses.user] == nil || seq > wire.Seq(len(c.log)) {
		return
	}
	have := ses.s.user(ses.user).device(ses.device)
	have[id] = max(have[id], seq)
	cur := c.cursors[ses.user]
	old := *cur
	cur.delivered = max(cur.delivered, seq)
	if st == wire.StatusRead {
		cur.read = max(cur.read, seq)
	}
	if *cur != old {
		ses.s.tell(c, ses.user, &wire.Frame{Op: wire.OpStatusUpdate, Chat: id, Seq: seq, User: []byte(ses.user), Status: st})
	}
}
