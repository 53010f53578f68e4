package control

import (
	"fmt"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

// seats says which process is which node. A node has one seat. A second process
// with its identity, of a copied data directory or a stopped process that woke
// up, is told to wait for fleet.TakeOver, which one that was killed and started
// again has to; when the first is heard again in the meantime both run, and the
// second is refused for good.
type seats map[wire.NodeID]*seat

type seat struct {
	instance string
	heard    wire.Millis
	claimant string      // who waits for it; empty: nobody
	claimed  wire.Millis // since when
}

// admit seats instance, or says why not: a *api.Problem, retryable while it is
// not clear whether the other process runs.
func (s seats) admit(id wire.NodeID, instance string, now wire.Millis) error {
	held := s[id]
	switch {
	case held == nil, held.instance != instance && now-min(now, held.heard) >= fleet.TakeOver:
		s[id] = &seat{instance: instance, heard: now}
		return nil
	case held.instance == instance:
		held.heard = now
		return nil
	case held.claimant != instance:
		held.claimant, held.claimed = instance, now
	case held.heard > held.claimed:
		return api.ProblemOf(fault.New(fault.TwoInstances, "node %d reported %d ms ago from the other process", id, now-held.heard))
	}
	return api.ProblemOf(fault.New(fault.TwoInstances, "node %d reported %d ms ago from the other process; waiting whether it still runs", id, now-held.heard)).Again()
}

// leave frees the seat when instance has it.
func (s seats) leave(id wire.NodeID, instance string) error {
	if held := s[id]; held == nil || held.instance != instance {
		return fmt.Errorf("node %d is not this process", id)
	}
	delete(s, id)
	return nil
}
