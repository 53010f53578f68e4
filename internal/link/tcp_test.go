package link_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/wire"
)

// town knows the addresses of the nodes of a test.
type town struct {
	t      *testing.T
	listen func(link.Config) (*link.TCP, error)
	mu     struct {
		sync.Mutex
		addrs map[wire.NodeID]string
	}
}

func newTown(t *testing.T) *town {
	w := &town{t: t, listen: link.ListenFast}
	w.mu.addrs = map[wire.NodeID]string{}
	return w
}

func (w *town) resolve(id wire.NodeID) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.mu.addrs[id]
	return a, ok
}

func (w *town) set(id wire.NodeID, addr string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.addrs[id] = addr
}

// tcpNode is a node on TCP.
type tcpNode struct {
	*node
	tcp *link.TCP
	log *lines
}

// start starts a node that others can dial, at the address that the town knows
// for it, or a new one.
func (w *town) start(id wire.NodeID, change ...func(*link.Config)) *tcpNode {
	w.t.Helper()
	addr, ok := w.resolve(id)
	if !ok {
		addr = "127.0.0.1:0"
	}
	l := mustListen(w.t, addr)
	w.set(id, l.Addr().String())
	return w.open(id, l, change...)
}

// open starts a node; without a listener it can only dial.
func (w *town) open(id wire.NodeID, l net.Listener, change ...func(*link.Config)) *tcpNode {
	w.t.Helper()
	n := &tcpNode{node: newNode(w.t, id), log: new(lines)}
	cfg := link.Config{
		ID: id, Cluster: "test", Listener: l, Resolve: w.resolve, Events: n.events(),
		Log: slog.New(slog.NewTextHandler(n.log, nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	tcp, err := w.listen(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	n.tcp, n.Link = tcp, tcp
	w.t.Cleanup(func() { tcp.Close() })
	return n
}

// lines is a log that tests read while it is written.
type lines struct {
	mu struct {
		sync.Mutex
		bytes.Buffer
	}
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.Buffer.Write(b)
}

// count returns how often text was logged.
func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.mu.Buffer.String(), text)
}

// eventually waits until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("in vain: ", what)
		}
	}
}

