package fleet

import (
	"fmt"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Expect begins the lease of every node that r has no entry for, and drops the
// entries of those that are not known any more. A new leader calls it once with
// empty Reports: it has heard of nobody, which does not mean that they are dead.
func (r Reports) Expect(s *State, now wire.Millis) {
	for _, n := range s.Nodes {
		if _, ok := r[n.ID]; !ok {
			r[n.ID] = Seen{At: now}
		}
	}
	for id := range r {
		if s.find(id) < 0 {
			delete(r, id)
		}
	}
}

// Take judges a report as Judge does and, when it is fine, keeps it.
func (r Reports) Take(s *State, rep Report, now wire.Millis) error {
	if err := Judge(rep, s, r, now); err != nil {
		return err
	}
	before := r[rep.ID]
	seen := Seen{Report: rep, At: now, Before: before.Before}
	if before.Report.ID != 0 && before.Report.Instance != rep.Instance {
		seen.Before = before.Report.Instance
	}
	r[rep.ID] = seen
	return nil
}

// Leave notes that a process of node id ends in good order: it is not alive from
// now on, dead when its lease has run out, and another process may follow at
// once. A word of any other instance than the last one changes nothing.
func (r Reports) Leave(id wire.NodeID, instance string) {
	if seen, ok := r[id]; ok && seen.Report.ID != 0 && seen.Report.Instance == instance {
		seen.Left = true
		r[id] = seen
	}
}

// Alive reports whether a report of node id came within the lease.
func (r Reports) Alive(id wire.NodeID, now wire.Millis) bool {
	seen, ok := r[id]
	return ok && seen.Report.ID != 0 && !seen.Left && age(seen, now) <= Lease
}

// Dead reports whether the lease of node id has run out. A node that has no
// entry is neither alive nor dead.
func (r Reports) Dead(id wire.NodeID, now wire.Millis) bool {
	seen, ok := r[id]
	return ok && age(seen, now) > Lease
}

// age is how long ago seen came; 0 when the clock went back.
func age(seen Seen, now wire.Millis) wire.Millis { return now - min(now, seen.At) }

// Judge says why a report cannot be taken: of a node that is unknown or has
// another identity, by a second process of one identity, with a clock that is
// more than MaxClockOff off, or with a map newer than s's. Errors are *Refusal.
//
// Of two processes with one identity the one that reports goes on, and the other
// is refused: for good when it was there first and was followed by the other
// while it was silent, and else until the first is silent for TakeOver.
func Judge(rep Report, s *State, r Reports, now wire.Millis) error {
	n, ok := s.Node(rep.ID)
	if !ok {
		return unknown(rep.ID)
	}
	if n.Identity != rep.Identity {
		return &Refusal{Kind: ErrIdentity, Node: n.ID, Detail: fmt.Sprintf("node %d is %q with another data directory", n.ID, n.Name),
			Do: "give each node a data directory of its own"}
	}
	if err := judgeClock(rep.ClockMS, n.ID, now); err != nil {
		return err
	}
	if err := judgeInstance(n, rep.Instance, r, now); err != nil {
		return err
	}
	if rep.Epoch > s.Epoch() {
		return &Refusal{Kind: ErrEpoch, Node: n.ID,
			Detail: fmt.Sprintf("node %d works with the map of epoch %d, and control's is of %d", n.ID, rep.Epoch, s.Epoch()),
			Do:     "control has lost its newest changes: restore its newest data directory, or point the node at its own fleet"}
	}
	return nil
}

func judgeClock(clock wire.Millis, id wire.NodeID, now wire.Millis) error {
	off := time.Duration(max(clock, now)-min(clock, now)) * time.Millisecond
	if off <= MaxClockOff {
		return nil
	}
	way := "ahead of"
	if clock < now {
		way = "behind"
	}
	return &Refusal{Kind: ErrClock, Node: id,
		Detail: fmt.Sprintf("%s %s that of control, want at most %s", off, way, MaxClockOff), Do: "run an NTP client on both machines"}
}

func judgeInstance(n Node, instance string, r Reports, now wire.Millis) error {
	seen := r[n.ID]
	switch {
	case seen.Report.ID == 0 || seen.Report.Instance == instance:
		return nil
	case seen.Before == instance:
		return &Refusal{Kind: ErrTwoInstances, Node: n.ID, Detail: fmt.Sprintf("another process has taken over as node %d, %q", n.ID, n.Name),
			Do: "stop this one; a copied data directory cannot be used"}
	case !seen.Left && age(seen, now) < TakeOver:
		return &Refusal{Kind: ErrTwoInstances, Node: n.ID, Retry: time.Duration(TakeOver-age(seen, now)) * time.Millisecond,
			Detail: fmt.Sprintf("another process reported as node %d, %q, %d ms ago", n.ID, n.Name, age(seen, now)),
			Do:     "stop one of them; after a restart try again in a moment"}
	}
	return nil
}

// JudgeJoin says why a Join cannot be proposed: by the reports and the clock,
// which Apply does not know, and else as Apply would. ClockMS is the node's,
// instance its process. Errors are *Refusal.
func JudgeJoin(c Command, instance string, clockMS wire.Millis, s *State, r Reports, now wire.Millis) error {
	trial := s.Clone()
	answer, err := Apply(trial, c)
	if err != nil {
		return err
	}
	n, _ := trial.Node(answer.ID)
	if err := judgeClock(clockMS, 0, now); err != nil {
		return err
	}
	if _, known := s.Node(n.ID); known {
		if err := judgeInstance(n, instance, r, now); err != nil {
			return err
		}
	}
	if n.Replaces != 0 && r.Alive(n.Replaces, now) {
		return &Refusal{Kind: ErrNameTaken, Node: n.Replaces, Retry: time.Duration(Lease-age(r[n.Replaces], now)) * time.Millisecond,
			Detail: fmt.Sprintf("%q is node %d, which is alive", n.Name, n.Replaces),
			Do:     "stop it before another one replaces it, or choose another name"}
	}
	return judgeAddrs(n, s, r, now)
}

// judgeAddrs looks for a live node that listens where n says it does.
func judgeAddrs(n Node, s *State, r Reports, now wire.Millis) error {
	for _, o := range s.Nodes {
		if o.ID == n.ID || !r.Alive(o.ID, now) {
			continue
		}
		for _, a := range n.Addrs.all() {
			for _, b := range o.Addrs.all() {
				if a != "" && a == b {
					return &Refusal{Kind: ErrAddressTaken, Node: o.ID,
						Detail: fmt.Sprintf("%s is that of node %d, %q, which is alive", a, o.ID, o.Name),
						Do:     "announce another address, see --advertise"}
				}
			}
		}
	}
	return nil
}
