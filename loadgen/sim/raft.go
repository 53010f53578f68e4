package sim

import (
	"slices"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// raft is one replica of a group: Raft as dragonboat runs it for core, with
// pre-vote, a leader that steps down when it hears no quorum, a read index that
// asks one, learners, and one change of members at a time. A leader sends
// entries while it syncs them itself; a follower answers once they are synced.
type raft struct {
	e    *engine
	p    *proc
	net  *network
	disk *disk
	log  *raftLog
	self wire.NodeID
	out  raftDriver
	send func(to wire.NodeID, m *rmsg)

	role     rrole
	leader   wire.NodeID
	commit   uint64
	handed   uint64 // entries given to the driver
	heard    time.Duration
	patient  time.Duration // until then nobody else is voted for
	votes    map[wire.NodeID]bool
	peers    map[wire.NodeID]*progress
	reads    []*readAsk
	readNo   uint64
	handover bool // the election under way was asked for by the leader
	moving   bool // a change of members is in the log and not applied

	removed bool // the replica is gone

	unsynced bool // planted: answers do not wait for the disk
}

type rrole uint8

const (
	follower rrole = iota
	preCandidate
	candidate
	leading
)

// raftDriver is what a replica has its node do.
type raftDriver interface {
	// committed says that entries up to index may be applied.
	committed(index uint64)
	leaderIs(id wire.NodeID)
	snapshot() (im image, term uint64, conf members)
	install(m *rsnap)
	appliedIndex() uint64
}

// progress is what a leader knows of a peer.
type progress struct {
	match, next uint64
	heard       time.Duration
	snapAt      time.Duration // when a snapshot was last sent; 0: none on its way
	readNo      uint64        // newest read round it has answered
	moved       bool          // it has answered entries since the last beat
}

// readAsk is a question to the quorum.
type readAsk struct {
	no    uint64
	index uint64
	done  func(ok bool)
}

type rkind uint8

const (
	mPreVote rkind = iota
	mPreVoted
	mVote
	mVoted
	mEntries
	mTaken
	mBeat
	mBeaten
	mSnap
	mTimeoutNow
)

// rmsg is a message of Raft.
type rmsg struct {
	kind     rkind
	from     wire.NodeID
	term     uint64
	prev     uint64 // entries: index before the first; votes: last index; answers: index
	prevTerm uint64
	commit   uint64
	ents     []rent
	ok       bool
	readNo   uint64
	snap     *rsnap
	handover bool // the leader asked for this election
}

// rsnap is a snapshot on its way.
type rsnap struct {
	image image
	term  uint64
	conf  members
}

// As core/limits.go has them for several replicas.
const (
	beatEvery   = 80 * ms
	electionMin = 400 * ms
	electionMax = 800 * ms
	pageEntries = 64
	snapAgain   = 3 * time.Second
)

func (r *raft) start() {
	r.heard = r.e.now
	r.peers = map[wire.NodeID]*progress{}
	r.handed = r.out.appliedIndex()
	r.commit = r.handed
	r.tick()
}

func (r *raft) voters() []wire.NodeID { return r.log.conf.voters }

func (r *raft) quorum(n int) bool { return n > len(r.voters())/2 }

// tick is the replica's clock.
func (r *raft) tick() {
	if r.removed {
		return
	}
	r.p.after(beatEvery, r.tick)
	if r.role == leading {
		r.beat()
		return
	}
	if r.patient == 0 {
		r.patient = r.e.between(electionMin, electionMax)
	}
	if r.e.now-r.heard >= r.patient && slices.Contains(r.voters(), r.self) {
		r.handover = false
		r.campaign(preCandidate)
	}
}

// persist calls done once what has been written is on disk, unless the log's
// end was replaced or the term has changed meanwhile.
func (r *raft) persist(done func()) {
	last, cuts, term, vote := r.log.last(), r.log.cuts, r.log.term, r.log.vote
	if r.unsynced {
		r.p.after(0, func() {
			if r.log.cuts == cuts && r.log.term == term {
				done()
			}
		})
	}
	r.disk.sync(r.p, func() {
		l := r.log
		if term >= l.stableTerm {
			l.stableTerm, l.stableVote = term, vote
		}
		if l.cuts != cuts {
			return
		}
		l.stable = max(l.stable, last)
		if l.term == term && !r.unsynced {
			done()
		}
	})
}

func (r *raft) setLeader(id wire.NodeID) {
	if r.leader != id {
		r.leader = id
		r.out.leaderIs(id)
	}
}

// become takes the role of a follower in term.
func (r *raft) become(term uint64, leader wire.NodeID) {
	if term > r.log.term {
		r.log.term, r.log.vote = term, 0
	}
	if r.role == leading {
		r.failReads()
	}
	r.role, r.patient = follower, 0
	r.setLeader(leader)
}

func (r *raft) campaign(role rrole) {
	r.role, r.heard, r.patient = role, r.e.now, 0
	r.votes = map[wire.NodeID]bool{r.self: true}
	r.setLeader(0)
	term, kind := r.log.term+1, mPreVote
	ask := func() {
		for _, id := range r.voters() {
			if id != r.self {
				r.send(id, &rmsg{kind: kind, term: term, prev: r.log.last(), prevTerm: r.log.lastTerm(), handover: r.handover})
			}
		}
		r.counted()
	}
	if role == preCandidate {
		ask()
		return
	}
	r.log.term, r.log.vote, kind = term, r.self, mVote
	r.persist(ask)
}

func (r *raft) counted() {
	n := 0
	for _, id := range r.voters() {
		if r.votes[id] {
			n++
		}
	}
	switch {
	case !r.quorum(n):
	case r.role == preCandidate:
		r.campaign(candidate)
	case r.role == candidate:
		r.lead()
	}
}

func (r *raft) lead() {
	r.role = leading
	r.peers = map[wire.NodeID]*progress{}
	r.moving = false
	for i := r.handed + 1; i <= r.log.last(); i++ {
		r.moving = r.moving || r.log.at(i).conf != nil
	}
	r.syncPeers()
	r.propose(rent{})
	r.setLeader(r.self)
	r.beat()
}

// syncPeers follows the membership.
func (r *raft) syncPeers() {
	all := append(slices.Clone(r.log.conf.voters), r.log.conf.learners...)
	for _, id := range all {
		if r.peers[id] == nil && id != r.self {
			r.peers[id] = &progress{next: r.log.last() + 1, heard: r.e.now}
		}
	}
	for id := range r.peers {
		if !slices.Contains(all, id) {
			delete(r.peers, id)
		}
	}
}

// others calls fn with the peers in order.
func (r *raft) others(fn func(id wire.NodeID, pr *progress)) {
	for _, ids := range [][]wire.NodeID{r.log.conf.voters, r.log.conf.learners} {
		for _, id := range ids {
			if pr := r.peers[id]; pr != nil {
				fn(id, pr)
			}
		}
	}
}

// propose appends an entry; false when this replica does not lead.
func (r *raft) propose(en rent) bool {
	if r.role != leading {
		return false
	}
	en.term = r.log.term
	r.log.ents = append(r.log.ents, en)
	r.persist(func() { r.advance() })
	r.others(func(id wire.NodeID, pr *progress) {
		if pr.next == r.log.last() { // not one that has to catch up
			r.feed(id, pr)
		}
	})
	return true
}

// change proposes new members; false when it cannot be done now.
func (r *raft) change(c members) bool {
	if r.role != leading || r.moving {
		return false
	}
	r.moving = true
	return r.propose(rent{conf: &c})
}

// feed sends a peer what it lacks, a page of it, and counts it as sent.
func (r *raft) feed(id wire.NodeID, pr *progress) {
	prevTerm, ok := r.log.termOf(pr.next - 1)
	if !ok {
		r.feedSnapshot(id, pr)
		return
	}
	to := min(r.log.last(), pr.next+pageEntries-1)
	ents := r.log.ents[pr.next-r.log.first : to+1-r.log.first]
	m := &rmsg{kind: mEntries, term: r.log.term, prev: pr.next - 1, prevTerm: prevTerm, commit: r.commit, ents: ents}
	pr.next = to + 1
	r.send(id, m)
}

func (r *raft) feedSnapshot(id wire.NodeID, pr *progress) {
	if pr.snapAt != 0 && r.e.now-pr.snapAt < snapAgain {
		return
	}
	pr.snapAt = r.e.now
	im, term, conf := r.out.snapshot()
	r.send(id, &rmsg{kind: mSnap, term: r.log.term, snap: &rsnap{image: im, term: term, conf: conf}})
}

// beat keeps the followers quiet, tells them what is committed, carries reads
// and mends what was lost. A leader that hears no quorum steps down.
func (r *raft) beat() {
	n := 0
	for _, id := range r.voters() {
		if pr := r.peers[id]; id == r.self || pr != nil && r.e.now-pr.heard < electionMax {
			n++
		}
	}
	if !r.quorum(n) {
		r.become(r.log.term, 0)
		r.heard = r.e.now
		return
	}
	r.others(func(id wire.NodeID, pr *progress) {
		if pr.match < r.log.last() && !pr.moved {
			pr.next = pr.match + 1
			r.feed(id, pr)
		}
		pr.moved = false
		r.send(id, &rmsg{kind: mBeat, term: r.log.term, commit: min(r.commit, pr.match), readNo: r.readNo})
	})
}

// advance commits what a quorum has.
func (r *raft) advance() {
	if r.role != leading {
		return
	}
	var have []uint64
	for _, id := range r.voters() {
		switch pr := r.peers[id]; {
		case id == r.self && r.unsynced:
			have = append(have, r.log.last())
		case id == r.self:
			have = append(have, r.log.stable)
		case pr != nil:
			have = append(have, pr.match)
		default:
			have = append(have, 0)
		}
	}
	slices.Sort(have)
	at := have[(len(have)-1)/2]
	if t, ok := r.log.termOf(at); ok && at > r.commit && t == r.log.term {
		r.commitTo(at)
	}
	r.others(func(id wire.NodeID, pr *progress) {
		if pr.next <= r.log.last() && pr.match+1 == pr.next {
			r.feed(id, pr)
		}
	})
}

func (r *raft) commitTo(i uint64) {
	if i = min(i, r.log.last()); i > r.commit {
		r.commit = i
		r.out.committed(i)
	}
}

// readIndex calls done(true) with the index to wait for once a quorum has
// confirmed the leader, done(false) when that failed. It returns false when a
// leader cannot be asked yet, or this is none.
func (r *raft) readIndex(done func(ok bool, index uint64)) bool {
	if t, ok := r.log.termOf(r.commit); r.role != leading || !ok || t != r.log.term {
		return false
	}
	r.readNo++
	ask := &readAsk{no: r.readNo, index: r.commit}
	ask.done = func(ok bool) { done(ok, ask.index) }
	r.reads = append(r.reads, ask)
	r.others(func(id wire.NodeID, pr *progress) {
		r.send(id, &rmsg{kind: mBeat, term: r.log.term, commit: min(r.commit, pr.match), readNo: r.readNo})
	})
	r.confirmReads()
	return true
}

func (r *raft) confirmReads() {
	for len(r.reads) > 0 {
		n := 0
		for _, id := range r.voters() {
			if pr := r.peers[id]; id == r.self || pr != nil && pr.readNo >= r.reads[0].no {
				n++
			}
		}
		if !r.quorum(n) {
			return
		}
		ask := r.reads[0]
		r.reads = r.reads[1:]
		ask.done(true)
	}
}

func (r *raft) failReads() {
	reads := r.reads
	r.reads = nil
	for _, a := range reads {
		a.done(false)
	}
}

// transfer asks a follower that has everything to take over.
func (r *raft) transfer(to wire.NodeID) {
	if pr := r.peers[to]; r.role == leading && pr != nil && pr.match == r.log.last() {
		r.send(to, &rmsg{kind: mTimeoutNow, term: r.log.term})
	}
}
