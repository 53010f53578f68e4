package core

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// wires carry what the Raft sides of nodes tell each other, one for each
// direction between two nodes, and can be cut.
type wires struct {
	wg sync.WaitGroup
	mu struct {
		sync.Mutex
		off   wire.NodeID // nobody hears this node, and it hears nobody
		ends  map[net.Conn][2]wire.NodeID
		ports []net.Listener
	}
}

func newWires(t testing.TB) *wires {
	ws := new(wires)
	ws.mu.ends = map[net.Conn][2]wire.NodeID{}
	t.Cleanup(func() {
		ws.mu.Lock()
		for _, l := range ws.mu.ports {
			l.Close()
		}
		for c := range ws.mu.ends {
			c.Close()
		}
		ws.mu.Unlock()
		ws.wg.Wait()
	})
	return ws
}

// seenBy returns the shard map as node from has it: the other nodes are at the
// near ends of wires.
func (ws *wires) seenBy(t testing.TB, from wire.NodeID, m *shardmap.Map) *watch.Watcher {
	d := m.Draft()
	for i := range d.Nodes {
		if to := d.Nodes[i]; to.ID != from {
			d.Nodes[i].RaftAddr = ws.lay(t, from, to)
		}
	}
	seen, err := shardmap.New(d)
	if err != nil {
		t.Fatal(err)
	}
	w := new(watch.Watcher)
	w.Publish(seen)
	return w
}

// lay lays the wire from a node to another and returns its near end.
func (ws *wires) lay(t testing.TB, from wire.NodeID, to shardmap.Node) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ws.mu.Lock()
	ws.mu.ports = append(ws.mu.ports, l)
	ws.mu.Unlock()
	ws.wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			ws.wg.Go(func() { ws.carry(near, from, to) })
		}
	})
	return l.Addr().String()
}

func (ws *wires) carry(near net.Conn, from wire.NodeID, to shardmap.Node) {
	far, err := net.Dial("tcp", to.RaftAddr)
	if err != nil {
		near.Close()
		return
	}
	ws.mu.Lock()
	if ws.mu.off != 0 && (ws.mu.off == from || ws.mu.off == to.ID) {
		near.Close()
		far.Close()
	}
	ws.mu.ends[near], ws.mu.ends[far] = [2]wire.NodeID{from, to.ID}, [2]wire.NodeID{from, to.ID}
	ws.mu.Unlock()
	back := make(chan struct{})
	go func() {
		defer close(back)
		io.Copy(near, far)
		near.Close()
	}()
	io.Copy(far, near)
	far.Close()
	<-back
	ws.mu.Lock()
	delete(ws.mu.ends, near)
	delete(ws.mu.ends, far)
	ws.mu.Unlock()
}

// cut cuts a node off; zero mends everything.
func (ws *wires) cut(id wire.NodeID) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.mu.off = id
	for c, ends := range ws.mu.ends {
		if id != 0 && (ends[0] == id || ends[1] == id) {
			c.Close()
		}
	}
}
