package fleet

import (
	"time"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
)

// The numbers of a fleet. Times are in milliseconds of the leader's clock.
const (
	// Lease is how long a node counts as alive after a report: ten reports, so
	// that a collector's pause or a lost connection is not a death.
	Lease wire.Millis = 10_000
	// TakeOver is how long a process has to be silent before another one with
	// its identity is let in: three reports. A restart after a kill waits for
	// that long, so it is less than a lease.
	TakeOver wire.Millis = 3_000
	// MaxClockOff is how far a node's clock may be off. The times of messages
	// come from the leaders of shards, and people compare them.
	MaxClockOff = 5 * time.Second

	// MaxMoves is how many moves go on at a time. Each copies a shard over the
	// network and disks that serve messages at the same time.
	MaxMoves = 2
	// MaxLag is how many entries a learner may be behind when it gets its vote.
	// A voter that is far behind cannot help to commit, but counts as if it could.
	MaxLag = 10_000
	// FreshFor is how old the reports may be that say so.
	FreshFor wire.Millis = 5_000

	// RetryAfter is how long control waits with a plan of its own after one of
	// which moves were dropped: what they failed at may well be there still.
	RetryAfter wire.Millis = 30_000

	// MaxMembers bounds the nodes of all roles: the cores that fit into a map,
	// and as many others. It bounds the state, which every snapshot holds whole.
	MaxMembers = 2 * shardmap.MaxNodes
	// MaxName and MaxProgram bound texts of a Node, in bytes.
	MaxName    = 64
	MaxProgram = 64
	// identityLen is 16 random bytes in hex.
	identityLen = 32
)

const _ = uint(Lease - TakeOver - 1) // a process is let in again before it counts as dead
const _ = uint(Lease - FreshFor - 1) // what is fresh is alive
