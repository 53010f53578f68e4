package edge

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// crowd fills the gate from 127.0.0.1 with connections that have sent text.
func (f *fleet) crowd(places, n int, text string) []net.Conn {
	f.t.Helper()
	f.srv.gate.mu.Lock()
	f.srv.gate.mu.places = places
	f.srv.gate.mu.Unlock()
	var conns []net.Conn
	for range n {
		nc, err := net.Dial("tcp", f.srv.Addr())
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() { _ = nc.Close() })
		if _, err := io.WriteString(nc, text); err != nil {
			f.t.Fatal(err)
		}
		conns = append(conns, nc)
	}
	eventually(f.t, "the gate is full", func() bool { return f.inside() == places })
	return conns
}

func (f *fleet) inside() int {
	f.srv.gate.mu.Lock()
	defer f.srv.gate.mu.Unlock()
	return len(f.srv.gate.mu.in)
}

// asked asks for the server's description from another loopback address and
// returns how long that took.
func (f *fleet) asked(from string) time.Duration {
	f.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	tr := &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}
	began := time.Now()
	resp, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second}).Get(f.url("http", "/v1/server"))
	if err != nil {
		f.t.Fatalf("%s was kept out: %v", from, err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		f.t.Fatal(resp.Status)
	}
	return time.Since(began)
}

// One address that connects far more often than there are places, and says
// nothing or only half of what it should, keeps nobody else out.
func TestCrowdMakesRoom(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		times int // as many connections as places
		least time.Duration
	}{
		"mute":         {"", 3, 0},
		"half a head":  {"GET / HTTP/1.1\r\n", 1, 500 * time.Millisecond},
		"half a body":  {"POST /v1/groups HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 9\r\n\r\n{", 1, 500 * time.Millisecond},
		"without body": {"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", 1, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, nil)
			f.crowd(16, tc.times*16, strings.Replace(tc.text, "TOKEN", f.token("eve", ""), 1))
			// Without room they would keep their places for 5 s, or 10 s a body.
			if took := f.asked("127.0.0.2"); took < tc.least || took > 4*time.Second {
				t.Errorf("another address waited %v", took)
			}
			if f.srv.gate.madeRoom.Load() == 0 || !contains(string(scrape(t, f.srv)), fmt.Sprintf(`godwit_edge_drops_total{reason="http_made_room"} %d`, f.srv.gate.madeRoom.Load())) {
				t.Error("not counted")
			}
		})
	}
}

// Nobody is closed while there are places, and who works never is.
func TestNoPressureNoRoom(t *testing.T) {
	f := start(t, nil)
	conns := f.crowd(16, 16, "")
	f.srv.gate.mu.Lock()
	f.srv.gate.mu.places = 17
	f.srv.gate.mu.Unlock()
	f.asked("127.0.0.2")
	if n := f.srv.gate.madeRoom.Load(); n != 0 {
		t.Errorf("%d of %d were closed with a place free", n, len(conns))
	}
}

func TestWhoMakesRoom(t *testing.T) {
	const now = 100_000
	for _, tc := range []struct {
		name          string
		waited, heard int64 // ago; heard 0: never
		busy, crowd   bool
		tries         bool
	}{
		{"has just come", 200, 0, false, false, false},
		{"mute", 300, 0, false, false, true},
		{"slow", 3000, 900, false, false, false},
		{"silent", 3000, 1100, false, false, true},
		{"between two requests", 500, 2000, false, false, false},
		{"slow, of a crowd", 1100, 100, false, true, true},
		{"quick, of a crowd", 900, 100, false, true, false},
		{"at work", 9000, 9000, true, true, false},
	} {
		v := &visit{}
		v.waited.Store(now - tc.waited)
		if tc.heard != 0 {
			v.heard.Store(now - tc.heard)
		}
		v.busy.Store(tc.busy)
		if got := v.tries(now, tc.crowd); got != tc.tries {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// The address that holds most makes room first, there who waited longest.
func TestRoomIsOfWhoHoldsMost(t *testing.T) {
	g := newGate(nil, 4, nil)
	begin := time.Now()
	add := func(addr string, ago time.Duration) *publicConn {
		a := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))
		pc := &publicConn{}
		if !g.enter(pc, newVisit(a, begin.Add(-ago))) {
			t.Fatal("no place")
		}
		return pc
	}
	add("192.0.2.1:1", 4*time.Second)
	add("[2001:db8::1]:1", time.Second)
	oldest := add("[2001:db8::2]:1", 2*time.Second)
	add("[2001:db8:0:1::1]:1", 3*time.Second)
	if got := g.room(netip.Prefix{}, begin); got != oldest {
		t.Errorf("closes the one of %v", g.mu.in[got])
	}
	if g.enter(&publicConn{}, &visit{}) {
		t.Error("a fifth place of four")
	}
}
