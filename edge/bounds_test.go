package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/edge/api"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// Upgrades that are wrong get a numbered problem, not a connection.
func TestUpgradeRefused(t *testing.T) {
	f := start(t, func(c *Config) { c.AllowOrigins = []string{"https://chat.example"} })
	good := map[string]string{
		"Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "chat, " + wire.SubprotocolJSON,
	}
	for _, tc := range []struct {
		name, method  string
		header, value string
		status        int
		code          wire.Code
	}{
		{"as it should be", "GET", "", "", 101, 0},
		{"own origin", "GET", "Origin", "http://" + f.srv.Addr(), 101, 0},
		{"loopback origin", "GET", "Origin", "http://localhost:5173", 101, 0},
		{"allowed origin", "GET", "Origin", "https://chat.example", 101, 0},
		{"other origin", "GET", "Origin", "https://evil.example", 403, wire.CodeOriginRefused},
		{"no origin at all", "GET", "Origin", "null", 403, wire.CodeOriginRefused},
		{"method", "POST", "", "", 400, wire.CodeProtocol},
		{"not an upgrade", "GET", "Upgrade", "", 426, wire.CodeProtocol},
		{"connection", "GET", "Connection", "close", 426, wire.CodeProtocol},
		{"version", "GET", "Sec-WebSocket-Version", "8", 426, wire.CodeProtocol},
		{"key", "GET", "Sec-WebSocket-Key", "short", 400, wire.CodeProtocol},
		{"subprotocol", "GET", "Sec-WebSocket-Protocol", "godwit.v9.msgpack", 400, wire.CodeWrongSubprotocol},
		{"no subprotocol", "GET", "Sec-WebSocket-Protocol", "", 400, wire.CodeWrongSubprotocol},
		{"token", "GET", "Authorization", "Bearer nonsense", 401, wire.CodeTokenInvalid},
		{"scheme", "GET", "Authorization", "Basic YTpi", 401, wire.CodeUnauthenticated},
		{"long token", "GET", "Authorization", "Bearer " + strings.Repeat("x", wire.MaxToken+1), 400, wire.CodeTokenTooLong},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequest(tc.method, f.url("http", "/ws"), nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range good {
				req.Header.Set(k, v)
			}
			if tc.header != "" {
				req.Header.Del(tc.header)
				if tc.value != "" {
					req.Header.Set(tc.header, tc.value)
				}
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tc.status {
				t.Fatalf("status %d, want %d", resp.StatusCode, tc.status)
			}
			if tc.status == 101 {
				if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != wire.SubprotocolJSON {
					t.Errorf("subprotocol %q", got)
				}
				return
			}
			wantProblem(t, resp, tc.code)
		})
	}
	eventually(t, "the good ones are closed", func() bool { return f.srv.Connections() == 0 })
}

func wantProblem(t testing.TB, resp *http.Response, code wire.Code) {
	t.Helper()
	var p api.Problem
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.Code != code || p.Status != resp.StatusCode || p.Advice == "" {
		t.Errorf("problem %+v (%v), want code %d", p, err, code)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q", ct)
	}
}

// Headers are bounded in size and number.
func TestHeaderBounds(t *testing.T) {
	f := start(t, nil)
	many := make([]string, maxHeaders+1)
	for i := range many {
		many[i] = fmt.Sprintf("X-%d: y", i)
	}
	for _, tc := range []struct {
		name   string
		lines  []string
		status string
	}{
		{"size", []string{"X-Large: " + strings.Repeat("x", 2*maxHeaderBytes)}, "431"},
		{"number", many, "400"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nc := dialTCP(t, f.srv.Addr())
			_, _ = io.WriteString(nc, upgradeText+strings.Join(tc.lines, "\r\n")+"\r\n\r\n")
			b, _ := io.ReadAll(nc)
			if !strings.HasPrefix(string(b), "HTTP/1.1 "+tc.status) {
				t.Errorf("answer %.100q", b)
			}
		})
	}
}

