package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

// Ready waits until the group has a leader and this member has applied all that
// was committed when it asked. Then an empty Watcher means that there is no map
// yet. It fails with ctx's error, with ErrClosed, or when the log holds what
// this version does not know.
func (c *Control) Ready(ctx context.Context) error {
	changed := make(chan raft.Observation, 1)
	o := raft.NewObserver(changed, false, nil)
	c.raft.RegisterObserver(o)
	defer c.raft.DeregisterObserver(o)
	for {
		if c.IsLeader() {
			err := await(ctx, c.raft.Barrier(enqueueWait))
			if err == nil {
				return c.fsm.broken()
			}
			if ctx.Err() != nil || errors.Is(err, raft.ErrRaftShutdown) {
				return c.explain(err)
			}
		} else if id, _ := c.Leader(); id != 0 && c.raft.AppliedIndex() >= c.raft.CommitIndex() && c.raft.CommitIndex() > 0 {
			return c.fsm.broken()
		}
		if c.raft.State() == raft.Shutdown {
			return ErrClosed
		}
		// What raft observes covers elections; followers apply without being
		// observed, hence the timer.
		timer := time.NewTimer(aloneElection)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// Propose makes next the current map: its epoch must be the current one's plus
// 1, and 1 for the first map; otherwise it fails with a *ConflictError. On a
// member that does not lead it fails with a *LeaderError. When it returns nil,
// next is on the disks of a majority and published here. After any other error
// next may or may not have become the map: look at the watcher.
func (c *Control) Propose(ctx context.Context, next *shardmap.Map) error {
	_, err := c.apply(ctx, encodeSet(next))
	return err
}

// Do carries out one command of a fleet. It fails as fleet.Apply does, and on a
// member that does not lead with a *LeaderError. When it returns no error, the
// change is on the disks of a majority and seen by State here. After any error
// but those of fleet.Apply it may or may not have been made.
func (c *Control) Do(ctx context.Context, cmd fleet.Command) (fleet.Answer, error) {
	return c.apply(ctx, encodeFleet(&cmd))
}

// State is the newest state known here. It is shared: do not change it.
func (c *Control) State() *fleet.State { return c.fsm.state() }

func (c *Control) apply(ctx context.Context, entry []byte) (fleet.Answer, error) {
	f := c.raft.Apply(entry, enqueueWait)
	if err := await(ctx, f); err != nil {
		return fleet.Answer{}, c.explain(err)
	}
	done, ok := f.Response().(applied)
	if !ok {
		return fleet.Answer{}, fmt.Errorf("control: raft answers %T to a command", f.Response())
	}
	return done.answer, done.err
}

// Update proposes what change makes of the current map (nil: there is none),
// and calls it again on the newer map when another proposal came first. When
// change returns nil or an error nothing is proposed and Update returns the
// error.
func (c *Control) Update(ctx context.Context, change func(cur *shardmap.Map) (*shardmap.Map, error)) error {
	for {
		cur := c.watcher.Current()
		next, err := change(cur)
		if err != nil || next == nil {
			return err
		}
		err = c.Propose(ctx, next)
		var conflict *ConflictError
		if !errors.As(err, &conflict) || c.watcher.Current() == cur {
			return err // a conflict with the very map that change saw would come again
		}
	}
}

// explain turns raft's errors into those of this package.
func (c *Control) explain(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost),
		errors.Is(err, raft.ErrLeadershipTransferInProgress):
		id, addr := c.Leader()
		return &LeaderError{ID: id, Addr: addr}
	case errors.Is(err, raft.ErrRaftShutdown):
		return ErrClosed
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return wrap("propose", err)
}

// await waits for a future, which always ends: with its result, or with raft.
func await(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
