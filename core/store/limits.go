package store

import "github.com/cockroachdb/pebble/v2"

// The numbers of the store, each with what it buys and costs. One Pebble
// serves all shards of a node, so nothing here is per shard.
const (
	// Version is the format of the rows that this build writes. It rises when
	// an older build would misread them.
	Version = 1

	// formatMajor is Pebble's own format. It only ever rises, and then in one
	// release after the one that learned to read it.
	formatMajor = pebble.FormatTableFormatV6

	// memTable is how much is written before a table is flushed. A message is
	// some 500 bytes of rows here and less than half of that after compaction,
	// because cursors and marks overwrite each other: the larger the memtable,
	// the more of them never reach the disk. Up to memTables of them exist.
	memTable  = 32 << 20
	memTables = 4

	// blockCache serves what was evicted from the memtables: the inbox rows
	// and members of conversations that are in use. A laptop can spare it; the
	// page cache holds the rest in compressed form.
	blockCache = 64 << 20

	// filterBits per key keep a lookup that finds nothing (every first use of
	// a client_msg_id) from reading a block: about 1 % of them do.
	filterBits = 10

	// blockSize of tables: 16 KiB compresses keys that share a chat's prefix
	// well; a history page of 50 messages is one or two of them.
	blockSize = 16 << 10

	// tableSize is the target of a table in the first level. Pebble doubles it
	// from level to level.
	tableSize = 4 << 20

	// openFiles bounds Pebble's descriptors; the edge wants the others.
	openFiles = 512

	// compactors bounds the goroutines that compact. Two keep up with 50 MB/s
	// of writes and leave a small machine's other work alone.
	compactors = 2

	// logBlock is how much Pebble collects of its log before it writes it, when
	// nobody waits for it to be synced.
	logBlock = 32 << 10

	// chunk is the most bytes of a snapshot that are in memory at a time, when
	// it is sent and when it is taken in.
	chunk = 1 << 20

	// minBatchMem and maxBatchMem are the pieces in which a batch takes
	// memory: a shard that is idle keeps little, one that is busy has room for
	// what is applied between two commits.
	minBatchMem = 16 << 10
	maxBatchMem = 1 << 20

	// maxRow bounds one row of a snapshot that is taken in: more than any row
	// a machine writes, less than what would hurt.
	maxRow = 8 << 20
)
