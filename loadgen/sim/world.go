package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/loadgen/check"
	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// world is a whole fleet, its users and what is known of both.
type world struct {
	cfg   Config
	plant plant
	e     *engine
	net   *network
	m     *shardmap.Map

	cores   []*coreNode
	edges   []*edgeNode
	devices []*device
	chats   []chatOf
	plan    workload.Plan
	checks  []*check.Checker // by number of the device
	audit   audit
	nemesis nemesis

	sending bool
	talks   int           // times that sending began
	end     time.Duration // of sending
	acked   uint64
	broken  *Failure
	move    *move            // under way, nil none
	suspect *check.Violation // what the next fault is about
	watch   *watch

	figures  figures
	verdicts []check.Verdict
}

// figures count what happened in a run.
type figures struct {
	calms      int
	elections  uint64
	statusBack uint64
	moves      uint64
	pushGaps   uint64 // entries that were not pushed after a batch was lost
}

// chatOf is a conversation of the plan.
type chatOf struct {
	id      wire.ChatID
	members [][]*device // by side, then by number
	next    uint32
}

// firstEdge is the id of the first edge; cores count from 1.
const firstEdge = 1001

func newWorld(cfg Config, pl plant, w8 *watch) (*world, error) {
	w := &world{cfg: cfg, plant: pl, e: newEngine(cfg.Seed), watch: w8, end: cfg.For}
	w.net = newNetwork(w.e)
	w.net.loss, w.net.dup, w.net.drop = 0.001, 0.001, 0.00002
	var nodes []shardmap.Node
	for i := range cfg.Cores {
		nodes = append(nodes, shardmap.Node{ID: wire.NodeID(i + 1)})
	}
	m, err := place.Initial(nodes, cfg.Shards, cfg.Replicas)
	if err != nil {
		return nil, err
	}
	w.m = m
	w.audit = newAudit(w)
	isEdge := func(id wire.NodeID) bool { return id >= firstEdge }
	for _, n := range nodes {
		c := &coreNode{w: w, p: &proc{e: w.e, id: n.ID}, disk: newDisk(w.e)}
		w.cores = append(w.cores, c)
		w.net.add(c, isEdge)
	}
	for i := range cfg.Edges {
		g := &edgeNode{w: w, p: &proc{e: w.e, id: wire.NodeID(firstEdge + i)}}
		w.edges = append(w.edges, g)
		w.net.add(g, isEdge)
	}
	w.people()
	for _, c := range w.cores {
		c.start()
	}
	for _, g := range w.edges {
		g.start()
	}
	w.nemesis = nemesis{w: w}
	return w, nil
}

// people makes the users: two thirds of them in pairs, the rest in groups.
func (w *world) people() {
	size := min(w.cfg.GroupSize, max(2, w.cfg.Users/3))
	groups := w.cfg.Users / 3 / size
	w.plan = workload.Plan{Run: "s", Pairs: (w.cfg.Users - groups*size) / 2, Groups: groups, GroupSize: size,
		Rate: w.cfg.Rate, Size: workload.MinSize + 16}
	for range w.cfg.Devices {
		c := check.New(&w.plan)
		c.OnBroken = w.violated
		w.checks = append(w.checks, c)
	}
	for i := range w.plan.Chats() {
		id := uint32(i)
		c := chatOf{}
		if w.plan.IsGroup(id) {
			var seed [32]byte
			for b := range seed {
				seed[b] = byte(w.e.rnd.Uint32())
			}
			c.id = wire.NewChatID(wire.Group, seed)
		} else {
			c.id = wire.DirectChat(w.plan.User(id, 0), w.plan.User(id, 1))
		}
		for side := range w.plan.Members(id) {
			var of []*device
			for no := range w.cfg.Devices {
				d := &device{w: w, user: w.plan.User(id, side), chat: id, side: side, no: no}
				of = append(of, d)
				w.devices = append(w.devices, d)
			}
			c.members = append(c.members, of)
		}
		w.chats = append(w.chats, c)
		w.audit.chat(c.id, id)
	}
}

func (w *world) core(id wire.NodeID) *coreNode {
	if id == 0 || int(id) > len(w.cores) {
		return nil
	}
	return w.cores[id-1]
}

// begin has everybody connect, makes the groups and starts the traffic.
func (w *world) begin() {
	w.control()
	for _, d := range w.devices {
		w.e.after(w.e.between(0, 2*time.Second), d.start)
	}
	for i := range w.chats {
		if w.plan.IsGroup(uint32(i)) {
			w.makeGroup(uint32(i))
		}
	}
}

