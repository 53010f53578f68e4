package sim

import (
	"slices"
	"time"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
)

// Moves of replicas, when there are more cores than a shard has replicas: a
// small script in place of control, with the steps that a fleet's moves have.
// The new node learns, votes, and then the old one goes; each step waits for
// what Raft shows, so that faults may come in between.

// move is a replica on its way.
type move struct {
	shard    wire.ShardID
	from, to wire.NodeID
}

const (
	controlEvery = time.Second
	caughtUp     = 20 // entries that a learner may lack when it is made a voter
)

// control is the script's clock.
func (w *world) control() {
	w.e.after(controlEvery, w.control)
	switch {
	case len(w.cores) <= w.cfg.Replicas:
	case w.move != nil:
		w.stepMove()
	case w.sending && w.e.chance(1.0/90):
		w.beginMove()
	}
}

// beginMove takes some replica of some shard to a node that has none.
func (w *world) beginMove() {
	id := w.m.Shards()[w.e.rnd.IntN(len(w.m.Shards()))]
	from := w.m.Replicas(id)[w.e.rnd.IntN(w.cfg.Replicas)]
	to := wire.NodeID(1 + w.e.rnd.IntN(len(w.cores)))
	if contains(w.m.Replicas(id), to) {
		return
	}
	w.move = &move{id, from, to}
	w.figures.moves++
	w.redraw(func(d *shardmap.Draft) {
		if d.Learners == nil {
			d.Learners = make([][]wire.NodeID, len(d.Replicas))
		}
		d.Learners[id-1] = []wire.NodeID{to}
	})
}

// stepMove goes on with the move as far as the shard's leader shows that the
// last step is done.
func (w *world) stepMove() {
	mv := w.move
	l := w.leaderOf(mv.shard)
	if l == nil || !l.c.p.up {
		return
	}
	conf, replicas := &l.raft.log.conf, w.m.Replicas(mv.shard)
	switch {
	case contains(w.m.Learners(mv.shard), mv.to):
		if pr := l.raft.peers[mv.to]; contains(conf.learners, mv.to) && pr != nil && pr.match+caughtUp >= l.raft.log.last() {
			w.redraw(func(d *shardmap.Draft) {
				d.Learners[mv.shard-1] = nil
				d.Replicas[mv.shard-1] = append([]wire.NodeID{mv.to}, d.Replicas[mv.shard-1]...)
			})
		}
	case contains(replicas, mv.from):
		switch {
		case !contains(conf.voters, mv.to):
		case l.c.p.id == mv.from:
			if w.e.chance(0.1) { // a core hands the lead to the first of the map after ten seconds
				l.raft.transfer(replicas[0])
			}
		default:
			w.redraw(func(d *shardmap.Draft) {
				r := &d.Replicas[mv.shard-1]
				*r = slices.DeleteFunc(*r, func(id wire.NodeID) bool { return id == mv.from })
			})
		}
	case !conf.has(mv.from) && !l.raft.moving:
		w.core(mv.from).forget(mv.shard)
		w.move = nil
	}
}

// redraw publishes the next map. Everybody hears of it in their own time; who
// is down reads it when it starts.
func (w *world) redraw(change func(d *shardmap.Draft)) {
	d := w.m.Draft()
	change(&d)
	m, err := shardmap.New(d)
	if err != nil {
		w.fault("map: %v", err)
		return
	}
	w.m = m
	for _, c := range w.cores {
		c.p.after(w.e.between(0, 2*time.Second), func() {
			if m.Epoch() > c.m.Epoch() {
				c.follow(m)
			}
		})
	}
	for _, g := range w.edges {
		g.p.after(w.e.between(0, 2*time.Second), func() {
			if m.Epoch() > g.m.Epoch() {
				g.install(m)
			}
		})
	}
}

// govern has the leader bring the group's members to what the map says, one
// change at a time.
func (r *replica) govern() {
	m, conf := r.c.m, r.raft.log.conf
	if r.raft.moving || m.Epoch() == 1 {
		return
	}
	next := members{slices.Clone(conf.voters), slices.Clone(conf.learners)}
	for _, id := range append(slices.Clone(m.Learners(r.id)), m.Replicas(r.id)...) {
		if !conf.has(id) {
			next.learners = append(next.learners, id)
			r.raft.change(next)
			return
		}
	}
	for _, id := range m.Replicas(r.id) {
		if i := slices.Index(next.learners, id); i >= 0 {
			next.learners = slices.Delete(next.learners, i, i+1)
			next.voters = append(next.voters, id)
			r.raft.change(next)
			return
		}
	}
	for _, id := range conf.voters {
		if contains(m.Replicas(r.id), id) {
			continue
		}
		if id == r.c.p.id {
			for _, to := range m.Replicas(r.id) {
				r.raft.transfer(to)
			}
			return
		}
		next.voters = slices.DeleteFunc(next.voters, func(v wire.NodeID) bool { return v == id })
		r.raft.change(next)
		return
	}
}

// forget ends the replica of a shard that Raft has removed and deletes its
// data.
func (c *coreNode) forget(id wire.ShardID) {
	if r := c.replica(id); r != nil {
		r.raft.removed = true
		if r.leads {
			r.leads = false
			r.end()
		}
		c.reps = slices.DeleteFunc(c.reps, func(o *replica) bool { return o == r })
	}
	delete(c.disk.shards, id)
}
