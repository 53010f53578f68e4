package edge

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// rest asks the public address over HTTP and decodes the answer.
func (f *fleet) rest(method, path, token, body string) (int, map[string]any) {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url("http", path), strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := f.root.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		f.t.Fatalf("%s %s: %s: %v", method, path, resp.Status, err)
	}
	return resp.StatusCode, m
}

// A page's whole way: sign in, make a group, chat over the socket, read the
// list and the history.
func TestRESTAndSocket(t *testing.T) {
	f := start(t, nil)
	_, m := f.rest("POST", "/v1/dev/token", "", `{"user":"alice"}`)
	token := m["token"].(string)
	status, group := f.rest("POST", "/v1/groups", token, `{"name":"climbing","member_ids":["bob"]}`)
	if status != 201 {
		t.Fatalf("%d %v", status, group)
	}
	bob, _ := f.connect("bob", "web", wire.JSON)
	chat, err := wire.ParseChatID([]byte(group["chat_id"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	bob.send(&wire.Frame{Op: wire.OpSendMessage, Chat: chat, ClientMsgID: []byte("m1"), Content: []byte("hi")})
	bob.expect(wire.OpAckSent)

	_, list := f.rest("GET", "/v1/chats", token, "")
	chats := list["chats"].([]any)
	if c := chats[0].(map[string]any); len(chats) != 1 || c["name"] != "climbing" || c["last_message"].(map[string]any)["content"] != "hi" {
		t.Errorf("chats %v", chats)
	}
	_, page := f.rest("GET", "/v1/chats/"+chat.String()+"/messages?limit=1", token, "")
	if ms := page["messages"].([]any); len(ms) != 1 || ms[0].(map[string]any)["message_id"] != 2.0 || page["next_cursor"] != 2.0 {
		t.Errorf("history %v", page)
	}
	if status, p := f.rest("GET", "/v1/chats/"+chat.String()+"/messages", f.token("eve", ""), ""); status != 403 || p["code"] != float64(wire.CodeNotMember) {
		t.Errorf("eve got %d %v", status, p)
	}
}

// A question finds the leader that an answer names, and gives up in time when
// no core answers.
func TestRESTWithoutLeader(t *testing.T) {
	f := start(t, nil)
	token := f.token("alice", "")
	f.core.Stop()
	done := make(chan int, 1)
	go func() {
		status, _ := f.rest("GET", "/v1/chats", token, "")
		done <- status
	}()
	f.core.Start()
	if status := <-done; status != 200 {
		t.Errorf("after the core came back: %d", status)
	}
	f.core.Refuse(wire.CodeStorage, 0)
	if status, p := f.rest("GET", "/v1/chats", token, ""); status != 507 || p["code"] != float64(wire.CodeStorage) {
		t.Errorf("%d %v", status, p)
	}
}

// The page gets headers that keep it to itself.
func TestPage(t *testing.T) {
	f := start(t, func(c *Config) {
		c.Page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
	})
	resp, err := http.Get(f.url("http", "/anything"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if string(b) != "page" || !contains(resp.Header.Get("Content-Security-Policy"), "default-src 'self'") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%q with %v", b, resp.Header)
	}
}

// A page elsewhere has its own name resolve to 127.0.0.1: then it is of the same
// origin as the server, and would get a token for any name.
func TestDevSignInKeepsToLoopbackNames(t *testing.T) {
	ask := func(f *fleet, host string) int {
		t.Helper()
		req, err := http.NewRequest("POST", f.url("http", "/v1/dev/token"), strings.NewReader(`{"user":"alice"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := f.root.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	f := start(t, nil)
	for host, status := range map[string]int{
		"localhost:8080": 200, "127.0.0.1": 200, "[::1]:8080": 200,
		"evil.example:8080": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403,
	} {
		if got := ask(f, host); got != status {
			t.Errorf("Host %s: %d, want %d", host, got, status)
		}
	}
	f = start(t, func(c *Config) { c.InsecureDevAuth = true })
	if got := ask(f, "chat.example"); got != 200 {
		t.Errorf("a name that the operator allowed: %d", got)
	}
}

// Who sends a body slowly where none is wanted still reads the answer.
func TestSlowBodyIsAnswered(t *testing.T) {
	f := start(t, nil)
	waits := map[string]net.Conn{}
	for _, line := range []string{"POST /", "GET /docs", "POST /nope", "POST /ws", "PUT /v1/chats"} {
		nc, err := net.Dial("tcp", f.srv.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		if _, err = io.WriteString(nc, line+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		waits[line] = nc
	}
	for line, nc := range waits {
		_ = nc.SetReadDeadline(time.Now().Add(2 * requestTimeout))
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Errorf("%s: no answer: %v", line, err)
			continue
		}
		_ = resp.Body.Close()
	}
}