func TestTCPBothWaysOverOneConnection(t *testing.T) {
	w := newTown(t)
	core := w.start(1)
	edge := w.open(1001, nil)
	if core.Send(1001, []byte("too early")) {
		t.Fatal("taken without a connection")
	}
	edge.tcp.Connect(1)
	edge.waitUp(1)
	core.waitUp(1001)
	const n = 2000
	for i := range n {
		if !edge.Send(1, fmt.Appendf(nil, "%d", i)) || !core.Send(1001, fmt.Appendf(nil, "%d", i)) {
			t.Fatalf("batch %d was dropped", i)
		}
	}
	for _, got := range [][]string{core.waitBatches(1001, n), edge.waitBatches(1, n)} {
		for i, g := range got {
			if g != fmt.Sprint(i) {
				t.Fatalf("batch %d is %q", i, g)
			}
		}
	}
	s := core.tcp.Stats()
	if s.ReceivedBatches != n || s.SentBatches != n || s.Connects != 1 || s.Dropped[link.DropNoPeer] != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestTCPSendDials(t *testing.T) {
	w := newTown(t)
	a, b := w.start(1), w.start(2)
	if a.Send(2, []byte("x")) {
		t.Fatal("taken without a connection")
	}
	a.waitUp(2)
	if !a.Send(2, []byte("y")) || b.waitBatches(1, 1)[0] != "y" {
		t.Fatal("not delivered once up")
	}
	if !a.Send(1, []byte("self")) || a.waitBatches(1, 1)[0] != "self" {
		t.Fatal("a node does not reach itself")
	}
}

func TestTCPBatchSizes(t *testing.T) {
	w := newTown(t)
	a, b := w.start(1), w.start(2)
	a.tcp.Connect(2)
	a.waitUp(2)
	sizes := []int{1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, link.MaxBatch}
	for i, size := range sizes {
		batch := bytes.Repeat([]byte{byte('a' + i)}, size)
		if !a.Send(2, batch) {
			t.Fatalf("a batch of %d bytes is dropped", size)
		}
		if got := b.waitBatches(1, i+1)[i]; got != string(batch) {
			t.Fatalf("a batch of %d bytes arrives as %d", size, len(got))
		}
	}
	if a.Send(2, make([]byte, link.MaxBatch+1)) || a.tcp.Stats().Dropped[link.DropTooBig] != 1 {
		t.Error("a batch over the bound is not dropped as too big")
	}
}

func TestTCPBothDialAtOnce(t *testing.T) {
	for range 20 {
		w := newTown(t)
		a, b := w.start(1), w.start(2)
		var wg sync.WaitGroup
		wg.Go(func() { a.tcp.Connect(2) })
		wg.Go(func() { b.tcp.Connect(1) })
		wg.Wait()
		a.waitUp(2)
		b.waitUp(1)
		if !a.Send(2, []byte("x")) || !b.Send(1, []byte("y")) {
			t.Fatal("up, and a batch is dropped")
		}
		a.waitBatches(2, 1)
		b.waitBatches(1, 1)
		if s := a.tcp.Stats(); s.Connects != 1 || s.Refused != 0 {
			t.Fatalf("a connected %d times, refused %d; want one connection and no noise", s.Connects, s.Refused)
		}
		a.tcp.Close()
		b.tcp.Close()
	}
}

func TestTCPPeerKilledAndBack(t *testing.T) {
	w := newTown(t)
	edge, core := w.open(1001, nil), w.start(1)
	edge.tcp.Connect(1)
	for round := range 3 {
		edge.waitUp(1)
		core.waitUp(1001)
		if !edge.Send(1, fmt.Appendf(nil, "round %d", round)) {
			t.Fatal("up, and dropped")
		}
		if got := core.waitBatches(1001, 1); got[0] != fmt.Sprintf("round %d", round) {
			t.Fatalf("got %q", got)
		}
		if err := core.tcp.Close(); err != nil {
			t.Fatal(err)
		}
		if core.isUp(1001) {
			t.Error("Close returned before Down")
		}
		edge.waitDown(1)
		if edge.Send(1, []byte("x")) {
			t.Error("down, and taken")
		}
		core = w.start(1)
	}
	edge.waitUp(1)
}

func TestTCPQueueIsBounded(t *testing.T) {
	w := newTown(t)
	w.listen = link.Listen // a peer that takes nothing stays up long enough to fill its queue
	a, b := w.start(1), w.start(2)
	release := make(chan struct{})
	defer close(release)
	b.hook = func(wire.NodeID, []byte) { <-release }
	a.tcp.Connect(2)
	a.waitUp(2)
	batch := make([]byte, 64<<10)
	sent := 0
	for a.Send(2, batch) {
		// The kernel's buffers take some MiB before the queue grows.
		if sent += len(batch); sent > 64<<20 {
			t.Fatal("64 MiB were taken for a peer that reads nothing")
		}
	}
	if s := a.tcp.Stats(); s.Dropped[link.DropQueueFull] != 1 || sent < link.QueueBytes-len(batch)-100 {
		t.Errorf("after %d bytes: drops %v", sent, s.Dropped)
	}
	// Close with a full queue: every batch that was taken has a place in Stats.
	if err := a.tcp.Close(); err != nil {
		t.Fatal(err)
	}
	taken := uint64(sent / len(batch))
	if s := a.tcp.Stats(); s.SentBatches+s.Dropped[link.DropLost] != taken || s.Dropped[link.DropLost] == 0 {
		t.Errorf("%d batches were taken, %d sent and %d lost", taken, s.SentBatches, s.Dropped[link.DropLost])
	}
}

// TestTCPSilentPeerIsDead puts a wall between two nodes that swallows bytes and
// closes nothing, as a pulled cable does.
func TestTCPSilentPeerIsDead(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	core := w.start(1)
	wall := newWall(t, w)
	edge := w.open(1001, nil)
	edge.tcp.Connect(1)
	edge.waitUp(1)
	core.waitUp(1001)
	wall.cut()
	edge.waitDown(1)
	core.waitDown(1001)
	if edge.log.count("nothing heard for") != 1 {
		t.Error("the log does not say why the peer is down")
	}
	wall.mend()
	edge.waitUp(1)
	core.waitUp(1001)
}

func TestTCPIdlePeersStayUp(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.start(1), w.start(2)
	a.tcp.Connect(2)
	a.waitUp(2)
	b.waitUp(1)
	idle := time.NewTimer(2500 * time.Millisecond) // a silent peer is dead after 1 s
	<-idle.C
	if !a.Send(2, []byte("x")) || !b.Send(1, []byte("x")) || a.tcp.Stats().Connects != 1 {
		t.Fatal("an idle connection was given up")
	}
}

func TestTCPRefusals(t *testing.T) {
	w := newTown(t)
	core := w.start(1)
	for name, tc := range map[string]struct {
		change func(*link.Config)
		says   string
	}{
		"other cluster": {func(c *link.Config) { c.Cluster = "prod" }, "another cluster"},
		"same id":       {func(c *link.Config) { c.ID = 1 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			edge := w.open(1001, nil, tc.change)
			edge.tcp.Connect(1)
			if tc.says == "" {
				if edge.tcp.Stats().Connects != 0 {
					t.Error("a node dialled itself")
				}
				return
			}
			eventually(t, "several attempts", func() bool { return edge.tcp.Stats().Refused >= 3 })
			for who, log := range map[string]*lines{"edge": edge.log, "core": core.log} {
				if log.count("handshake refused") != 1 || log.count(tc.says) != 1 {
					t.Errorf("%s should log %q once:\n%s", who, tc.says, log.mu.Buffer.String())
				}
			}
			if edge.isUp(1) || core.isUp(1001) {
				t.Error("up all the same")
			}
			edge.tcp.Close()
		})
	}
}

// TestTCPWrongNode dials an address at which another node lives now.
func TestTCPWrongNode(t *testing.T) {
	w := newTown(t)
	w.start(2)
	addr, _ := w.resolve(2)
	w.set(1, addr)
	edge := w.open(1001, nil)
	edge.tcp.Connect(1)
	eventually(t, "a refusal", func() bool { return edge.log.count("another node than the one expected") == 1 })
}

func TestTCPHostileHandshake(t *testing.T) {
	good := link.Hello(7, 1, "test")
	newer := bytes.Clone(good)
	newer[4] = 9
	long := bytes.Clone(good)
	binary.LittleEndian.PutUint16(long[6:], 0xffff)
	for name, bad := range map[string][]byte{
		"http":          []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"newer version": newer,
		"long hello":    long,
		"cut off":       good[:len(good)-1],
		"node 0":        link.Hello(0, 1, "test"),
		"our own id":    link.Hello(1, 1, "test"),
		"no cluster":    link.Hello(7, 1, ""),
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			core := w.start(1)
			addr, _ := w.resolve(1)
			nc := dialRaw(t, addr)
			write(t, nc, bad)
			_ = nc.(*net.TCPConn).CloseWrite() // fails when the node was faster
			answer, _ := io.ReadAll(nc)        // ends when the node closes
			if len(answer) > 6 && answer[5] == 0 {
				t.Fatalf("accepted with %x", answer)
			}
			eventually(t, "a refusal in stats and log", func() bool {
				return core.tcp.Stats().Refused == 1 && core.log.count("handshake refused") == 1
			})
			if core.tcp.Stats().Connects != 0 {
				t.Error("it came up")
			}
		})
	}
}

