package store

import (
	"context"
	"fmt"
)

// Compact rewrites the whole store into its last level, or returns ctx's
// error. Reads and writes go on meanwhile. The files that this replaced go a
// moment later (Obsolete); logs that Pebble keeps to write over them stay.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.write(s.db.Flush); err != nil {
		return err
	}
	if err := s.db.Compact(ctx, []byte{}, lastKey(), true); err != nil {
		return fmt.Errorf("store: compacting: %w", err)
	}
	return nil
}

// Obsolete returns how many tables have been replaced and are not removed yet.
func (s *Store) Obsolete() int64 { return s.db.Metrics().Table.ObsoleteCount }

// lastKey is behind every key there can be: a shard's number is not all ones.
func lastKey() []byte { return []byte{0xff, 0xff, 0xff, 0xff} }
