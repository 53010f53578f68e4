package fleet

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// The refusals. Each says what is wrong and what to do, and each is of one of
// these kinds (errors.Is), which control maps to numbers.
var (
	ErrCommand      = errors.New("fleet: not a command of this version")
	ErrState        = errors.New("fleet: the bytes are not an undamaged state")
	ErrNewer        = errors.New("fleet: written by a newer version of godwit: upgrade this member")
	ErrNotCreated   = errors.New("fleet: not created yet: start the first control member with its settings")
	ErrCreated      = errors.New("fleet: already created")
	ErrInvalid      = errors.New("fleet: not valid")
	ErrUnknownNode  = errors.New("fleet: there is no such node")
	ErrNameTaken    = errors.New("fleet: the name belongs to another node")
	ErrIdentity     = errors.New("fleet: the identity belongs to another node")
	ErrAddressTaken = errors.New("fleet: the address belongs to another node")
	ErrTwoInstances = errors.New("fleet: two processes have one identity")
	ErrClock        = errors.New("fleet: the clock is off")
	ErrVersions     = errors.New("fleet: the versions are not neighbours")
	ErrLeft         = errors.New("fleet: the node has been decommissioned")
	ErrHolds        = errors.New("fleet: the node still holds shards")
	ErrTooFew       = errors.New("fleet: too few nodes would stay")
	ErrEpoch        = errors.New("fleet: the map is not the next one")
	ErrNoMap        = errors.New("fleet: there is no map yet")
	ErrPlanRuns     = errors.New("fleet: a plan is under way")
	ErrNoPlan       = errors.New("fleet: no plan is under way")
	ErrStalePlan    = errors.New("fleet: the plan does not fit the map")
)

// Refusal is an error that concerns a node or shards. It unwraps to its kind.
type Refusal struct {
	Kind   error          // one of the errors above
	Node   wire.NodeID    // the node it is about, 0: none
	Shards []wire.ShardID // the shards it is about, ascending; nil: none
	Detail string         // what is wrong, one clause
	Do     string         // what to do, one clause
	Retry  time.Duration  // worth trying again after this long; 0: not by itself
}

// Error returns kind, detail, shards and what to do, in this order.
func (e *Refusal) Error() string {
	var b strings.Builder
	b.WriteString(e.Kind.Error())
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if len(e.Shards) > 0 {
		b.WriteString(" (" + shardList(e.Shards) + ")")
	}
	if e.Do != "" {
		b.WriteString("; " + e.Do)
	}
	return b.String()
}

func (e *Refusal) Unwrap() error { return e.Kind }

// shardsShown is how many shards a sentence names before it counts the rest.
const shardsShown = 8

// shardList returns "shard 1, 2, 3 and 12 more".
func shardList(shards []wire.ShardID) string {
	var b strings.Builder
	b.WriteString("shard ")
	for i, s := range shards {
		if i == shardsShown {
			fmt.Fprintf(&b, " and %d more", len(shards)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, s)
	}
	return b.String()
}