// makeGroup asks for a group until it is there.
func (w *world) makeGroup(i uint32) {
	it := peer.Item{Op: peer.OpCreateGroup, Chat: w.chats[i].id, User: []byte(w.plan.User(i, 0)), Name: []byte(w.plan.Name(i))}
	for side := 1; side < w.plan.Members(i); side++ {
		it.List = peer.AppendBytes(it.List, w.plan.User(i, side))
	}
	g := w.edges[int(i)%len(w.edges)]
	g.p.after(time.Second, func() {
		g.rest(it.Chat.Slot(), it, time.Hour, func(rep *peer.Item) {
			if rep == nil || rep.Code != wire.OK {
				w.fault("group %d cannot be made", i)
			}
		})
	})
}

// talk begins to send: every conversation at its own random pace.
func (w *world) talk() {
	w.sending = true
	w.talks++
	for i := range w.chats {
		w.speak(uint32(i))
	}
}

// maxUnacked bounds what one conversation has out without an answer.
const maxUnacked = 40

func (w *world) speak(chat uint32) {
	c := &w.chats[chat]
	mean := float64(len(w.chats)) / w.plan.Rate
	gap := time.Duration(w.e.rnd.ExpFloat64() * mean * float64(time.Second))
	if w.e.chance(0.15) {
		gap = w.e.between(0, 20*ms) // people write in bursts
	}
	round := w.talks
	w.e.after(gap, func() {
		if !w.sending || w.talks != round {
			return
		}
		id := workload.ID{Chat: chat, K: c.next}
		of := c.members[w.plan.Side(id)]
		d := of[0]
		if len(of) > 1 && w.e.chance(0.2) {
			d = of[1+w.e.rnd.IntN(len(of)-1)]
		}
		if len(d.unacked) < maxUnacked {
			c.next++
			w.audit.sender(id, d)
			d.send(id)
		}
		w.speak(chat)
	})
}

// fault ends the run: a promise is broken, or the model is.
func (w *world) fault(format string, args ...any) {
	if w.broken == nil {
		kind, _, _ := strings.Cut(format, ":")
		w.broken = &Failure{Kind: kind, At: w.e.now, Detail: fmt.Sprintf(format, args...), Violation: w.suspect}
	}
}

// violated takes what a checker found.
func (w *world) violated(v check.Violation) {
	if w.broken != nil {
		return
	}
	w.broken = &Failure{Kind: string(v.Kind), At: w.e.now, Violation: &v,
		Detail: fmt.Sprintf("%s, message %d, message_id %d, user %s: %s", v.Chat, v.K, v.Seq, v.User, v.Detail)}
}

func (w *world) stopped() bool { return w.broken != nil }

// record is something that happened, for the story of a failure.
type record struct {
	at   time.Duration
	kind string
	node wire.NodeID
	user wire.UserID
	dev  int
	chat uint32
	k    uint32
	has  bool // chat and k name a message
	seq  wire.Seq

	shard wire.ShardID
}

// watch collects the records that are about one conversation's message, and
// what befell the fleet meanwhile.
type watch struct {
	chat  uint32
	k     uint32
	seq   wire.Seq
	story []record
}

func (w *world) note(r record) {
	r.at = w.e.now
	w.e.mix(uint64(len(r.kind)) ^ uint64(r.node)<<32 ^ uint64(r.seq)<<8 ^ uint64(r.k)<<40)
	h := w.watch
	if h == nil {
		return
	}
	about := r.node != 0 || r.chat == h.chat && (r.has && r.k == h.k || h.seq != 0 && r.seq == h.seq)
	if about {
		h.story = append(h.story, r)
	}
}

func (r *record) String() string {
	at := fmt.Sprintf("%12v  ", r.at.Truncate(time.Microsecond))
	switch {
	case r.node != 0 && r.shard != 0:
		return at + fmt.Sprintf("node %d %s shard %d", r.node, r.kind, r.shard)
	case r.node != 0:
		return at + fmt.Sprintf("node %d %s", r.node, r.kind)
	case r.seq != 0 && r.has:
		return at + fmt.Sprintf("%s/d%d %s message %d as %d", r.user, r.dev, r.kind, r.k, r.seq)
	case r.seq != 0:
		return at + fmt.Sprintf("%s/d%d %s message_id %d", r.user, r.dev, r.kind, r.seq)
	}
	return at + fmt.Sprintf("%s/d%d %s message %d", r.user, r.dev, r.kind, r.k)
}

// shardIDs returns all shards.
func (w *world) shardIDs() []wire.ShardID { return slices.Clone(w.m.Shards()) }
