package fleet

import "github.com/godwit-im/godwit/wire"

// Expect begins the lease of every node that r has no entry for. A new leader
// calls it once with empty Reports: it has heard of nobody, which does not mean
// that they are dead.
func (r Reports) Expect(s *State, now wire.Millis) {}

// Take judges a report as Judge does and, when it is fine, keeps it.
func (r Reports) Take(s *State, rep Report, now wire.Millis) error { return nil }

// Alive reports whether a report of node id came within the lease.
func (r Reports) Alive(id wire.NodeID, now wire.Millis) bool { return false }

// Dead reports whether the lease of node id has run out. A node that has no
// entry is neither alive nor dead.
func (r Reports) Dead(id wire.NodeID, now wire.Millis) bool { return false }

// Judge says why a report cannot be taken: of a node that is unknown or has
// another identity, by a second process of one identity, with a clock that is
// more than MaxClockOff off, or with a map newer than s's. Errors are *Refusal.
func Judge(rep Report, s *State, r Reports, now wire.Millis) error { return nil }

// JudgeJoin says why a Join cannot be proposed. It judges what Apply cannot,
// because it takes reports and the clock: clockMS is the node's, instance its
// process. Errors are *Refusal.
func JudgeJoin(c Command, instance string, clockMS wire.Millis, s *State, r Reports, now wire.Millis) error {
	return nil
}
