// Package core is a core node: the replicas of shards that live here, and what
// their leaders do for the rest of the fleet.
//
// What it promises: a Reply to a write leaves only after the entry that
// carried it was applied, which is after a majority of the shard's replicas
// had it fsynced. What was acknowledged and not yet fanned out lies in the
// outbox of the store and is taken up again by whoever leads next. Everything
// pushed to an edge is a hint.
//
// Who owns what: a replica (one shard on this node) owns its proposals, its
// outbox and its sessions behind one lock; the shard machine is owned by
// dragonboat's apply goroutine of that shard; the store is shared and safe for
// concurrent use. Batches from the link are views that are copied before the
// handler returns.
//
// What it never does: block the link, look into content, or keep a truth that
// is not in the shard's log.
package core
