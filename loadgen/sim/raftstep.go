package sim

import (
	"github.com/godwit-im/godwit/wire"
)

// step takes a message.
func (r *raft) step(m *rmsg) {
	if r.removed {
		return
	}
	switch m.kind {
	case mPreVote, mVote:
		r.asked(m)
		return
	case mPreVoted, mVoted:
		r.voted(m)
		return
	}
	if m.term < r.log.term {
		if m.kind == mEntries || m.kind == mBeat { // a leader of the past: it has to learn so
			r.send(m.from, &rmsg{kind: mTaken, term: r.log.term})
		}
		return
	}
	if m.term > r.log.term {
		r.become(m.term, 0)
	}
	switch m.kind {
	case mEntries:
		r.follow(m)
		r.take(m)
	case mBeat:
		r.follow(m)
		r.commitTo(m.commit)
		r.send(m.from, &rmsg{kind: mBeaten, term: r.log.term, readNo: m.readNo})
	case mSnap:
		r.follow(m)
		r.takeSnapshot(m)
	case mTimeoutNow:
		r.handover = true
		r.campaign(candidate)
	case mTaken, mBeaten:
		r.answered(m)
	}
}

// follow notes that the sender leads the term.
func (r *raft) follow(m *rmsg) {
	if r.role != follower {
		r.become(m.term, m.from)
	}
	r.heard = r.e.now
	r.setLeader(m.from)
}

// asked judges a candidate. Whoever has heard of a leader lately wants no
// other, unless the leader itself asked for it.
func (r *raft) asked(m *rmsg) {
	l := r.log
	newer := m.prevTerm > l.lastTerm() || m.prevTerm == l.lastTerm() && m.prev >= l.last()
	lively := !m.handover && r.leader != 0 && r.leader != m.from && r.e.now-r.heard < electionMin
	if m.kind == mPreVote {
		ok := newer && m.term > l.term && !lively
		r.send(m.from, &rmsg{kind: mPreVoted, term: m.term, ok: ok})
		return
	}
	if m.term < l.term || m.term > l.term && lively {
		return
	}
	if m.term > l.term {
		r.become(m.term, 0)
	}
	ok := newer && (l.vote == 0 || l.vote == m.from)
	if ok {
		l.vote, r.heard = m.from, r.e.now
	}
	term := l.term
	r.persist(func() { r.send(m.from, &rmsg{kind: mVoted, term: term, ok: ok}) })
}

func (r *raft) voted(m *rmsg) {
	switch {
	case m.kind == mPreVoted && (r.role != preCandidate || m.term != r.log.term+1):
		return
	case m.kind == mVoted && m.term > r.log.term:
		r.become(m.term, 0)
		return
	case m.kind == mVoted && (r.role != candidate || m.term != r.log.term):
		return
	}
	if m.ok {
		r.votes[m.from] = true
		r.counted()
	}
}

// take appends what a leader sent, if it fits, and answers once it is synced.
func (r *raft) take(m *rmsg) {
	l := r.log
	if t, ok := l.termOf(m.prev); m.prev > l.last() || ok && t != m.prevTerm {
		hint := min(l.last(), m.prev-1)
		r.send(m.from, &rmsg{kind: mTaken, term: l.term, prev: max(hint, r.commit)})
		return
	}
	changed := false
	for i := range m.ents {
		at := m.prev + 1 + uint64(i)
		if at < l.first {
			continue
		}
		if t, ok := l.termOf(at); ok && at <= l.last() {
			if t == m.ents[i].term {
				continue
			}
			l.cut(at)
		}
		l.ents = append(l.ents, m.ents[i])
		changed = true
	}
	have := m.prev + uint64(len(m.ents))
	r.commitTo(min(m.commit, have))
	answer := func() { r.send(m.from, &rmsg{kind: mTaken, term: m.term, prev: have, ok: true}) }
	if !changed && have <= l.stable {
		answer()
		return
	}
	r.persist(answer)
}

func (r *raft) takeSnapshot(m *rmsg) {
	index := m.snap.image.applied
	if index <= r.commit {
		r.send(m.from, &rmsg{kind: mTaken, term: r.log.term, prev: r.commit, ok: true})
		return
	}
	r.log.restart(index, m.snap.term)
	r.log.conf = m.snap.conf
	r.commit, r.handed = index, index
	r.out.install(m.snap)
	r.persist(func() { r.send(m.from, &rmsg{kind: mTaken, term: m.term, prev: index, ok: true}) })
}

// answered takes a follower's word at the leader.
func (r *raft) answered(m *rmsg) {
	pr := r.peers[m.from]
	if r.role != leading || pr == nil {
		return
	}
	pr.heard = r.e.now
	switch {
	case m.kind == mBeaten:
		pr.readNo = max(pr.readNo, m.readNo)
		r.confirmReads()
	case m.ok:
		pr.moved, pr.snapAt = true, 0
		pr.match = max(pr.match, m.prev)
		pr.next = max(pr.next, pr.match+1)
		r.advance()
	case m.prev+1 < pr.next && m.prev >= pr.match:
		pr.next = m.prev + 1
		r.feed(m.from, pr)
	}
}

// applied notes that the driver has applied entry i, whose change of members,
// if it is one, holds from now on.
func (r *raft) applied(i uint64) {
	r.handed = i
	en := r.log.at(i)
	if en.conf == nil {
		return
	}
	r.log.conf = *en.conf
	r.moving = false
	if r.role != leading {
		return
	}
	r.syncPeers()
	if !contains(r.voters(), r.self) {
		r.become(r.log.term, 0)
	}
}

func contains(ids []wire.NodeID, id wire.NodeID) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}
