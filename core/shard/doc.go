// Package shard is the state machine of one shard: commands in, writes and
// effects out.
//
// A shard holds conversations (their logs, members, receipts, dedupe rows and
// outbox) and users (their inboxes, change counters and devices) whose slots
// the shard map gives it. A Raft group feeds every replica the same entries;
// each replica calls Apply with them in order and ends up with the same rows.
//
// What it promises:
//
//   - Apply is deterministic. Time comes from the entry; nothing depends on
//     what is cached, on map order or on how entries were grouped between
//     calls of Committed.
//   - The seqs of a conversation are gapless and never reused, and
//     (sender, client_msg_id) names one entry of it for wire.DedupeWindow.
//   - Cursors only rise. Bumps, touches, receipts and marks may be repeated
//     and reordered; the rows end the same.
//   - A bad request is a Result with a wire.Code and changes no row. An error
//     means that the store failed or that the log is corrupt.
//
// Who owns what: a Machine belongs to the apply goroutine of its replica. The
// functions that read (Changes, Range, Chats, ...) never touch a Machine and
// may run on any View at any time. The rows and their layout are drawn in
// keys.go and rows.go; nothing outside this package reads or writes them.
//
// It never touches a network, file, clock, random source or goroutine.
package shard