func TestTCPSlowHandshakeEnds(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	core := w.start(1)
	addr, _ := w.resolve(1)
	nc := dialRaw(t, addr)
	write(t, nc, link.Hello(7, 1, "test")[:3])
	if _, err := io.ReadAll(nc); err != nil { // the node closes
		t.Fatal(err)
	}
	eventually(t, "a refusal", func() bool { return core.tcp.Stats().Refused == 1 })
}

func TestTCPHostileLengths(t *testing.T) {
	for name, tc := range map[string]struct {
		length uint32
		why    string
	}{
		"over the bound":  {link.MaxBatch + 1, "announces a batch"},
		"the whole range": {0xffffffff, "announces a batch"},
		"never comes":     {link.MaxBatch, "nothing heard"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			core := w.start(1)
			addr, _ := w.resolve(1)
			nc := dialRaw(t, addr)
			write(t, nc, link.Hello(7, 1, "test"))
			core.waitUp(7)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			write(t, nc, binary.LittleEndian.AppendUint32(nil, tc.length))
			write(t, nc, []byte("only this"))
			core.waitDown(7)
			runtime.ReadMemStats(&after)
			if grew := after.TotalAlloc - before.TotalAlloc; grew > 1<<20 {
				t.Errorf("%d bytes allocated for a length", grew)
			}
			if core.log.count(tc.why) != 1 {
				t.Errorf("the log should say %q:\n%s", tc.why, core.log.mu.Buffer.String())
			}
			if len(core.mu.got[7]) != 0 {
				t.Error("half a batch was handed over")
			}
		})
	}
}