// The cap refuses new connections and leaves the old ones alone.
func TestConnectionCap(t *testing.T) {
	f := start(t, func(c *Config) { c.MaxConnections = 3 })
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	bob, _ := f.connect("bob", "web", wire.JSON)
	carol, _ := f.connect("carol", "web", wire.JSON)
	for range 5 {
		_, resp, err := f.dial(wire.JSON, nil)
		if err == nil {
			t.Fatal("a connection beyond the cap was let in")
		}
		if resp == nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Fatalf("refusal %+v, %v", resp, err)
		}
	}
	alice.message("bob", "m1", "still here")
	bob.expect(wire.OpNewMessage)

	_ = carol.ws.CloseNow()
	eventually(t, "carol's place is free", func() bool { return f.srv.Connections() == 2 })
	if !contains(string(scrape(t, f.srv)), `godwit_edge_closes_total{error="vanished"} 1`) {
		t.Error("carol's end was not counted")
	}
	f.connect("dave", "web", wire.JSON)
}

// Bytes that come together with the upgrade are not lost, whole or in part.
func TestEarlyBytes(t *testing.T) {
	f := start(t, nil)
	hello := appendClientFrame(nil, &wire.Frame{Op: wire.OpHello, Token: []byte(f.token("alice", "phone"))})
	for _, cut := range []int{1, 5, len(hello) / 2, len(hello) - 1, len(hello)} {
		c := f.rawDial(hello[:cut])
		if cut < len(hello) {
			c.write(hello[cut : cut+1])
			c.write(hello[cut+1:])
		}
		c.expect(wire.OpSynced)
		c.write(appendClientFrame(nil, &wire.Frame{Op: wire.OpPing}))
		c.expect(wire.OpPong)
	}
}

// A frame that trickles in one byte at a time is understood.
func TestTrickle(t *testing.T) {
	f := start(t, nil)
	c := f.rawHello("alice", "phone")
	for _, b := range appendClientFrame(nil, &wire.Frame{Op: wire.OpPing}) {
		c.write([]byte{b})
	}
	c.expect(wire.OpPong)
}

// Garbage ends the connection with a number and a close code; the neighbours
// stay.
func TestGarbage(t *testing.T) {
	f := start(t, nil)
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	for _, tc := range []struct {
		name   string
		bytes  []byte
		status ws.StatusCode
	}{
		{"not masked", []byte{0x82, 0x01, 0x00}, 1002},
		{"reserved bits", []byte{0xf2, 0x81, 1, 2, 3, 4, 0}, 1002},
		{"declares 2^62 bytes", []byte{0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, 1009},
		{"text with msgpack", appendMasked(nil, ws.OpText, []byte("{}")), 1003},
		{"not msgpack", appendMasked(nil, ws.OpBinary, []byte{0xc1}), 1007},
		{"welcome from a client", appendMasked(nil, ws.OpBinary, []byte{0x92, 99, 1}), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := f.rawHello("mallory", "phone")
			c.write(tc.bytes)
			for {
				fr, status, err := c.read()
				if err != nil {
					t.Fatalf("no answer: %v", err)
				}
				if status != 0 || tc.status == 0 && fr.Op == wire.OpError {
					if status != tc.status {
						t.Errorf("close status %d, want %d", status, tc.status)
					}
					return
				}
			}
		})
	}
	alice.send(&wire.Frame{Op: wire.OpPing})
	alice.expect(wire.OpPong)
}

// Opening says what is wrong and what to do.
func TestOpenErrors(t *testing.T) {
	f := start(t, nil)
	verifier := f.srv.cfg.Auth
	for _, tc := range []struct {
		name string
		cfg  Config
		says []string
	}{
		{"port taken", Config{Node: 1, Listen: f.srv.Addr(), Watcher: new(watch.Watcher), Auth: verifier}, []string{f.srv.Addr(), "taken", "--listen"}},
		{"no address", Config{Node: 1, Listen: "here", Watcher: new(watch.Watcher), Auth: verifier}, []string{"here", "host:port"}},
		{"development sign-in for all", Config{Node: 1, Listen: "0.0.0.0:0", Watcher: new(watch.Watcher), Auth: verifier, DevSecret: secret}, []string{"loopback", "--insecure-dev-auth"}},
		{"half of TLS", Config{Node: 1, Listen: "127.0.0.1:0", Watcher: new(watch.Watcher), Auth: verifier, CertFile: "x"}, []string{"both"}},
		{"no certificate", Config{Node: 1, Listen: "127.0.0.1:0", Watcher: new(watch.Watcher), Auth: verifier, CertFile: "/none/c", KeyFile: "/none/k"}, []string{"/none/c", "PEM"}},
		{"no node", Config{Listen: "127.0.0.1:0", Watcher: new(watch.Watcher), Auth: verifier}, []string{"Config.Node"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Open(tc.cfg)
			if err == nil {
				_ = s.Close()
				t.Fatal("no error")
			}
			for _, word := range tc.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
		})
	}
}

