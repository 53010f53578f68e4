package clienttest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/godwit-im/godwit/wire"
)

// add makes a conversation. The lock is held, as in every method below that
// is not an HTTP handler.
func (s *Server) add(id wire.ChatID, name string, members []wire.UserID) *chat {
	c := &chat{id: id, name: name, members: members, byCMID: map[string]wire.Seq{}, cursors: map[wire.UserID]*cursor{}}
	for _, m := range members {
		c.cursors[m] = &cursor{}
		s.user(m).touch(id)
	}
	s.mu.chats[id] = c
	return c
}

func (s *Server) user(id wire.UserID) *user {
	u := s.mu.users[id]
	if u == nil {
		u = &user{changed: map[wire.ChatID]wire.Cursor{}, devices: map[wire.DeviceID]map[wire.ChatID]wire.Seq{}}
		s.mu.users[id] = u
	}
	return u
}

func (u *user) touch(id wire.ChatID) {
	u.stamp++
	u.changed[id] = u.stamp
}

func (u *user) device(id wire.DeviceID) map[wire.ChatID]wire.Seq {
	if u.devices[id] == nil {
		u.devices[id] = map[wire.ChatID]wire.Seq{}
	}
	return u.devices[id]
}

// fanOut tells every session of every member but the sending one.
func (s *Server) fanOut(c *chat, m *message, from *session) {
	for _, member := range c.members {
		s.user(member).touch(c.id)
	}
	have := s.user(m.sender).device(m.originDevice)
	if have[c.id] == m.seq-1 {
		have[c.id] = m.seq
	}
	if s.mu.faults.skipPushes > 0 {
		s.mu.faults.skipPushes--
		return
	}
	for ses := range s.mu.live {
		if ses != from && slices.Contains(c.members, ses.user) {
			ses.push(c.frame(m))
		}
	}
}

// tell pushes a hint to the other members.
func (s *Server) tell(c *chat, except wire.UserID, f *wire.Frame) {
	for ses := range s.mu.live {
		if ses.user != except && slices.Contains(c.members, ses.user) {
			ses.push(f)
		}
	}
}

func (c *chat) frame(m *message) *wire.Frame {
	return &wire.Frame{Op: wire.OpNewMessage, Chat: c.id, Seq: m.seq, User: []byte(m.sender), Content: m.content,
		Kind: []byte(m.kind), At: m.at, ClientMsgID: []byte(m.cmid), ReplyTo: m.replyTo}
}

func (c *chat) json(m *message) map[string]any {
	j := map[string]any{"chat_id": c.id.String(), "message_id": m.seq, "sender_id": m.sender, "created_at": m.at, "client_msg_id": m.cmid}
	if utf8.Valid(m.content) {
		j["content"] = string(m.content)
	} else {
		j["content_b64"] = m.content
	}
	if m.kind != "" {
		j["kind"] = m.kind
	}
	if m.replyTo != 0 {
		j["reply_to"] = m.replyTo
	}
	return j
}

// caller returns who asks, or answers the request with what is wrong.
func caller(w http.ResponseWriter, r *http.Request) (wire.UserID, bool) {
	id, _, ok := owner(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if !ok {
		refuse(w, wire.CodeTokenInvalid)
	}
	return id, ok
}

func (s *Server) devToken(w http.ResponseWriter, r *http.Request) {
	var in struct{ User, Device string }
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in) != nil || !wire.ValidID(in.User) || strings.Contains(in.User, ".") {
		refuse(w, wire.CodeBadRequest)
		return
	}
	respond(w, map[string]any{"token": s.Token(wire.UserID(in.User), wire.DeviceID(in.Device)), "user_id": in.User, "expires_at": time.Now().Add(time.Hour)})
}

func (s *Server) about(w http.ResponseWriter, _ *http.Request) {
	respond(w, map[string]any{"name": "godwit", "version": "clienttest", "dev_sign_in": true, "heartbeat_s": 30})
}

func (s *Server) listChats(w http.ResponseWriter, r *http.Request) {
	id, ok := caller(w, r)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(id)
	list := []map[string]any{}
	for _, c := range s.mu.chats {
		if !slices.Contains(c.members, id) {
			continue
		}
		last := wire.Seq(len(c.log))
		j := map[string]any{"chat_id": c.id.String(), "kind": "group", "name": c.name, "last_message_id": last,
			"last_read_message_id": c.cursors[id].read, "unread": last - c.cursors[id].read, "updated_at": 0, "stamp": u.changed[c.id]}
		if c.id.Kind() == wire.Direct {
			j["kind"], j["peer_id"] = "direct", c.members[0]
			if c.members[0] == id {
				j["peer_id"] = c.members[1]
			}
		}
		if last > 0 {
			j["last_message"], j["updated_at"] = c.json(&c.log[last-1]), c.log[last-1].at
		}
		list = append(list, j)
	}
	slices.SortFunc(list, func(a, b map[string]any) int { return int(b["stamp"].(wire.Cursor)) - int(a["stamp"].(wire.Cursor)) })
	respond(w, map[string]any{"chats": list})
}

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	id, ok := caller(w, r)
	if !ok {
		return
	}
	chatID, err := wire.ParseChatID([]byte(r.PathValue("chat")))
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.mu.chats[chatID]
	switch {
	case err != nil || c == nil:
		refuse(w, wire.CodeUnknownChat)
		return
	case !slices.Contains(c.members, id):
		refuse(w, wire.CodeNotMember)
		return
	}
	s.mu.counts.HistoryGet++
	number := func(name string, def int) int {
		if v, err := strconv.Atoi(r.FormValue(name)); err == nil {
			return v
		}
		return def
	}
	limit := min(max(number("limit", wire.HistoryPage), 1), wire.MaxHistoryPage)
	list := []map[string]any{}
	a := map[string]any{}
	if r.FormValue("after") != "" {
		from := min(max(number("after", 0), 0), len(c.log))
		to := min(from+limit, len(c.log))
		for i := from; i < to; i++ {
			list = append(list, c.json(&c.log[i]))
		}
		if to < len(c.log) {
			a["next_cursor"] = to
		}
	} else {
		from := min(max(number("before", len(c.log)+1)-1, 0), len(c.log))
		to := max(from-limit, 0)
		for i := from - 1; i >= to; i-- {
			list = append(list, c.json(&c.log[i]))
		}
		if to > 0 {
			a["next_cursor"] = to + 1
		}
	}
	var cursors []map[string]any
	for _, m := range c.members {
		cursors = append(cursors, map[string]any{"user_id": m, "delivered": c.cursors[m].delivered, "read": c.cursors[m].read})
	}
	a["messages"], a["cursors"] = list, cursors
	respond(w, a)
}

func (s *Server) createGroup(w http.ResponseWriter, r *http.Request) {
	id, ok := caller(w, r)
	if !ok {
		return
	}
	var in struct {
		Name    string        `json:"name"`
		Members []wire.UserID `json:"member_ids"`
	}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in) != nil || in.Name == "" {
		refuse(w, wire.CodeBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var seed [32]byte
	seed[0], seed[1] = byte(len(s.mu.chats)), byte(len(s.mu.chats)>>8)
	members := append([]wire.UserID{id}, in.Members...)
	slices.Sort(members)
	c := s.add(wire.NewChatID(wire.Group, seed), in.Name, slices.Compact(members))
	c.log = append(c.log, message{seq: 1, sender: id, kind: wire.KindGroupCreated, content: []byte(in.Name), at: wire.Millis(time.Now().UnixMilli())})
	s.fanOut(c, &c.log[0], nil)
	respond(w, map[string]any{"chat_id": c.id.String()})
}
