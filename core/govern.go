package core

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// governor is what the leader of a shard does about its membership: it drives
// Raft's to what the map says, one change at a time, and hands the leadership
// to the preferred replica. All of it is soft; the next leader reads Raft and
// the map and goes on.
type governor struct {
	kick   chan struct{}
	roster atomic.Pointer[roster] // nil: not read in this leadership
	stale  atomic.Bool            // group has changed, or must be read anew
	bytes  atomic.Uint64          // of the rows on the disk, about; the keeper measures

	// Owned by the govern goroutine.
	since   time.Time     // when the leadership was first seen
	led     uint64        // which leadership that was
	retryAt time.Time     // not to be handed over before
	backoff time.Duration // before the next try

	mu struct {
		sync.Mutex
		seen map[wire.NodeID]sighting
		asks map[wire.NodeID]peer.Item // that wait for a seat, one per node
	}
}

func (g *governor) init() {
	g.kick = make(chan struct{}, 1)
	g.mu.seen = make(map[wire.NodeID]sighting)
	g.mu.asks = make(map[wire.NodeID]peer.Item)
}

// wake has the governor look now.
func (g *governor) wake() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// heard takes what another node says of its replica of this shard.
func (r *replica) heard(from wire.NodeID, it *peer.Item, t *turn) {
	if !r.leads.Load() {
		t.seat(from, it, &peer.Item{Code: wire.CodeNotLeader, Node: r.leaderNode()})
		return
	}
	g := &r.gov
	g.mu.Lock()
	if _, known := g.mu.seen[from]; known || len(g.mu.seen) < sightingsMax {
		g.mu.seen[from] = sighting{
			at: time.Now(), number: it.After, applied: uint64(it.Seq), disk: uint64(it.Stamp), full: it.Flags&peer.FlagFull != 0,
		}
		if it.Req != 0 {
			g.mu.asks[from] = *it
		}
	}
	g.mu.Unlock()
	if it.Req != 0 {
		g.wake()
	}
}

// seat answers the hello q of node to, when it asks.
func (t *turn) seat(to wire.NodeID, q, a *peer.Item) {
	if q.Req != 0 {
		a.Op, a.Req, a.Shard, a.Seq = peer.OpSeat, q.Req, q.Shard, wire.Seq(q.After)
		t.add(to, a)
	}
}

// govern is the governor's goroutine.
func (r *replica) govern() {
	tk := time.NewTicker(governEvery)
	defer tk.Stop()
	for {
		select {
		case <-tk.C:
		case <-r.gov.kick:
		case <-r.gone:
			return
		case <-r.node.stop:
			return
		}
		if !r.leads.Load() {
			r.gov.roster.Store(nil)
			continue
		}
		for range changesAtOnce {
			if !r.governOnce() {
				break
			}
		}
	}
}

// governOnce reads the membership when there is a reason, answers who asked for
// a seat, and makes at most one change. It reports whether it made one.
func (r *replica) governOnce() bool {
	r.beginGoverning()
	w := r.wish()
	g := r.gov.roster.Load()
	if g == nil || r.gov.stale.Swap(false) || r.askedFor() || g.next(w).kind != noChange {
		fresh, err := r.readRoster()
		if err != nil {
			r.node.c.rosterUnread.Add(1)
			r.gov.stale.Store(true)
			return false
		}
		if r.gov.roster.Store(fresh); g == nil || g.config != fresh.config {
			r.node.changed()
		}
		g = fresh
	}
	r.answerSeats(g)
	c := g.next(w)
	switch c.kind {
	case noChange:
		r.handOver(g, w)
		return false
	case blocked:
		r.node.c.removalsBlocked.Add(1)
		r.handOver(g, w)
		return false
	}
	return r.change(g, c)
}

// beginGoverning notices a leadership that is new.
func (r *replica) beginGoverning() {
	g := &r.gov
	r.mu.Lock()
	led := r.mu.led
	r.mu.Unlock()
	if g.led == led {
		return
	}
	g.led, g.since, g.retryAt, g.backoff = led, time.Now(), time.Time{}, 0
	g.roster.Store(nil)
}

