package fleet

import (
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// Change is what an operator would like to see before it is done.
type Change struct {
	Node     wire.NodeID // 0: plan for the nodes as they are
	Wish     Wish        // of Node
	Replicas int         // a shard; 0: Settings.Replicas
}

// Problem is what stands against a Change.
type Problem struct {
	Kind   string         `json:"kind"`             // see the constants
	Text   string         `json:"text"`             // what is wrong and what to do
	Shards []wire.ShardID `json:"shards,omitempty"` // concerned, ascending
	Fatal  bool           `json:"fatal"`            // Apply or Step would refuse; else it only waits
}

// Preview returns the moves that c would cause, in order, and what stands
// against it: with a Fatal problem the change is refused. Nothing changes.
// Errors are *Refusal (no such node, no map yet).
func Preview(s *State, r Reports, now wire.Millis, c Change) (moves []place.Move, problems []Problem, err error) {
	return nil, nil, nil
}
