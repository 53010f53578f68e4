package store

import (
	"context"
	"fmt"
	"time"
)

// Compact rewrites the whole store into its last level and returns when the
// files that this replaced are gone, or with ctx's error. Reads and writes go
// on meanwhile. Logs that Pebble keeps to write over them stay.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.write(s.db.Flush); err != nil {
		return err
	}
	if err := s.db.Compact(ctx, []byte{}, lastKey(), true); err != nil {
		return fmt.Errorf("store: compacting: %w", err)
	}
	poll := time.NewTicker(obsoletePoll)
	defer poll.Stop()
	for s.db.Metrics().Table.ObsoleteCount > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
	return nil
}

// obsoletePoll is how often Compact looks whether files are gone.
const obsoletePoll = 10 * time.Millisecond

// lastKey is behind every key there can be: a shard's number is not all ones.
func lastKey() []byte { return []byte{0xff, 0xff, 0xff, 0xff} }
