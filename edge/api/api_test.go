package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/edge/api"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// core is a Caller that answers with whatever a test wants and remembers what
// it was asked. Previews ask several at a time.
type core struct {
	mu     sync.Mutex // one question at a time
	asked  []peer.Item
	slots  []wire.Slot
	answer func(it *peer.Item) (peer.Item, error)
}

func (c *core) Call(_ context.Context, slot wire.Slot, it *peer.Item) (peer.Item, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.slots = append(c.asked, *it), append(c.slots, slot)
	return c.answer(it)
}

func serve(c *core, dev bool) http.Handler {
	mux := http.NewServeMux()
	cfg := api.Config{
		Core: c,
		Verify: func(_ context.Context, token string) (wire.UserID, error) {
			switch user, ok := strings.CutPrefix(token, "token-of-"); {
			case ok:
				return wire.UserID(user), nil
			case token == "old":
				return "", wire.CodeTokenExpired
			}
			return "", wire.CodeTokenInvalid
		},
		Version: "1.2.3", Heartbeat: 30 * time.Second,
		Limits: wire.Limits{Content: 1, Frame: 2, InFlight: 3},
	}
	if dev {
		cfg.DevToken = func(user wire.UserID, device wire.DeviceID) (string, time.Time, error) {
			return "token-of-" + string(user) + "/" + string(device), time.Unix(1_700_000_000, 0), nil
		}
	}
	api.Register(mux, cfg)
	return api.Patient(mux)
}

