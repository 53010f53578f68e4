package shard

import "github.com/godwit-im/godwit/wire"

// The numbers of a shard, each with what it buys and costs. MaxDevices,
// NewDevicePage, MaxExpireStep and wire's MaxMembers, MaxContentCeiling and
// DedupeWindow decide what Apply writes: replicas of one shard have to agree on
// them, so a change takes a new version of the entry.
const (
	// MaxDevices is how many devices of a user the shard tells apart. The one
	// that is furthest behind makes room and is a new device when it returns.
	// Each costs its id once per user and 2 to 3 bytes in every inbox row.
	MaxDevices = 32

	// NewDevicePage is how far back a new device starts in a conversation
	// whose entries other devices of the user have received.
	NewDevicePage = wire.HistoryPage

	// MaxExpireStep caps the Limit of an OpExpire: about 20 ms of reads.
	MaxExpireStep = 4096

	// MaxRangeBytes is where a page of Range ends although Limit is not
	// reached. With one entry of the largest content behind it a page stays
	// below peer.MaxItem.
	MaxRangeBytes = 1 << 20
)

// Rows that a machine keeps decoded, beside those that are not committed yet.
// A row is 200 to 400 bytes with its place in the cache: a shard's caches hold
// about 6 MB when they are full. A row that is not cached costs one read of
// the store.
const (
	cachedChats   = 4096
	cachedMembers = 4096
	cachedInboxes = 8192
	cachedUsers   = 4096
)

// keptOverlay is how large the overlay's map and buffer may be and still be
// reused after a commit; one that a burst made larger is let go.
const (
	keptOverlayRows  = 8192
	keptOverlayBytes = 1 << 20
)

// dedupeHash is how many bytes of a hash stand for (sender, client_msg_id) in a
// dedupe row's key. Equal hashes are told apart by the log rows, so fewer bytes
// cost reads and never a message: 48 bits make one such read likely after 16
// million messages in one conversation within the window.
const dedupeHash = 6

const _ = uint(wire.MaxContentCeiling) - uint(MaxRangeBytes) // an entry fits a page
