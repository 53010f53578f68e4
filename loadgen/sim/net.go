package sim

import (
	"slices"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// network moves bytes between processes. Between two of them there is a link,
// which behaves as internal/link promises (batches in order, each at most
// once, Up and Down when the connection comes and goes, what was on its way is
// lost with it), and datagrams for Raft, which may be lost, repeated and
// overtaken by each other.
type network struct {
	e       *engine
	nodes   map[wire.NodeID]endpoint
	ids     []wire.NodeID // ascending
	links   map[pair]*link
	blocked map[pair]bool // from lo to hi: what lo sends to hi does not come through

	loss, dup, drop float64 // of datagrams; of batches that a link does not take
	slow            time.Duration

	lossAt time.Duration // when a batch was last lost; 0: never
}

// endpoint is a process as the network sees it.
type endpoint interface {
	process() *proc
	batch(from wire.NodeID, b []byte)
	peerUp(id wire.NodeID)
	peerDown(id wire.NodeID)
}

type pair struct{ lo, hi wire.NodeID }

func pairOf(a, b wire.NodeID) pair { return pair{min(a, b), max(a, b)} }

// link is the connection of two processes.
type link struct {
	net  *network
	ends [2]wire.NodeID
	up   bool
	knew [2]bool // which end believes that it is up
	gen  uint32  // of the connection
	way  [2]way  // by sender
}

// way is one direction of a link.
type way struct {
	last  time.Duration // when the newest batch arrives
	stuck [][]byte      // that wait for a partition to end
}

// linkTimeout is how long a connection survives without a word.
const linkTimeout = 5 * time.Second

func newNetwork(e *engine) *network {
	return &network{e: e, nodes: map[wire.NodeID]endpoint{}, links: map[pair]*link{}, blocked: map[pair]bool{}}
}

// add makes a process known. Edges do not talk to each other.
func (n *network) add(ep endpoint, isEdge func(wire.NodeID) bool) {
	id := ep.process().id
	for _, other := range n.ids {
		if isEdge(id) && isEdge(other) {
			continue
		}
		p := pairOf(id, other)
		n.links[p] = &link{net: n, ends: [2]wire.NodeID{p.lo, p.hi}}
	}
	n.nodes[id] = ep
	n.ids = append(n.ids, id)
	slices.Sort(n.ids)
}

// delay draws how long something takes from one process to another.
func (n *network) delay() time.Duration {
	d := n.e.between(100*us, 900*us) + n.slow
	if n.e.chance(0.01) {
		d += n.e.between(0, 30*ms)
	}
	return d
}

func (n *network) cutOff(from, to wire.NodeID) bool { return n.blocked[pair{from, to}] }

// datagram carries one message of Raft, perhaps.
func (n *network) datagram(from, to wire.NodeID, arrive func()) {
	if n.cutOff(from, to) || n.e.chance(n.loss) {
		return
	}
	copies := 1
	if n.e.chance(n.dup) {
		copies = 2
	}
	for range copies {
		n.nodes[to].process().after(n.delay(), arrive)
	}
}

// linksOf calls fn with the links of id in order.
func (n *network) linksOf(id wire.NodeID, fn func(l *link)) {
	for _, other := range n.ids {
		if l := n.links[pairOf(id, other)]; l != nil && other != id {
			fn(l)
		}
	}
}

// send is link.Link's Send.
func (n *network) send(from, to wire.NodeID, b []byte) bool {
	if from == to {
		// A node's word to itself goes round its own link, later.
		cp := slices.Clone(b)
		p := n.nodes[to].process()
		p.after(0, func() { n.nodes[to].batch(from, cp) })
		return true
	}
	l := n.links[pairOf(from, to)]
	if l == nil || !l.up || n.e.chance(n.drop) {
		n.lossAt = n.e.now
		return false
	}
	side := l.side(from)
	cp := slices.Clone(b)
	if n.cutOff(from, to) || len(l.way[side].stuck) > 0 {
		l.way[side].stuck = append(l.way[side].stuck, cp)
		return true
	}
	l.carry(side, cp)
	return true
}

func (l *link) side(id wire.NodeID) int {
	if l.ends[0] == id {
		return 0
	}
	return 1
}

// carry has b arrive behind what was sent before.
func (l *link) carry(side int, b []byte) {
	w := &l.way[side]
	e := l.net.e
	w.last = max(w.last, e.now+l.net.delay()) + 1
	gen, from, to := l.gen, l.ends[side], l.ends[1-side]
	ep := l.net.nodes[to]
	ep.process().after(w.last-e.now, func() {
		if l.gen == gen {
			e.mixBytes(b)
			ep.batch(from, b)
		}
	})
}

// lose breaks the connection. Whoever lives hears of it after d.
func (l *link) lose(d time.Duration) {
	if !l.up {
		return
	}
	l.up = false
	l.gen++
	for side := range 2 {
		l.net.lossAt = l.net.e.now
		l.way[side].stuck = nil
		l.notice(side, d)
	}
}

// notice tells one end that the connection is gone, unless it has learned so
// by a new one.
func (l *link) notice(side int, d time.Duration) {
	gen, ep := l.gen, l.net.nodes[l.ends[side]]
	ep.process().after(d, func() {
		if l.gen == gen && l.knew[side] {
			l.knew[side] = false
			ep.peerDown(l.ends[1-side])
		}
	})
}

// dial tries to connect after d, and again while that does not work.
func (l *link) dial(d time.Duration) {
	l.net.e.after(d, func() { l.connect() })
}

func (l *link) connect() {
	n := l.net
	a, b := n.nodes[l.ends[0]], n.nodes[l.ends[1]]
	if l.up || !a.process().up || !b.process().up {
		return
	}
	if n.cutOff(l.ends[0], l.ends[1]) || n.cutOff(l.ends[1], l.ends[0]) || a.process().paused || b.process().paused {
		return // unblock and resume dial again
	}
	l.up = true
	l.gen++
	gen := l.gen
	for side, ep := range []endpoint{a, b} {
		ep.process().after(l.net.delay(), func() {
			if l.gen != gen {
				return
			}
			if l.knew[side] {
				ep.peerDown(l.ends[1-side])
			}
			l.knew[side] = true
			ep.peerUp(l.ends[1-side])
		})
		l.way[side].last = max(l.way[side].last, n.e.now+2*ms)
	}
}

// died forgets what a process that has crashed knew; its peers hear of it
// after d.
func (n *network) died(id wire.NodeID, d time.Duration) {
	n.linksOf(id, func(l *link) {
		l.lose(d)
		l.knew[l.side(id)] = false
	})
}

// born has everybody connect to a process that has started.
func (n *network) born(id wire.NodeID) {
	n.linksOf(id, func(l *link) { l.dial(n.e.between(5*ms, 200*ms)) })
}

// block cuts one direction. A connection that is silent for too long breaks.
func (n *network) block(from, to wire.NodeID) {
	n.blocked[pair{from, to}] = true
	l := n.links[pairOf(from, to)]
	if l == nil {
		return
	}
	gen := l.gen
	n.e.after(linkTimeout, func() {
		if l.gen == gen && n.cutOff(from, to) {
			l.lose(0)
		}
	})
}

// unblock ends a cut: what waited goes on its way, what broke is dialled.
func (n *network) unblock(from, to wire.NodeID) {
	delete(n.blocked, pair{from, to})
	l := n.links[pairOf(from, to)]
	if l == nil {
		return
	}
	if !l.up {
		l.dial(n.e.between(10*ms, 500*ms))
		return
	}
	w := &l.way[l.side(from)]
	stuck := w.stuck
	w.stuck = nil
	for _, b := range stuck {
		l.carry(l.side(from), b)
	}
}
