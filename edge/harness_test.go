package edge

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/edge/auth"
	"github.com/godwit-im/godwit/edge/edgetest"
	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

const (
	coreID  wire.NodeID = 1
	coreTwo wire.NodeID = 2
	edgeID  wire.NodeID = 1001
)

// TestMain fails when a test leaves a goroutine. gnet keeps a worker pool and
// its timers for the life of the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
	)
}

var secret = []byte("0123456789abcdef0123456789abcdef")

// fleet is an edge, a fake core and what links them.
type fleet struct {
	t    testing.TB
	srv  *Server
	core *edgetest.Core
	hub  *link.Hub
	map_ *watch.Watcher
	root *http.Client
	bare []int // descriptors of clients that are nothing else
}

// start runs an edge with one fake core. change may alter its configuration.
func start(t testing.TB, change func(*Config)) *fleet {
	t.Helper()
	f := &fleet{t: t, hub: link.NewHub(), map_: new(watch.Watcher), root: http.DefaultClient}
	m := testMap(t, 1, coreID)
	f.map_.Publish(m)
	verifier, err := auth.New(context.Background(), auth.Config{HS256Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Node: edgeID, Listen: "127.0.0.1:0", Watcher: f.map_, Auth: verifier, DevSecret: secret, Loops: 2, Version: "test"}
	if change != nil {
		change(&cfg)
	}
	f.core = edgetest.NewCore(f.hub, coreID, m.Shards()...)
	if f.srv, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	l := f.hub.Join(cfg.Node, f.srv.Events())
	f.srv.Attach(l)
	t.Cleanup(func() {
		for _, fd := range f.bare {
			_ = unix.Close(fd)
		}
		if err := f.srv.Close(); err != nil {
			t.Error(err)
		}
		_ = l.Close()
		f.core.Stop()
		verifier.Close()
	})
	return f
}

// testMap returns a map of four shards, each on all of nodes.
func testMap(t testing.TB, epoch uint64, nodes ...wire.NodeID) *shardmap.Map {
	t.Helper()
	d := shardmap.Draft{Epoch: epoch, Slots: shardmap.SpreadSlots(4)}
	for range 4 {
		d.Replicas = append(d.Replicas, nodes)
	}
	for _, n := range nodes {
		d.Nodes = append(d.Nodes, shardmap.Node{ID: n, Zone: "a", LinkAddr: "127.0.0.1:1", RaftAddr: "127.0.0.1:2"})
	}
	m, err := shardmap.New(d)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (f *fleet) token(user, device string) string {
	f.t.Helper()
	token, err := auth.Mint(secret, wire.UserID(user), wire.DeviceID(device), time.Now(), time.Hour)
	if err != nil {
		f.t.Fatal(err)
	}
	return token
}

func (f *fleet) url(scheme, path string) string {
	if f.srv.cfg.CertFile != "" {
		scheme += "s"
	}
	return scheme + "://" + f.srv.Addr() + path
}

// client is one connection of an independent WebSocket implementation.
type client struct {
	t      testing.TB
	ws     *websocket.Conn
	format wire.Format
}

// dial opens a connection that speaks format, without saying hello.
func (f *fleet) dial(format wire.Format, header http.Header) (*client, *http.Response, error) {
	protocol := wire.SubprotocolMsgpack
	if format == wire.JSON {
		protocol = wire.SubprotocolJSON
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, f.url("ws", "/ws"), &websocket.DialOptions{
		Subprotocols: []string{protocol}, HTTPHeader: header, HTTPClient: f.root})
	if err != nil {
		return nil, resp, err
	}
	ws.SetReadLimit(1 << 22)
	f.t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t: f.t, ws: ws, format: format}, resp, nil
}

// connect dials, signs in by hello and reads until synced. It returns what
// came in between.
func (f *fleet) connect(user, device string, format wire.Format) (*client, []wire.Frame) {
	f.t.Helper()
	c, _, err := f.dial(format, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	c.send(&wire.Frame{Op: wire.OpHello, Token: []byte(f.token(user, device))})
	welcome := c.expect(wire.OpWelcome)
	if string(welcome.User) != user {
		f.t.Fatalf("welcome for %q, want %q", welcome.User, user)
	}
	var missed []wire.Frame
	for {
		fr := c.next()
		if fr.Op == wire.OpSynced {
			return c, missed
		}
		missed = append(missed, fr)
	}
}

func (c *client) send(f *wire.Frame) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	kind := websocket.MessageBinary
	if c.format == wire.JSON {
		kind = websocket.MessageText
	}
	if err := c.ws.Write(ctx, kind, wire.Append(nil, f, c.format)); err != nil {
		c.t.Fatalf("send %s: %v", f.Op, err)
	}
}

// next reads one frame.
func (c *client) next() wire.Frame {
	c.t.Helper()
	f, err := c.read()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return f
}

func (c *client) read() (f wire.Frame, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	_, b, err := c.ws.Read(ctx)
	if err != nil {
		return f, err
	}
	return f, wire.Decode(b, &f, c.format)
}

// expect reads until a frame of op comes; the others may be anything but
// errors.
func (c *client) expect(op wire.Op) wire.Frame {
	c.t.Helper()
	for {
		f := c.next()
		if f.Op == op {
			return f
		}
		if f.Op == wire.OpError {
			c.t.Fatalf("want %s, got error %d: %s", op, f.Code, f.Message)
		}
	}
}

// closed reads until the connection ends and returns the close status and the
// last error frame.
func (c *client) closed() (status websocket.StatusCode, last wire.Code) {
	c.t.Helper()
	for {
		f, err := c.read()
		if err != nil {
			return websocket.CloseStatus(err), last
		}
		if f.Op == wire.OpError {
			last = f.Code
		}
	}
}

// message sends content to a user and waits for the ack.
func (c *client) message(to, id, content string) wire.Frame {
	c.t.Helper()
	c.send(&wire.Frame{Op: wire.OpSendMessage, To: []byte(to), ClientMsgID: []byte(id), Content: []byte(content)})
	ack := c.expect(wire.OpAckSent)
	if string(ack.ClientMsgID) != id {
		c.t.Fatalf("ack of %q, want %q", ack.ClientMsgID, id)
	}
	return ack
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !cond() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func bearer(token string) http.Header {
	return http.Header{"Authorization": {"Bearer " + token}}
}

// trust makes the fleet's clients believe its certificate.
func (f *fleet) trust(cfg *tls.Config) {
	tr := &http.Transport{TLSClientConfig: cfg}
	f.t.Cleanup(tr.CloseIdleConnections)
	f.root = &http.Client{Transport: tr}
}

var bothFormats = map[string]wire.Format{"msgpack": wire.Msgpack, "json": wire.JSON}

func contains(s, sub string) bool { return strings.Contains(s, sub) }
