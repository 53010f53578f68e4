// Package peer is the protocol between the processes of a fleet: edge to core,
// core to core, core to edge. It is also the form of the commands in a shard's
// Raft log: a leader copies the items that waited into one entry.
//
// The unit of transport is a batch: items one after the other, as many as were
// waiting when the link could take them. An item is
//
//	+--------------+---------+------------------------------+
//	| length u32le | op u8   | fields in the table's order  |
//	+--------------+---------+------------------------------+
//
// where length counts op and fields, a number is a uvarint, bytes are a uvarint
// length and the bytes, and a chat id is its 16 bytes. A reader ignores what
// follows the fields it knows, so a later version may append fields; a field
// that is missing at the end is zero.
//
// A process may receive these bytes from a peer that is broken or of another
// version, and from its own disk: decoding is bounds-first, allocates nothing
// and never trusts a length. Decoded slices are views of the batch.
//
// The package is pure and everything in it is safe for concurrent use; an Item
// belongs to whoever decodes into it.
package peer
