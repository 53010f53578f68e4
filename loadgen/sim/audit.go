package sim

import (
	"fmt"
	"time"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/loadgen/check"
	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// audit sees what users cannot: what replicas wrote, what leaders answered,
// and what stands in the stores once the fleet is at rest.
type audit struct {
	w       *world
	index   map[wire.ChatID]uint32
	digests map[wire.ShardID]map[uint64]uint64 // by shard and index: of everything written
	newest  map[wire.ShardID]uint64
	places  []map[wire.Seq]workload.ID // by conversation
	seqs    []map[uint32]wire.Seq
	from    []map[uint32]*device
	acked   []wire.Seq       // by conversation: the newest that was acknowledged
	floors  map[uint64]floor // by request: what its answer must have
	skips   []skip
	cursors map[cursorKey]wire.Seq // as the log has them
}

// cursorKey names one cursor of one member.
type cursorKey struct {
	chat   uint32
	user   wire.UserID
	status wire.Status
}

// floor is what the answer to a read must have: what was acknowledged, and what
// members' cursors had reached, when it was asked for.
type floor struct {
	last      wire.Seq
	delivered []wire.Seq // by side
}

// skip is an entry that a connection was not sent although a later one was.
type skip struct {
	d   *device
	seq wire.Seq
	at  time.Duration
}

func newAudit(w *world) audit {
	return audit{w: w, index: map[wire.ChatID]uint32{}, digests: map[wire.ShardID]map[uint64]uint64{},
		newest: map[wire.ShardID]uint64{}, floors: map[uint64]floor{}, cursors: map[cursorKey]wire.Seq{}}
}

func (a *audit) chat(id wire.ChatID, index uint32) {
	a.index[id] = index
	a.places = append(a.places, map[wire.Seq]workload.ID{})
	a.seqs = append(a.seqs, map[uint32]wire.Seq{})
	a.from = append(a.from, map[uint32]*device{})
	a.acked = append(a.acked, 0)
}

// sender notes from which device a message is sent.
func (a *audit) sender(id workload.ID, d *device) { a.from[id.Chat][id.K] = d }

// digestsKept is how far back replicas are compared; one that is further
// behind than that has taken a snapshot.
const digestsKept = 5000

// entry compares what a replica wrote for an entry with what the others did,
// and looks at what was appended.
func (a *audit) entry(id wire.ShardID, node wire.NodeID, i, digest uint64, out *shard.Outcome) {
	of := a.digests[id]
	if of == nil {
		of = map[uint64]uint64{}
		a.digests[id] = of
	}
	if was, ok := of[i]; ok {
		if was != digest {
			a.w.fault("replicas differ: shard %d, entry %d on node %d wrote something else than elsewhere", id, i, node)
		}
		return
	}
	of[i] = digest
	if i > a.newest[id] {
		a.newest[id] = i
		delete(of, i-digestsKept)
	}
	for j := range out.Effects {
		switch e := &out.Effects[j]; e.Kind {
		case shard.Appended:
			a.appended(e)
		case shard.CursorMoved:
			a.moved(e, wire.StatusDelivered, e.Delivered)
			a.moved(e, wire.StatusRead, e.Read)
		}
	}
}

func (a *audit) appended(e *shard.Effect) {
	c, ok := a.index[e.Chat]
	if !ok {
		a.w.fault("phantom: a conversation %v that nobody began", e.Chat)
		return
	}
	if string(e.ContentKind) == wire.KindGroupCreated {
		return
	}
	id, ok := a.w.plan.ParseClientMsgID(e.ClientMsgID)
	if !ok || id.Chat != c {
		a.w.fault("phantom: %v has an entry %d that nobody sent", e.Chat, e.Seq)
		return
	}
	if was := a.seqs[c][id.K]; was != 0 && was != e.Seq {
		a.w.fault("duplicated: %s, message %d was appended as %d and as %d", a.w.plan.Name(c), id.K, was, e.Seq)
	}
	a.seqs[c][id.K] = e.Seq
	a.places[c][e.Seq] = id
}

// moved notes that a member's cursor rose, as a replica says.
func (a *audit) moved(e *shard.Effect, st wire.Status, to wire.Seq) {
	c, ok := a.index[e.Chat]
	if !ok || to == 0 {
		return
	}
	k := cursorKey{c, wire.UserID(e.User), st}
	if to <= a.cursors[k] {
		a.w.fault("receipt: the %s cursor of %s in %s went from %d to %d", st, e.User, a.w.plan.Name(c), a.cursors[k], to)
	}
	a.cursors[k] = to
}

// cursor returns a member's cursor as the log has it.
func (a *audit) cursor(chat uint32, user wire.UserID, st wire.Status) wire.Seq {
	c := a.cursors[cursorKey{chat, user, st}]
	if st == wire.StatusRead {
		// Who sends has read what they sent, which the user's own shard knows.
		c = max(c, a.acked[chat])
	}
	return c
}

// asks notes what the answer to a read must have: everything that was
// acknowledged by now.
func (a *audit) asks(it *peer.Item) {
	if it.Op != peer.OpRange {
		return
	}
	if len(a.floors) > 10_000 { // of requests that were never answered
		clear(a.floors)
	}
	if c, ok := a.index[it.Chat]; ok {
		f := floor{last: a.acked[c]}
		for side := range a.w.plan.Members(c) {
			f.delivered = append(f.delivered, a.cursors[cursorKey{c, a.w.plan.User(c, side), wire.StatusDelivered}])
		}
		a.floors[it.Req] = f
	}
}

func (a *audit) answered(ask *session.Ask, it *peer.Item) {
	c, ok := a.index[ask.Chat]
	if !ok || it.Code != wire.OK {
		return
	}
	switch ask.Op {
	case peer.OpAppend:
		a.acked[c] = max(a.acked[c], it.Seq)
	case peer.OpRange:
		f := a.floors[it.Req]
		delete(a.floors, it.Req)
		a.read(c, &f, it)
	}
}

// read judges the answer to a read of a log.
func (a *audit) read(c uint32, f *floor, it *peer.Item) {
	if it.Seq < f.last {
		a.w.fault("stale read: %s was read up to %d after %d had been acknowledged", a.w.plan.Name(c), it.Seq, f.last)
	}
	for list := it.Cursors; f.delivered != nil; {
		cur, rest, ok := peer.NextCursor(list)
		if !ok {
			return
		}
		list = rest
		if side, ok := a.w.plan.SideOf(c, cur.User); ok && cur.Delivered < f.delivered[side] {
			a.w.fault("receipt back: %s has %s up to %d, a read says %d", cur.User, a.w.plan.Name(c), f.delivered[side], cur.Delivered)
		}
	}
}

// The loss of a batch explains that a push comes again soon after, and that one
// is missing when the next of its conversation comes: the protocol sends
// clients to the history then, and the judges see to it that they get it.
const (
	againFor   = 10 * time.Second
	missingFor = 2 * time.Minute
)

func (a *audit) lossy(within time.Duration) bool {
	at := a.w.net.lossAt
	return at != 0 && a.w.e.now-at < within
}

// pushed looks at a push of entry seq that node sent to a session: one leader
// pushes in order, and nothing twice.
func (a *audit) pushed(c *conn, from wire.NodeID, seq wire.Seq) {
	if c.pushFrom == from && seq <= c.pushSeq && !a.lossy(againFor) {
		a.w.fault("pushed twice: node %d pushed %d to %s device %d after %d", from, seq, c.s.d.user, c.s.d.no, c.pushSeq)
	}
	c.pushFrom, c.pushSeq = from, seq
}

// skipped notes that a connection of d was not sent entry seq.
func (a *audit) skipped(d *device, seq wire.Seq) {
	if a.lossy(missingFor) {
		a.w.figures.pushGaps++
		return
	}
	a.skips = append(a.skips, skip{d, seq, a.w.e.now})
}

// settleSkips judges them: only what a device has sent itself is left out.
func (a *audit) settleSkips() {
	for _, s := range a.skips {
		id, ok := a.places[s.d.chat][s.seq]
		if ok && a.from[s.d.chat][id.K] == s.d {
			continue
		}
		if a.w.broken == nil {
			a.w.suspect = &check.Violation{Kind: check.Gap, Chat: a.w.plan.Name(s.d.chat), K: id.K, Seq: s.seq, User: s.d.user}
		}
		a.w.fault("gap: %s device %d was sent a later message before %d of %s (at %v)", s.d.user, s.d.no, s.seq, a.w.plan.Name(s.d.chat), s.at)
	}
	a.skips = nil
}

// unrest says what keeps the fleet from being at rest, "" when nothing does:
// everybody is live and has everything, nobody owes anything, the stores agree.
func (w *world) unrest() string {
	if w.move != nil {
		state := "no leader"
		if l := w.leaderOf(w.move.shard); l != nil {
			lg := l.raft.log
			state = fmt.Sprintf("%d leads in term %d, voters %v, learners %v, map %v learners %v, changing %v", l.c.p.id, lg.term, lg.conf.voters, lg.conf.learners, w.m.Replicas(w.move.shard), w.m.Learners(w.move.shard), l.raft.moving)
			if pr := l.raft.peers[w.move.to]; pr != nil {
				state += fmt.Sprintf(", %d has %d of %d", w.move.to, pr.match, lg.last())
			}
		}
		return fmt.Sprintf("a replica of shard %d is on its way from %d to %d: %s", w.move.shard, w.move.from, w.move.to, state)
	}
	for _, d := range w.devices {
		if d.m == nil || d.sock == nil || d.m.State() != client.StateLive {
			return fmt.Sprintf("%s device %d is not live", d.user, d.no)
		}
		if len(d.unacked) > 0 {
			return fmt.Sprintf("%s device %d waits for an answer to message %d", d.user, d.no, d.unacked[0].K)
		}
	}
	for _, id := range w.m.Shards() {
		if why := w.shardUnrest(id); why != "" {
			return why
		}
	}
	for i := range w.chats {
		if why := w.chatUnrest(uint32(i)); why != "" {
			return why
		}
	}
	for no, c := range w.checks {
		if id, side, seq, ok := c.FirstPending(); ok {
			return w.missing(no, id, side, seq)
		}
	}
	return ""
}

// missing says which acknowledged message a device was not given.
func (w *world) missing(no int, id workload.ID, side int, seq wire.Seq) string {
	w.suspect = &check.Violation{Kind: check.Lost, Chat: w.plan.Name(id.Chat), K: id.K, Seq: seq, User: w.plan.User(id.Chat, side)}
	return fmt.Sprintf("device %d of %s was not given message %d of %s, acknowledged as %d", no, w.plan.User(id.Chat, side), id.K, w.plan.Name(id.Chat), seq)
}

// leaderOf returns the replica that leads a shard and whom the others follow.
func (w *world) leaderOf(id wire.ShardID) *replica {
	for _, c := range w.cores {
		if r := c.replica(id); r != nil && r.leads && r.raft.role == leading {
			return r
		}
	}
	return nil
}

func (w *world) shardUnrest(id wire.ShardID) string {
	l := w.leaderOf(id)
	if l == nil {
		return fmt.Sprintf("shard %d has no leader", id)
	}
	owes := 0
	l.sm.settle()
	_ = shard.OutboxScan(l.sm.store.rows, func(*shard.Owed) bool { owes++; return true })
	if owes > 0 || !l.looked {
		return fmt.Sprintf("shard %d owes the bumps of %d conversations", id, owes)
	}
	for _, node := range w.m.Replicas(id) {
		if r := w.core(node).replica(id); r == nil || r.sm.index != l.raft.log.last() {
			return fmt.Sprintf("the replica of shard %d on node %d is behind", id, node)
		}
	}
	return ""
}

// chatUnrest compares a conversation's log with the inboxes of its members and
// with what their devices have.
func (w *world) chatUnrest(i uint32) string {
	c := &w.chats[i]
	l := w.leaderOf(w.m.ShardOf(c.id.Slot()))
	var p shard.RangePage
	err := shard.Range(l.sm.store.rows, &shard.RangeQuery{Chat: c.id, User: []byte(w.plan.User(i, 0)), Limit: 1, Desc: true}, &p)
	if err != nil {
		return err.Error()
	}
	if p.Code == wire.CodeUnknownChat {
		if c.next > 0 && w.acked > 0 && w.audit.acked[i] > 0 {
			return fmt.Sprintf("%s has vanished", w.plan.Name(i))
		}
		return ""
	}
	for list := p.Cursors; ; {
		cur, rest, ok := peer.NextCursor(list)
		if !ok {
			break
		}
		list = rest
		if side, ok := w.plan.SideOf(i, cur.User); ok && cur.Delivered < w.mustHave(i, side, p.Last) {
			return fmt.Sprintf("receipt: %s has %s only up to %d of %d", cur.User, w.plan.Name(i), cur.Delivered, p.Last)
		}
	}
	for side := range c.members {
		if why := w.inboxUnrest(i, side, p.Last); why != "" {
			return why
		}
	}
	return ""
}

// mustHave returns the newest entry up to last that side did not send itself.
func (w *world) mustHave(i uint32, side int, last wire.Seq) wire.Seq {
	for ; last > 0; last-- {
		if id, ok := w.audit.places[i][last]; !ok || w.plan.Side(id) != side {
			return last
		}
	}
	return 0
}

func (w *world) inboxUnrest(i uint32, side int, last wire.Seq) string {
	user := []byte(w.plan.User(i, side))
	u := w.leaderOf(w.m.ShardOf(wire.UserID(user).Slot()))
	page, err := shard.Chats(u.sm.store.rows, user, 0, 10, nil)
	if err != nil {
		return err.Error()
	}
	row, _, ok := peer.NextRow(page.List)
	if !ok || row.Chat != w.chats[i].id || row.Last != last {
		return fmt.Sprintf("inbox: %s has %s at %d, its log is at %d", user, w.plan.Name(i), row.Last, last)
	}
	return ""
}