func TestTCPCloseDuringEverything(t *testing.T) {
	w := newTown(t)
	w.set(3, "127.0.0.1:1") // nobody there
	var wg sync.WaitGroup
	for range 10 {
		a, b := w.start(1), w.start(2)
		for _, n := range []*tcpNode{a, b} {
			wg.Go(func() {
				for i := range 200 {
					n.Send(wire.NodeID(1+i%3), []byte("x"))
				}
			})
		}
		wg.Go(func() { a.tcp.Close() })
		wg.Go(func() { b.tcp.Close() })
		wg.Wait()
		if a.Send(2, []byte("x")) || a.tcp.Close() != nil {
			t.Fatal("a closed link takes a batch")
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []link.Config{{}, {ID: 1}, {ID: 1, Cluster: strings.Repeat("x", 65)}, {Cluster: "x"}} {
		if tcp, err := link.Listen(cfg); err == nil {
			tcp.Close()
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// mustListen listens at addr, or at a free port of this machine.
func mustListen(t testing.TB, addr ...string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", append(addr, "127.0.0.1:0")[0])
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dialRaw(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return nc
}

func write(t *testing.T, nc net.Conn, b []byte) {
	t.Helper()
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
}

// wall passes bytes between clients and a node until it is cut.
type wall struct {
	t    *testing.T
	l    net.Listener
	to   string
	wg   sync.WaitGroup
	mu   sync.Mutex
	down bool
	all  []net.Conn
}

// newWall stands at the address that the town knows for node 1 from now on.
func newWall(t *testing.T, w *town) *wall {
	t.Helper()
	l := mustListen(t)
	to, _ := w.resolve(1)
	w.set(1, l.Addr().String())
	x := &wall{t: t, l: l, to: to}
	x.wg.Go(x.accept)
	t.Cleanup(func() {
		l.Close()
		x.mu.Lock()
		for _, c := range x.all {
			c.Close()
		}
		x.mu.Unlock()
		x.wg.Wait()
	})
	return x
}

func (x *wall) cut()  { x.set(true) }
func (x *wall) mend() { x.set(false) }

func (x *wall) set(down bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.down = down
}

func (x *wall) isDown() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.down
}

func (x *wall) accept() {
	for {
		in, err := x.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", x.to)
		if err != nil {
			in.Close()
			continue
		}
		x.mu.Lock()
		x.all = append(x.all, in, out)
		x.mu.Unlock()
		x.wg.Go(func() { x.pass(in, out) })
		x.wg.Go(func() { x.pass(out, in) })
	}
}

// pass copies from to to, and swallows what comes while the wall is cut.
func (x *wall) pass(from, to net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if !x.isDown() {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
	}
}
