package api_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// A misspelt parameter is named, and so are those that there are.
func TestUnknownQueryParameter(t *testing.T) {
	c := &core{answer: func(*peer.Item) (peer.Item, error) { return peer.Item{Op: peer.OpChatsReply}, nil }}
	h := serve(c, true)
	for _, tc := range []struct{ method, path, body, detail, advice string }{
		{"GET", "/v1/chats?limti=5", "", `there is no query parameter "limti"`, "this address knows: limit, before"},
		{"GET", "/v1/chats?limit=5&Before=1", "", `there is no query parameter "Before"`, "this address knows: limit, before"},
		{"GET", "/v1/chats/" + chat.String() + "/messages?cursor=5", "", `there is no query parameter "cursor"`, "this address knows: after, before, limit"},
		{"GET", "/v1/server?x", "", `there is no query parameter "x"`, "this address takes no query parameters"},
		{"POST", "/v1/groups?dry=1", `{"name":"x","member_ids":[]}`, `there is no query parameter "dry"`, "this address takes no query parameters"},
		{"GET", "/v1/chats?limit=1&before=2&limit=2", "", `"limit" is given 2 times`, "give each parameter once"},
		{"GET", "/v1/chats?limit=%zz", "", "the query cannot be read", "write it as name=value&name=value, with %XX for other bytes"},
	} {
		m := decode(t, request(h, tc.method, tc.path, tc.body, "eve"), 400)
		if m["code"] != float64(wire.CodeBadRequest) || m["detail"] != tc.detail || m["advice"] != tc.advice {
			t.Errorf("%s: %v", tc.path, m)
		}
	}
	if len(c.asked) > 0 {
		t.Errorf("a refused request asked a core: %+v", c.asked)
	}
	if m := decode(t, request(h, "GET", "/v1/chats?x=1", "", ""), 401); m["code"] != float64(wire.CodeUnauthenticated) {
		t.Errorf("a stranger learns about parameters first: %v", m)
	}
	decode(t, request(h, "GET", "/v1/chats?limit=5&before=9", "", "eve"), 200)
}

// Detail is about this request, advice is what to do; neither says both.
func TestProblemKeepsDetailAndAdviceApart(t *testing.T) {
	h := serve(&core{answer: func(*peer.Item) (peer.Item, error) { return peer.Item{}, wire.CodeNotMember }}, true)
	path := "/v1/chats/" + chat.String() + "/messages"
	m := decode(t, request(h, "GET", path, "", "eve"), 403)
	if m["title"] != "you are not a member of this conversation" || m["detail"] != nil || m["advice"] != "ask a member to add you" {
		t.Errorf("%v", m)
	}
	m = decode(t, request(h, "GET", path+"?limit=x", "", "eve"), 400)
	if detail, _ := m["detail"].(string); !strings.HasPrefix(detail, "query.limit: ") || strings.Contains(detail, "strconv") || m["advice"] != "compare it with /openapi.json" {
		t.Errorf("%v", m)
	}
}

// slowHand writes a whole request before it reads the answer, as simple clients
// do, and returns the answer.
func slowHand(t *testing.T, addr, head string, body int64, expect bool) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, head); err != nil {
		t.Fatal(err)
	}
	if !expect {
		if n, err := io.CopyN(c, xs{}, body); err != nil {
			t.Fatalf("the server hung up after %d of %d bytes: %v", n, body, err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// xs is as many x as somebody reads.
type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// A client that sends 20 MB where 128 KiB are allowed reads why it was refused.
func TestBodyTooBigIsAnsweredNotReset(t *testing.T) {
	srv := httptest.NewServer(serve(&core{}, true))
	t.Cleanup(srv.Close)
	const body = 20 << 20
	for _, tc := range []struct {
		name, line, headers string
		expect              bool
		status              int
		code                wire.Code
	}{
		{"too big", "POST /v1/groups", "Authorization: Bearer token-of-eve\r\n", false, 413, wire.CodeContentTooBig},
		{"no token", "POST /v1/groups", "", false, 401, wire.CodeUnauthenticated},
		{"asks first", "POST /v1/groups", "Expect: 100-continue\r\n", true, 401, wire.CodeUnauthenticated},
		{"development sign-in", "POST /v1/dev/token", "", false, 413, wire.CodeContentTooBig},
		{"wrong method", "PUT /v1/groups", "", false, 405, wire.CodeWrongMethod},
		{"no such address", "POST /v1/nothing", "", false, 404, wire.CodeUnknownResource},
	} {
		t.Run(tc.name, func(t *testing.T) {
			head := tc.line + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20971520\r\n" + tc.headers + "\r\n"
			resp := slowHand(t, srv.Listener.Addr().String(), head, body, tc.expect)
			var m map[string]any
			if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tc.status || m["code"] != float64(tc.code) {
				t.Errorf("%d %v", resp.StatusCode, m)
			}
			if advice := m["advice"]; tc.status == 413 && advice != "send a body of fewer than 131072 bytes" {
				t.Errorf("advice %q", advice)
			}
		})
	}
}

// Patience ends: of a body without end, a bounded amount is read, and the
// connection is not used again.
func TestBodyWithoutEnd(t *testing.T) {
	body := &io.LimitedReader{R: xs{}, N: 1 << 40}
	r := httptest.NewRequest("POST", "/v1/groups", body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer token-of-eve")
	w := httptest.NewRecorder()
	serve(&core{}, false).ServeHTTP(w, r)
	if read := int64(1<<40) - body.N; w.Code != 413 || w.Header().Get("Connection") != "close" || read > 33<<20 {
		t.Errorf("%d after %d bytes, Connection %q", w.Code, read, w.Header().Get("Connection"))
	}
}

// deadlines is an answer that keeps until when its request may be read.
type deadlines struct {
	*httptest.ResponseRecorder
	read time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error { d.read = at; return nil }

// Who is refused before anybody reads the body has no more time to send it
// than who is not.
func TestUnwantedBodyHasADeadline(t *testing.T) {
	h := serve(&core{}, true)
	for _, tc := range []struct{ method, path string }{{"POST", "/v1/groups"}, {"PUT", "/v1/groups"}, {"POST", "/v1/nothing"}, {"POST", "/v1/dev/token"}} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(tc.method, tc.path, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(w, r)
		if left := time.Until(w.read); w.Code < 400 || left <= 0 || left > 11*time.Second {
			t.Errorf("%s %s: %d, the body may take %v", tc.method, tc.path, w.Code, left)
		}
	}
}
