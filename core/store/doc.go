// Package store keeps the rows of every shard of one node in one Pebble.
//
// What it promises: a shard's rows and the Raft index up to which they are
// applied change together or not at all. What was committed with NoSync may be
// lost by a crash from some point on, never from the middle; Sync pins it. A
// directory has one owner at a time, and a directory of a newer version is
// refused before anything in it is touched. A snapshot that was cut off while
// it was being taken in leaves a shard empty, never half.
//
// Keys are the shard's number in four big-endian bytes and then the machine's
// own key. Shard 0 is the node's: the version of the format and, per shard,
// the applied index:
//
//	00 00 00 00 'v'            version, uvarint
//	00 00 00 00 'a' SSSSSSSS   applied index, u64be
//	00 00 00 00 'd'            the directory's random number, u64be
//	00 00 00 00 'h' SSSSSSSS   which replica is here: state u8, joined u8, replica u64be
//	00 00 00 00 'r' SSSSSSSS   present while a snapshot is being taken in
//	SSSSSSSS key...            the shard machine's rows
//
// A Store is safe for concurrent use. A View or a Batch belongs to one
// goroutine. The package never interprets a machine's rows.
package store
