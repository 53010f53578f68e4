package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/godwit-im/godwit/wire"
)

// Check returns nil when every shard placed here is in service: it has a
// leader, and if that is this node, the outbox was looked through. Else it
// says which is not. It does not block and asks nobody, so right after a
// leader was lost it may still be nil.
func (n *Node) Check() error {
	select {
	case <-n.stop:
		return errors.New("the node is closed")
	default:
	}
	var errs []error
	if n.full.Load() {
		errs = append(errs, fmt.Errorf("the disk of %s is nearly full and every write is refused; free space, or move the data directory to a larger disk", n.cfg.Dir))
	}
	for _, id := range n.cfg.Watcher.Current().ShardsOn(n.cfg.Node) {
		switch r := n.replica(id); {
		case r == nil && (*n.lost.Load())[id] != "":
			errs = append(errs, errors.New((*n.lost.Load())[id]))
		case r == nil:
			errs = append(errs, fmt.Errorf("shard %d has not been started: it waits for its leader to add this node", id))
		case r.failed.Load():
			errs = append(errs, fmt.Errorf("shard %d has stopped on this node; see the log", id))
		case !r.settled():
			errs = append(errs, fmt.Errorf("shard %d has no leader yet", id))
		}
	}
	return errors.Join(errs...)
}

// Compact makes the data directory as small as it gets: each shard is
// snapshotted, so that its log becomes short, and the store is compacted from
// end to end. Service goes on meanwhile, slower. A follower that was behind is
// sent a snapshot afterwards. The files of the Raft log shrink a moment after
// Compact has returned.
func (n *Node) Compact(ctx context.Context) error {
	for id, r := range n.all() {
		if err := r.shorten(ctx); err != nil {
			return fmt.Errorf("core: shortening the log of shard %d: %w", id, err)
		}
	}
	if err := n.store.Compact(ctx); err != nil {
		return err
	}
	return until(ctx, func() bool { return n.store.Obsolete() == 0 })
}

// until asks again and again until ok, or returns ctx's error.
func until(ctx context.Context, ok func() bool) error {
	for !ok() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(readyPoll):
		}
	}
	return nil
}

// shorten takes a snapshot and waits until the log before it is gone.
func (r *replica) shorten(ctx context.Context) error {
	if r.failed.Load() {
		return wire.CodeStorage
	}
	snap, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	index, err := r.node.host.SyncRequestSnapshot(snap, uint64(r.id),
		dragonboat.SnapshotOption{OverrideCompactionOverhead: true, CompactionOverhead: 1})
	if errors.Is(err, dragonboat.ErrRejected) {
		return nil // nothing has happened since the last
	}
	if err != nil {
		return err
	}
	log, err := r.node.host.GetLogReader(uint64(r.id))
	if err != nil {
		return err
	}
	return until(snap, func() bool {
		first, _ := log.GetRange()
		return first >= index
	})
}

// snapshotTimeout bounds a snapshot, which here is a sync of the store.
const snapshotTimeout = time.Minute
