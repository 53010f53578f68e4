// Package session is the edge's side of one connection: bytes, answers and
// ticks in, frames and requests out.
//
// It has two layers, both pure. Reader cuts the bytes of a socket into
// WebSocket messages as RFC 6455 demands. Session is the machine behind it: it
// signs a client in, syncs it, carries its sends, receipts and typing to the
// cores and what the cores say back to the client.
//
// What it promises:
//
//   - ack_sent leaves for nothing but an answered OpAppend.
//   - Within a conversation new_message frames leave in the order of the log,
//     and none is left out. After a sync began again a client may see some
//     twice. Whatever is shed for want of room is followed by another sync, so
//     nothing acknowledged is lost by it.
//   - A receipt reaches the conversation's shard before the user's: OpMark is
//     asked for only once the OpReceipt of the same cursors was answered.
//   - Receipts that were under way when a connection ended are seen to by its
//     Parting.
//   - Every buffer here has a bound (limits.go). No length is believed before
//     the bytes are there.
//   - After Close nothing else leaves.
//
// Who owns what: a Session and the Loop it is called with belong to one event
// loop; nothing here is safe for concurrent use except Counters. A window
// given to Receive is unmasked in place and may be overwritten once Receive
// returned; what a Session passes to Actions is valid until that call returns.
// Actions must not call back into the session.
//
// How the driver and the session share the work of asking a core:
//
//   - The session fills an item and calls Actions.Core. The driver finds the
//     shard (of Chat for OpAppend, OpReceipt, OpRange, OpTyping; of User for
//     OpOpen, OpMark, OpChanges, OpClose) and its leader, takes a number from
//     its Pending table, sets Req and Shard and puts the item in a batch. False
//     says that this was not possible right now.
//   - The driver never repeats a request. From an answer with
//     wire.CodeNotLeader it learns the leader that the answer names, from
//     wire.CodeWrongShard that its map is old; then it gives every answer to
//     CoreReply as it is, and what expires or is lost with a link to Lost; both of
//     the Parting once there is one.
//   - The session repeats what it can: OpOpen, OpChanges, OpRange, OpReceipt
//     and OpMark, for as long as the connection lives and RetryEvery apart; the
//     first three at once when the answer named the leader. A send is not repeated,
//     because its content is gone by then: the client gets wire.CodeUnavailable
//     with a time and repeats it under the same client_msg_id. OpTyping and
//     OpClose have no answer; a lost one costs freshness.
//
// It never touches a network, file, clock, random source or goroutine.
package session
