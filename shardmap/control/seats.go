package control

import (
	"fmt"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/wire"
)

// silence is how long the process of a node must have been quiet before another
// one with its identity is let in: three reports. A node that was killed waits
// this long; one that said goodbye does not.
const silence wire.Millis = 3_000

// seats says which process is which node. A node has one seat. A second process
// with its identity, of a copied data directory or a stopped process that woke
// up, is told to wait; when the first is heard again in the meantime both run,
// and the second is refused for good.
type seats map[wire.NodeID]*seat

type seat struct {
	instance string
	heard    wire.Millis
	claimant string      // who waits for it; empty: nobody
	claimed  wire.Millis // since when
}

// admit seats instance, or says why not: a *api.Problem, retryable while it is
// not clear whether the other process runs. Taken over reports that another
// process had the seat.
func (s seats) admit(id wire.NodeID, instance string, now wire.Millis) (takenOver bool, err error) {
	held := s[id]
	switch {
	case held == nil:
		s[id] = &seat{instance: instance, heard: now}
		return false, nil
	case held.instance == instance:
		held.heard = now
		return false, nil
	case now-held.heard >= silence:
		s[id] = &seat{instance: instance, heard: now}
		return true, nil
	case held.claimant != instance:
		held.claimant, held.claimed = instance, now
	case held.heard > held.claimed:
		return false, api.ProblemOf(fault.New(fault.TwoInstances, "node %d reported %d ms ago from the other process", id, now-held.heard))
	}
	return false, api.ProblemOf(fault.New(fault.TwoInstances, "node %d reported %d ms ago from the other process; waiting whether it still runs", id, now-held.heard)).Again()
}

// leave frees the seat when instance has it.
func (s seats) leave(id wire.NodeID, instance string) error {
	if held := s[id]; held == nil || held.instance != instance {
		return fmt.Errorf("node %d is not this process", id)
	}
	delete(s, id)
	return nil
}
