package sim

import (
	"slices"

	"github.com/godwit-im/godwit/wire"
)

// rent is one entry of a Raft log: a command, a change of the members, or
// neither, which is how a leader begins its term.
type rent struct {
	term uint64
	cmd  []byte
	conf *members
}

// members is who takes part in a group.
type members struct {
	voters   []wire.NodeID
	learners []wire.NodeID // follow without a vote
}

func (c *members) has(id wire.NodeID) bool {
	return slices.Contains(c.voters, id) || slices.Contains(c.learners, id)
}

// raftLog is what a replica has written to disk: its word (term and vote) and
// its entries. stable says up to where a sync has come.
type raftLog struct {
	term uint64
	vote wire.NodeID
	// Entries first, first+1, ...; before is what lies in front of them.
	first      uint64
	beforeTerm uint64
	ents       []rent
	conf       members // as of applied entries; kept with the log

	stable     uint64 // entries up to here survive a crash
	stableTerm uint64
	stableVote wire.NodeID
	cuts       uint64 // times that entries at the end were replaced
}

func (l *raftLog) last() uint64 { return l.first + uint64(len(l.ents)) - 1 }

func (l *raftLog) lastTerm() uint64 { t, _ := l.termOf(l.last()); return t }

// termOf returns the term of entry i; ok is false when the log does not reach
// it at either end.
func (l *raftLog) termOf(i uint64) (term uint64, ok bool) {
	switch {
	case i+1 == l.first:
		return l.beforeTerm, true
	case i < l.first || i > l.last():
		return 0, false
	}
	return l.ents[i-l.first].term, true
}

func (l *raftLog) at(i uint64) *rent { return &l.ents[i-l.first] }

// cut drops entry i and all behind it.
func (l *raftLog) cut(i uint64) {
	l.ents = l.ents[: i-l.first : i-l.first]
	l.stable = min(l.stable, i-1)
	l.cuts++
}

// trim drops the entries up to i, which the synced store has.
func (l *raftLog) trim(i uint64) {
	if i < l.first || i > l.last() {
		return
	}
	l.beforeTerm, _ = l.termOf(i)
	l.ents = slices.Clone(l.ents[i+1-l.first:])
	l.first = i + 1
}

// restart makes the log begin behind a snapshot.
func (l *raftLog) restart(index, term uint64) {
	l.first, l.beforeTerm, l.ents, l.stable = index+1, term, nil, index
	l.cuts++
}

// crash loses what was not synced, all of it or a part.
func (l *raftLog) crash(e *engine, all bool) {
	l.term, l.vote = l.stableTerm, l.stableVote
	keep := max(l.stable, l.first-1)
	if last := l.last(); !all && last > keep {
		keep += e.rnd.Uint64N(last - keep + 1)
	}
	if keep < l.last() {
		l.cut(keep + 1)
	}
	l.stable = keep
}