func request(h http.Handler, method, path, body string, as string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if as != "" {
		r.Header.Set("Authorization", "Bearer token-of-"+as)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// decode reads a JSON answer and checks its status.
func decode(t *testing.T, w *httptest.ResponseRecorder, status int) map[string]any {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if cc := w.Header().Get("Cache-Control"); cc != "no-store" {
		t.Errorf("Cache-Control %q", cc)
	}
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return m
}

var chat = wire.DirectChat("alice", "bob")

func entry(seq wire.Seq, content string) []byte {
	return wire.AppendMsgpack(nil, &wire.Frame{Op: wire.OpNewMessage, Chat: chat, Seq: seq, User: []byte("bob"),
		Content: []byte(content), At: 1000 + wire.Millis(seq), ClientMsgID: []byte("c1")})
}

func TestServer(t *testing.T) {
	for _, dev := range []bool{false, true} {
		m := decode(t, request(serve(&core{}, dev), "GET", "/v1/server", "", ""), 200)
		limits := m["limits"].(map[string]any)
		if m["name"] != "godwit" || m["version"] != "1.2.3" || m["dev_sign_in"] != dev || m["heartbeat_s"] != 30.0 || limits["content_bytes"] != 1.0 {
			t.Errorf("%v", m)
		}
	}
}

func TestDevToken(t *testing.T) {
	h := serve(&core{}, true)
	m := decode(t, request(h, "POST", "/v1/dev/token", `{"user":"alice","device":"phone"}`, ""), 200)
	if m["token"] != "token-of-alice/phone" || m["user_id"] != "alice" || m["expires_at"] != "2023-11-14T22:13:20Z" {
		t.Errorf("%v", m)
	}
	for _, body := range []string{`{}`, `{"user":""}`, `{"user":"a\u0000"}`, `{"user":"` + strings.Repeat("x", 65) + `"}`, `[`, `{"user":7}`} {
		w := request(h, "POST", "/v1/dev/token", body, "")
		if m := decode(t, w, w.Code); w.Code < 400 || w.Code >= 500 || m["code"] != float64(wire.CodeBadRequest) {
			t.Errorf("%s: %d %v", body, w.Code, m)
		}
	}
	if w := request(serve(&core{}, false), "POST", "/v1/dev/token", `{"user":"alice"}`, ""); w.Code != 404 {
		t.Errorf("development sign-in answers although it is off: %d", w.Code)
	}
}

func TestChats(t *testing.T) {
	group := wire.NewChatID(wire.Group, [32]byte{1})
	c := &core{answer: func(it *peer.Item) (peer.Item, error) {
		switch {
		case it.Op == peer.OpChats:
			list := peer.AppendRow(nil, &peer.Row{Chat: chat, Last: 9, Read: 4, Stamp: 77, At: 5000, Peer: []byte("bob")})
			list = peer.AppendRow(list, &peer.Row{Chat: group, Last: 1, Read: 1, Stamp: 76, At: 4000})
			return peer.Item{Op: peer.OpChatsReply, Flags: peer.FlagMore, Stamp: 76, List: list}, nil
		case it.Chat == chat:
			return peer.Item{Op: peer.OpRangeReply, List: peer.AppendBytes(nil, entry(9, "latest"))}, nil
		}
		return peer.Item{}, wire.CodeUnavailable // the group's shard is away: no preview, but a list
	}}
	m := decode(t, request(serve(c, false), "GET", "/v1/chats?limit=2&before=80", "", "alice"), 200)
	if it := c.asked[0]; string(it.User) != "alice" || it.Stamp != 80 || it.Limit != 2 || c.slots[0] != wire.UserID("alice").Slot() {
		t.Errorf("asked %+v", it)
	}
	chats := m["chats"].([]any)
	first, second := chats[0].(map[string]any), chats[1].(map[string]any)
	if first["chat_id"] != chat.String() || first["kind"] != "direct" || first["peer_id"] != "bob" || first["unread"] != 5.0 ||
		first["last_message_id"] != 9.0 || first["last_read_message_id"] != 4.0 || first["last_message"].(map[string]any)["content"] != "latest" {
		t.Errorf("first %v", first)
	}
	if second["kind"] != "group" || second["unread"] != 0.0 || second["last_message"] != nil {
		t.Errorf("second %v", second)
	}
	if m["next"] != "76" {
		t.Errorf("next %v", m["next"])
	}
}

func TestMessages(t *testing.T) {
	c := &core{answer: func(it *peer.Item) (peer.Item, error) {
		list := peer.AppendBytes(peer.AppendBytes(nil, entry(3, "hi")), entry(2, "\xff"))
		return peer.Item{Op: peer.OpRangeReply, Flags: peer.FlagMore, List: list,
			Cursors: peer.AppendCursor(nil, &peer.MemberCursor{User: []byte("bob"), Delivered: 3, Read: 2})}, nil
	}}
	h := serve(c, false)
	for _, tc := range []struct {
		query string
		want  peer.Item
	}{
		{"", peer.Item{Flags: peer.FlagDesc, Limit: 50}},
		{"?before=7&limit=9", peer.Item{Flags: peer.FlagDesc, Seq: 7, Limit: 9}},
		{"?after=7", peer.Item{After: 7, Limit: 50}},
		{"?after=0", peer.Item{Limit: 50}},
	} {
		m := decode(t, request(h, "GET", "/v1/chats/"+chat.String()+"/messages"+tc.query, "", "alice"), 200)
		it := c.asked[len(c.asked)-1]
		if it.Op != peer.OpRange || it.Chat != chat || string(it.User) != "alice" || it.Flags != tc.want.Flags || it.Seq != tc.want.Seq || it.After != tc.want.After || it.Limit != tc.want.Limit {
			t.Errorf("%q asked %+v", tc.query, it)
		}
		messages := m["messages"].([]any)
		one, two := messages[0].(map[string]any), messages[1].(map[string]any)
		if one["content"] != "hi" || one["sender_id"] != "bob" || one["message_id"] != 3.0 || one["created_at"] != 1003.0 || two["content_b64"] != "/w==" {
			t.Errorf("%v", messages)
		}
		if m["next_cursor"] != 2.0 || m["cursors"].([]any)[0].(map[string]any)["read"] != 2.0 {
			t.Errorf("%v", m)
		}
	}
}

func TestCreateGroup(t *testing.T) {
	c := &core{answer: func(it *peer.Item) (peer.Item, error) { return peer.Item{Op: peer.OpReply, Chat: it.Chat}, nil }}
	m := decode(t, request(serve(c, false), "POST", "/v1/groups", `{"name":"climbing","member_ids":["bob","carol","bob","alice"]}`, "alice"), 201)
	it := c.asked[0]
	if it.Op != peer.OpCreateGroup || it.Chat.Kind() != wire.Group || string(it.Name) != "climbing" || string(it.User) != "alice" || c.slots[0] != it.Chat.Slot() {
		t.Errorf("asked %+v", it)
	}
	if m["chat_id"] != it.Chat.String() || len(m["member_ids"].([]any)) != 3 {
		t.Errorf("%v", m)
	}
}

// What is wrong is said with a number, as a problem.
func TestProblems(t *testing.T) {
	var fails error
	h := serve(&core{answer: func(*peer.Item) (peer.Item, error) { return peer.Item{}, fails }}, false)
	path := "/v1/chats/" + chat.String() + "/messages"
	many := `{"name":"x","member_ids":["` + strings.Repeat(`a","`, 1100) + `b"]}`
	for _, tc := range []struct {
		name, method, path, body, as string
		fails                        error
		status                       int
		code                         wire.Code
	}{
		{"no token", "GET", "/v1/chats", "", "", nil, 401, wire.CodeUnauthenticated},
		{"not a member", "GET", path, "", "eve", wire.CodeNotMember, 403, wire.CodeNotMember},
		{"no such chat", "GET", path, "", "eve", wire.CodeUnknownChat, 404, wire.CodeUnknownChat},
		{"not a chat id", "GET", "/v1/chats/x/messages", "", "eve", nil, 400, wire.CodeBadField}, // as over the socket
		{"in capitals", "GET", "/v1/chats/" + strings.ToUpper(chat.String()) + "/messages", "", "eve", nil, 400, wire.CodeBadField},
		{"no leader", "GET", path, "", "eve", wire.CodeUnavailable, 503, wire.CodeUnavailable},
		{"core is slow", "GET", path, "", "eve", context.DeadlineExceeded, 503, wire.CodeUnavailable},
		{"both directions", "GET", path + "?after=1&before=2", "", "eve", nil, 400, wire.CodeBadRequest},
		{"limit", "GET", path + "?limit=100000", "", "eve", nil, 400, wire.CodeBadRequest},
		{"not a number", "GET", path + "?after=x", "", "eve", nil, 400, wire.CodeBadRequest},
		{"beyond 2^53", "GET", path + "?after=9007199254740992", "", "eve", nil, 400, wire.CodeBadRequest},
		{"group without name", "POST", "/v1/groups", `{"name":"","member_ids":[]}`, "eve", nil, 400, wire.CodeBadRequest},
		{"group with a bell", "POST", "/v1/groups", `{"name":"a\u0007b","member_ids":[]}`, "eve", nil, 400, wire.CodeBadRequest},
		{"group too large", "POST", "/v1/groups", many, "eve", nil, 400, wire.CodeBadRequest},
		{"bad member", "POST", "/v1/groups", `{"name":"x","member_ids":[""]}`, "eve", nil, 400, wire.CodeBadRequest},
		{"not JSON", "POST", "/v1/groups", "{", "eve", nil, 400, wire.CodeBadRequest},
		{"body too large", "POST", "/v1/groups", `{"name":"` + strings.Repeat("x", 200<<10) + `"}`, "eve", nil, 413, wire.CodeContentTooBig},
		{"nothing there", "GET", "/v1/nothing", "", "eve", nil, 404, wire.CodeUnknownResource},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fails = tc.fails
			w := request(h, tc.method, tc.path, tc.body, tc.as)
			m := decode(t, w, tc.status)
			if tc.status != tc.code.SpecOf().HTTP {
				t.Errorf("the table has status %d", tc.code.SpecOf().HTTP)
			}
			if m["code"] != float64(tc.code) || m["status"] != float64(tc.status) || m["title"] == "" || m["advice"] == nil || m["detail"] == "validation failed" {
				t.Errorf("%v", m)
			}
			if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("content type %q", ct)
			}
			if spec := tc.code.SpecOf(); spec.Retryable != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
			}
		})
	}
}

