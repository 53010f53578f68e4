package edge

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/wire"
)

// What one idle, signed-in connection may cost the edge in user space, in
// bytes of live heap. The kernel's part and the core's are not in it.
const (
	plainBudget = 750     // measured 680: 270 gnet's connection, 232 the session, 125 addresses
	tlsBudget   = 9 << 10 // of it 6,500 crypto/tls
)

// TestIdleBytes measures what idle connections cost. Their clients are bare
// descriptors and the core forgets them, so that what is measured is the edge.
func TestIdleBytes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		start  func(testing.TB, func(*Config)) *fleet
		n      int
		budget int
	}{{"plain", start, 4000, plainBudget}, {"tls", startTLS, 400, tlsBudget}} {
		t.Run(tc.name, func(t *testing.T) {
			f := tc.start(t, nil)
			f.bareClient("alice") // whatever is made once is made now
			goroutines, before := runtime.NumGoroutine(), heap()
			for range tc.n {
				f.bareClient("alice")
			}
			f.core.Stop() // it forgets its sessions
			per := (int(heap()) - int(before)) / tc.n
			t.Logf("%d bytes of heap per idle connection", per)
			if per > tc.budget {
				t.Errorf("%d bytes of heap per idle connection, budget %d", per, tc.budget)
			}
			if more := runtime.NumGoroutine() - goroutines; more > 10 {
				t.Errorf("%d goroutines more for %d connections", more, tc.n)
			}
		})
	}
}

// heap returns the bytes of live objects.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // the first one only moves what pools hold
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// bareClient signs a user in and keeps of the client's side nothing but the
// descriptor.
func (f *fleet) bareClient(user string) {
	f.t.Helper()
	nc, err := net.Dial("tcp", f.srv.Addr())
	if err != nil {
		f.t.Fatal(err)
	}
	var rw net.Conn = nc
	if f.srv.cfg.CertFile != "" {
		rw = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	c := &rawClient{t: f.t, nc: rw, r: bufio.NewReader(rw)}
	c.write([]byte(upgradeText + "Sec-WebSocket-Protocol: " + wire.SubprotocolMsgpack + "\r\n\r\n"))
	c.deadline()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		f.t.Fatalf("upgrade: %+v, %v", resp, err)
	}
	c.write(appendClientFrame(nil, &wire.Frame{Op: wire.OpHello, Token: []byte(f.token(user, "phone"))}))
	c.expect(wire.OpSynced)

	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		f.t.Fatal(err)
	}
	fd := -1
	if err := raw.Control(func(s uintptr) { fd, err = unix.Dup(int(s)) }); err != nil || fd < 0 {
		f.t.Fatal(err)
	}
	_ = nc.Close()
	f.bare = append(f.bare, fd)
}

// BenchmarkPing is the cost of a heartbeat: a frame in, a frame out, one read
// and one write of the socket, with the client's side of the same.
func BenchmarkPing(b *testing.B) {
	f := start(b, nil)
	c := f.rawHello("alice", "phone")
	ping := appendClientFrame(nil, &wire.Frame{Op: wire.OpPing})
	buf := make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.nc.Write(ping); err != nil {
			b.Fatal(err)
		}
		if _, err := c.r.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFrames has 64 frames in each write, which takes the system calls
// out of the picture: what is left is the edge's own work on a frame in and a
// frame out, and the client's.
func BenchmarkFrames(b *testing.B) {
	f := start(b, func(c *Config) { c.OpsRate = -1 })
	c := f.rawHello("alice", "phone")
	const n = 64
	var pings []byte
	for range n {
		pings = appendClientFrame(pings, &wire.Frame{Op: wire.OpPing})
	}
	pong := wire.AppendMsgpack(nil, &wire.Frame{Op: wire.OpPong})
	buf := make([]byte, n*(2+len(pong)))
	b.ReportAllocs()
	for b.Loop() {
		c.write(pings)
		if _, err := io.ReadFull(c.r, buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/frame")
}

// BenchmarkSend is messages from one client to the fake core and back as
// ack_sent, 64 in flight; the fake core's own work is in it.
func BenchmarkSend(b *testing.B) {
	f := start(b, func(c *Config) { c.SendRate = -1 })
	c := f.rawHello("alice", "phone")
	const n = 64
	id := 0
	var frames []byte
	b.ReportAllocs()
	for b.Loop() {
		frames = frames[:0]
		for range n {
			id++
			frames = appendClientFrame(frames, &wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: strconv.AppendInt(nil, int64(id), 10), Content: []byte("hello")})
		}
		c.write(frames)
		for range n {
			c.expect(wire.OpAckSent)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/message")
}