// wish returns what the map wants of the group.
func (r *replica) wish() *wish {
	m := r.node.cfg.Watcher.Current()
	w := &wish{
		self: r.node.cfg.Node, replicas: m.Replicas(r.id), learners: m.Learners(r.id),
		applied: r.machine.at.Load(), seen: make(map[wire.NodeID]sighting), now: time.Now(),
	}
	r.gov.mu.Lock()
	defer r.gov.mu.Unlock()
	for id, s := range r.gov.mu.seen {
		if w.now.Sub(s.at) > sightingFor {
			delete(r.gov.mu.seen, id)
			continue
		}
		w.seen[id] = s
	}
	return w
}

func (r *replica) askedFor() bool {
	r.gov.mu.Lock()
	defer r.gov.mu.Unlock()
	return len(r.gov.mu.asks) > 0
}

// readRoster reads the membership behind a read index, so that it is no older
// than the question.
func (r *replica) readRoster() (*roster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	m, err := r.node.host.SyncGetShardMembership(ctx, uint64(r.id))
	if err != nil {
		return nil, err
	}
	g := &roster{gone: m.Removed, config: m.ConfigChangeID}
	for number, target := range m.Nodes {
		g.voters = append(g.voters, seat{number, target})
	}
	for number, target := range m.NonVotings {
		g.learners = append(g.learners, seat{number, target})
	}
	byNumber := func(a, b seat) int { return cmp.Compare(a.number, b.number) }
	slices.SortFunc(g.voters, byNumber)
	slices.SortFunc(g.learners, byNumber)
	return g, nil
}

// answerSeats tells everybody who asked which seat their node has in g.
func (r *replica) answerSeats(g *roster) {
	r.gov.mu.Lock()
	asks := r.gov.mu.asks
	r.gov.mu.asks = make(map[wire.NodeID]peer.Item)
	r.gov.mu.Unlock()
	if len(asks) == 0 {
		return
	}
	t := r.node.turn()
	for from, q := range asks {
		var a peer.Item
		if s, ok := seatOn(g.voters, from); ok {
			a.After, a.Flags = s.number, peer.FlagVoter
		} else if s, ok := seatOn(g.learners, from); ok && (q.After != 0 || s.target == target(from, uint64(q.Stamp))) {
			a.After = s.number
		}
		if _, gone := g.gone[q.After]; gone {
			a.Flags |= peer.FlagGone
		}
		t.seat(from, &q, &a)
	}
	r.node.flush(t)
}

// change makes one change, against the membership that was read: when another
// was made since, by whomever, Raft refuses this one.
func (r *replica) change(g *roster, c change) bool {
	var rs *dragonboat.RequestState
	var err error
	host, id := r.node.host, uint64(r.id)
	switch c.kind {
	case addLearner:
		rs, err = host.RequestAddNonVoting(id, c.seat.number, c.seat.target, g.config, changeTimeout)
	case promote:
		rs, err = host.RequestAddReplica(id, c.seat.number, c.seat.target, g.config, changeTimeout)
	case remove:
		rs, err = host.RequestDeleteReplica(id, c.seat.number, g.config, changeTimeout)
	}
	r.gov.stale.Store(true)
	if err == nil {
		err = r.await(rs)
	}
	if err != nil {
		r.node.c.changesFailed.Add(1)
		r.node.log.Debug("core: a membership change did not happen", "shard", r.id, "node", c.seat.node(), "change", c.kind, "err", err)
		return false
	}
	count := map[changeKind]*atomic.Uint64{
		addLearner: &r.node.c.learnersAdded, promote: &r.node.c.promoted, remove: &r.node.c.removed,
	}[c.kind]
	count.Add(1)
	r.node.log.Info("core: the membership of a shard changed", "shard", r.id, "node", c.seat.node(), "change", c.kind)
	return true
}

var errChange = errors.New("core: Raft did not take the change")

// await waits for a change to be applied.
func (r *replica) await(rs *dragonboat.RequestState) error {
	timeout := time.NewTimer(2 * changeTimeout)
	defer timeout.Stop()
	select {
	case res := <-rs.ResultC():
		rs.Release()
		if !res.Completed() {
			return errChange
		}
		return nil
	case <-r.gone: // dragonboat keeps rs
	case <-r.node.stop:
	case <-timeout.C:
	}
	return errChange
}

// String names the change, for the log.
func (k changeKind) String() string {
	return [...]string{"none", "add learner", "promote", "remove", "blocked"}[k]
}
