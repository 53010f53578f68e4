// Package link moves batches of bytes between the processes of a fleet: edge to
// core, core to core, core to edge. It neither knows nor looks at what is in a
// batch (wire/peer does).
//
// There are two implementations. Hub joins nodes that live in one process; TCP
// joins processes. Both promise the same:
//
//   - Batches of one sender reach a receiver in the order in which Send was
//     called, whole, at most once.
//   - A link loses batches only when it says so: Send returns false, or Down is
//     raised, after which whatever was on its way may be gone. The protocol
//     above repeats what matters.
//   - For one peer the events come one at a time and in the order Up, Batch...,
//     Down, Up... . Events of different peers come concurrently.
//
// # Rules for handlers
//
// A handler must be quick: while it runs, nothing else of that peer arrives. It
// should put what it got into a queue of its own and return. It may call Send,
// to anybody, also back to the peer it was called for: no link holds a lock
// while it calls a handler. It must not call Close, which on TCP waits for
// handlers that run. Events can come before Join or Listen has returned, so a
// handler must not need what these return.
//
// # Bounds
//
// What a link holds for one peer is bounded by QueueBytes; a batch is at most
// MaxBatch long. Every batch that is not taken is counted under a Reason.
//
// The package never blocks a sender, never retries a batch and never keeps a
// caller's slice.
package link

import "github.com/godwit-im/godwit/wire"

// Events are the callbacks of one node. Any may be nil. See the package's
// rules for handlers.
type Events struct {
	// Batch hands over one batch of peer from. The slice is valid until Batch
	// returns and must not be written to.
	Batch func(from wire.NodeID, batch []byte)
	// Up says that batches can be exchanged with the peer.
	Up func(peer wire.NodeID)
	// Down says that the peer is gone. What was on its way is lost.
	Down func(peer wire.NodeID)
}

// Link is one node's end. Its methods are safe for concurrent use.
type Link interface {
	// Send hands batch to the peer's queue and returns at once. It has copied
	// or finished with batch when it returns. False means that the batch was
	// dropped, and counted: there is no connection, its queue is full, or the
	// batch is longer than MaxBatch. An empty batch is taken and not sent.
	// A node may send to itself.
	Send(to wire.NodeID, batch []byte) bool
	// Close takes the node off the link. After it no handler of this node
	// begins. Close again is harmless.
	Close() error
}

const (
	// QueueBytes bounds what waits for one peer, in bytes. At 100 MB/s it is
	// 80 ms of traffic; with 100 peers that all stopped reading, 800 MB.
	QueueBytes = 8 << 20

	// MaxBatch bounds one batch: a full queue in one piece. It holds the
	// largest item of wire/peer (4 MiB) with as much again beside it.
	MaxBatch = QueueBytes - header

	// header is the length before a batch on a TCP connection.
	header = 4
)

// Reason names why a batch was dropped. Append-only: names are metric labels.
type Reason uint8

// The reasons.
const (
	DropNoPeer    Reason = iota // no connection to the peer
	DropQueueFull               // the peer does not take what is sent as fast as it comes
	DropTooBig                  // the batch is longer than MaxBatch
	DropLost                    // the connection ended with the batch in its queue
	DropClosed                  // this node's link is closed
	Reasons                     // how many there are
)

// String returns the name that metrics use.
func (r Reason) String() string {
	switch r {
	case DropNoPeer:
		return "no_peer"
	case DropQueueFull:
		return "queue_full"
	case DropTooBig:
		return "too_big"
	case DropLost:
		return "connection_lost"
	case DropClosed:
		return "closed"
	}
	return "unknown"
}

// Stats counts since the start. Bytes are those of batches, without headers.
type Stats struct {
	SentBatches     uint64 // written to a connection, or handed to a member
	SentBytes       uint64
	ReceivedBatches uint64 // handed to Events.Batch
	ReceivedBytes   uint64
	Dropped         [Reasons]uint64 // batches not sent, by Reason
	Connects        uint64          // times a peer came up
	Refused         uint64          // handshakes that failed, on either side
}