// A wrong method is told apart from a wrong address and says which are right.
func TestWrongMethod(t *testing.T) {
	h := serve(&core{}, true)
	for _, tc := range []struct{ method, path, allow string }{
		{"POST", "/v1/chats", "GET, HEAD"},
		{"DELETE", "/v1/chats/" + chat.String() + "/messages", "GET, HEAD"},
		{"GET", "/v1/groups", "POST"},
		{"HEAD", "/v1/dev/token", "POST"},
	} {
		w := request(h, tc.method, tc.path, "", "eve")
		if m := decode(t, w, 405); m["code"] != float64(wire.CodeWrongMethod) || m["status"] != 405.0 || m["advice"] != "use "+tc.allow {
			t.Errorf("%s %s: %v", tc.method, tc.path, m)
		}
		if allow := w.Header().Get("Allow"); allow != tc.allow {
			t.Errorf("%s %s: Allow %q, want %q", tc.method, tc.path, allow, tc.allow)
		}
	}
	if w := request(h, "HEAD", "/v1/server", "", ""); w.Code != 200 {
		t.Errorf("HEAD where GET is: %d", w.Code)
	}
}

// The OpenAPI document describes what is served, and the page made of it loads
// nothing.
func TestOpenAPI(t *testing.T) {
	h := serve(&core{}, true)
	w := request(h, "GET", "/openapi.json", "", "")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]any
			}
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("%v, version %q", err, doc.OpenAPI)
	}
	for path, method := range map[string]string{"/v1/server": "get", "/v1/chats": "get", "/v1/chats/{chat_id}/messages": "get", "/v1/groups": "post", "/v1/dev/token": "post"} {
		op, ok := doc.Paths[path][method]
		if !ok {
			t.Errorf("%s %s is not described", method, path)
		}
		if _, ok := op.Responses["default"].Content["application/problem+json"]; !ok {
			t.Errorf("%s does not describe its errors", path)
		}
	}
	if _, ok := doc.Paths["/v1/groups"]["post"].Responses["201"]; !ok {
		t.Error("a group that was made is answered with 201, which is not described")
	}
	if strings.Contains(w.Body.String(), `"422"`) {
		t.Error("status 422 is described; no error has it")
	}
	if _, ok := doc.Components.Schemas["Problem"].Properties["code"]; !ok {
		t.Error("the problem has no code")
	}
	page := request(h, "GET", "/docs", "", "").Body.String()
	if !strings.Contains(page, "/v1/chats/{chat_id}/messages") {
		t.Error("the page does not list the operations")
	}
	for _, bad := range []string{"http://", "https://", "<script", "//"} {
		if strings.Contains(strings.ReplaceAll(page, "</", ""), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
}
