package core

import (
	"time"

	"github.com/lni/dragonboat/v4/config"
)

// What one replica holds for its askers.
const (
	// entryBytes and entryItems bound what one Raft entry carries, which is
	// also all that may wait while the one before it is on its way: at 1 ms an
	// entry this is four times what the machine can apply. Beyond it an item is
	// answered CodeUnavailable.
	entryBytes = 4 << 20
	entryItems = 8192

	// opensWaiting bounds the sessions that wait for one read index: a storm of
	// reconnects at 8,000/s waits 2 ms for each.
	opensWaiting = 8192

	// readsWaiting bounds the reads of a shard that wait for one read index.
	readsWaiting = readQueue

	// doneLimit is how many conversations one entry clears from the outbox.
	doneLimit = 4096

	// laneBatch is about how much of a lane goes into one batch.
	laneBatch = 1 << 20

	// sendBatch is how much a batch may hold before it is cut. A link takes 8
	// MiB; small ones leave its queue fair.
	sendBatch = 2 << 20
)

// How long what was applied may wait for what follows, so that rows written
// several times are stored once. A message is appended, bumped, received and
// marked within some 20 ms of load; a crash replays what waited from the log.
// A commit holds up the shard for about 1 us a row: 512 KiB are some 3 ms.
const (
	unsettledFor   = 40 * time.Millisecond
	unsettledBytes = 512 << 10
)

// What a node does beside the log.
const (
	// readers answer reads. A read waits for the disk at worst, so there are
	// more than processors; readQueue is what may wait for them, and beyond it
	// a read is answered CodeUnavailable.
	readers   = 8
	readQueue = 4096

	// changesPage bounds a page of OpChanges: rows are some 60 bytes.
	changesPage = 1000

	// touchMembers is up to how many members a conversation tells everybody
	// who has read what. In larger ones the sender's ticks come from history.
	touchMembers = 32

	// typingMembers is up to how many members see somebody type.
	typingMembers = 256

	// memberPage is how many members are read at a time.
	memberPage = 1024

	// lookPage is how many conversations a look through the outbox takes up
	// before it sends them.
	lookPage = 4096
)

// Times.
const (
	// tick drives retries and everything that is due "about then". Twenty a
	// second cost nothing measurable.
	tick = 50 * time.Millisecond

	// lingerFor is how long items that nobody waits for may wait for others to
	// share an entry with: at 1,000 messages a second one entry a message
	// instead of four.
	lingerFor = 5 * time.Millisecond

	// proposeTimeout is how long an entry may take: an election and a slow
	// disk. Its items are answered CodeUnavailable then; they may still happen.
	proposeTimeout = 3 * time.Second

	// readIndexTimeout bounds the question to the quorum before a read: longer
	// than a leader that is cut off goes on to believe that it leads, shorter
	// than an edge waits for an answer. A leader that has just been elected
	// cannot be asked before its first entry is committed; it is asked again
	// after readIndexAgain.
	readIndexTimeout = 1500 * time.Millisecond
	readIndexAgain   = 5 * time.Millisecond

	// ackWithin is how long a session may owe an acknowledgement before it is
	// told to sync.
	ackWithin = 5 * time.Second

	// lookEvery is how often an outbox with something left in it is looked
	// through.
	lookEvery = time.Second

	// expireEvery is how often a shard begins to forget what is older than the
	// dedupe window; expireRows is how much of it one entry does.
	expireEvery = 10 * time.Minute
	expireRows  = 2000

	// tailEvery is how often the store's log is brought to the disk where it is
	// written slowly; see store.SyncTail. checkLog trusts what is there: what was
	// applied up to twice as long before a crash is not compared.
	tailEvery = 500 * time.Millisecond

	// spaceEvery is how often the free space of the disk is looked at.
	spaceEvery = time.Second
)

// reserve is the free space below which a node takes no more writes: room for
// what is in flight, a flush and a compaction, so that nothing fails half way.
const reserve = 256 << 20

// Raft. Times are in ticks of rttMillis.
const (
	// rttMillis is dragonboat's tick. 50 a second for each group: 16 groups
	// cost 0.3 % of a processor.
	rttMillis = 20

	// With one replica there is nobody to wait for: it leads after 100-200 ms.
	soloElection, soloHeartbeat = 5, 1

	// With several: a leader is missed after 400-800 ms, beats every 80 ms.
	election, heartbeat = 20, 4

	// inMemLog bounds what a replica holds unapplied before it refuses.
	inMemLog = 64 << 20

	// snapshotBytes of entries lead to a snapshot, which here is a sync of the
	// store and lets the log before it be removed; keepEntries of it stay for
	// followers that are a little behind. So a shard's log is some 32 MiB.
	snapshotBytes = 32 << 20
	snapshotEvery = 200_000
	keepEntries   = 2_000
)

// logDB is dragonboat's store for the logs of all groups: one Pebble with
// small buffers, so that groups that are ready together share one fsync.
func logDB() config.LogDBConfig {
	c := config.GetTinyMemLogDBConfig()
	c.Shards = 1
	c.KVWriteBufferSize = 16 << 20
	return c
}

// engine is how many goroutines dragonboat has for each stage. One steps all
// groups (and fsyncs for them together); the stage that applies is ours and
// the expensive one.
func engine() config.EngineConfig {
	return config.EngineConfig{ExecShards: 1, CommitShards: 1, ApplyShards: 4, SnapshotShards: 4, CloseShards: 2}
}

// The membership of groups.
const (
	// tendEvery is how often a node looks at which replicas it should have, when
	// it waits for one or has one too many. A hello goes out every helloEvery:
	// some 30 bytes a second for each replica that does not lead, in one batch
	// per leader.
	tendEvery  = 250 * time.Millisecond
	helloEvery = time.Second

	// strandedFor is after how long without a leader a replica asks whether the
	// group still has it.
	strandedFor = 3 * time.Second

	// governEvery is how often a leader compares Raft with the map; a new map, a
	// question or a change wakes it at once. It makes so many changes in a row.
	governEvery   = time.Second
	changesAtOnce = 8

	// changeTimeout bounds the reading and the change of a membership: without a
	// quorum neither happens, and the next round tries again.
	changeTimeout = 2 * time.Second

	// sightingFor is for how long a replica counts as alive after it was heard:
	// two hellos may be lost. No group has more than sightingsMax replicas.
	sightingFor  = 2500 * time.Millisecond
	sightingsMax = 64

	// promoteWithin and handOverWithin are how many entries a replica may be
	// behind to get a vote and the leadership. Raft waits for the last of them;
	// an entry carries what waited for it, at most 1,000 a second.
	promoteWithin  = 10_000
	handOverWithin = 1_000

	// leadAtLeast is for how long a leader stays before it makes room for the
	// preferred one: after a crash the shards come back one by one. A hand-over
	// costs a shard some 20 ms; one that fails costs handOverTimeout, so the
	// next try waits, twice as long each time.
	leadAtLeast       = 10 * time.Second
	handOverTimeout   = 2 * time.Second
	handOverAgain     = 5 * time.Second
	handOverAgainMost = 5 * time.Minute

	// seatsWaiting bounds the answers about seats that wait to be looked at; what
	// is dropped is asked again.
	seatsWaiting = 1024

	// unloadTimeout bounds how long a replica that was stopped takes to let go
	// of its files.
	unloadTimeout = 10 * time.Second

	// measureEvery is how often the size of one shard is measured.
	measureEvery = 2 * time.Second
)