// A peer that trickles its headers loses its descriptor and hurts nobody.
func TestSlowHeaders(t *testing.T) {
	f := start(t, nil)
	nc := dialTCP(t, f.srv.Addr())
	_, _ = io.WriteString(nc, "GET /ws HTTP/1.1\r\nHost: e")
	begin := time.Now()
	_, err := io.Copy(io.Discard, nc)
	if took := time.Since(begin); took > 2*headerTimeout {
		t.Errorf("held for %v (%v)", took, err)
	}
}

// A reader that does not read is closed; who sent to it does not wait for it,
// and what it missed arrives when it comes back.
func TestSlowReader(t *testing.T) {
	f := start(t, nil)
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	bob := f.rawHello("bob", "web")
	content := strings.Repeat("x", wire.MaxContent)
	const n = 300 // 19 MiB: more than the kernel's buffers and the edge's
	for i := range n {
		alice.message("bob", fmt.Sprint(i), content)
	}
	if held := f.srv.sum(func(l *loop) uint64 { return l.shared.Counters.ShedPush.Load() }); held == 0 {
		t.Error("nothing was shed: the test did not fill the socket")
	}
	begin, seen := time.Now(), wire.Seq(0)
	for seen < n {
		fr, status, err := bob.read()
		if err != nil || status != 0 {
			t.Fatalf("after %d messages: close %d, %v", seen, status, err)
		}
		if fr.Op != wire.OpNewMessage {
			continue
		}
		if fr.Seq > seen+1 {
			t.Fatalf("seq %d after %d", fr.Seq, seen)
		}
		seen = max(seen, fr.Seq) // what was not acknowledged may come again
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("it took %v: the edge did not see the socket drain", took)
	}
}

// Shutdown says farewell, closes with 1001 and leaves nothing.
func TestShutdown(t *testing.T) {
	for name, format := range bothFormats {
		t.Run(name, func(t *testing.T) {
			f := start(t, nil)
			f.srv.session.DrainGrace = 0
			alice, _ := f.connect("alice", "phone", format)
			done := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				done <- f.srv.Shutdown(ctx)
			}()
			alice.expect(wire.OpGoingAway)
			if status, _ := alice.closed(); status != 1001 {
				t.Errorf("closed with %d, want 1001", status)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if n := f.core.Sessions("alice"); n != 0 {
				t.Errorf("the core still has %d sessions", n)
			}
			if _, _, err := f.dial(format, nil); err == nil {
				t.Error("connected after shutdown")
			}
		})
	}
}

// Nobody who stays silent holds a descriptor for ever.
func TestSilence(t *testing.T) {
	f := start(t, func(c *Config) { c.Heartbeat = time.Second })
	stranger := f.rawDial(nil) // says no hello
	alice := f.rawHello("alice", "phone")
	status := func(c *rawClient) ws.StatusCode {
		for {
			_, status, err := c.read()
			if err != nil {
				t.Fatal(err)
			}
			if status != 0 {
				return status
			}
		}
	}
	if got := status(alice); got != 4306 {
		t.Errorf("half-open: closed with %d, want 4306", got)
	}
	if got := status(stranger); got != 4306 && got != 4104 {
		t.Errorf("no hello: closed with %d", got)
	}
	_ = alice.nc.Close()
	_ = stranger.nc.Close()
	eventually(t, "both are gone", func() bool { return f.srv.Connections() == 0 })
	if !bytes.Contains(scrape(t, f.srv), []byte(`godwit_edge_closes_total{error="heartbeat_missed"}`)) {
		t.Error("the close was not counted by its name")
	}
}
