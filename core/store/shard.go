package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/godwit-im/godwit/wire"
)

// Applied returns the Raft index up to which the shard's rows are applied, 0
// for a shard that this store has never held. A shard whose snapshot was cut
// off is emptied first, so that it counts as never held.
func (s *Store) Applied(id wire.ShardID) (uint64, error) {
	_, torn, err := s.number(recoveringKey(id))
	if err != nil {
		return 0, err
	}
	if torn {
		return 0, s.Drop(id)
	}
	v, _, err := s.number(appliedKey(id))
	return v, err
}

// Drop removes every row of the shard, durably.
func (s *Store) Drop(id wire.ShardID) error {
	return s.write(func() error {
		b := s.db.NewBatch()
		defer b.Close()
		if err := dropInto(b, id); err != nil {
			return err
		}
		return b.Commit(pebble.Sync)
	})
}

// dropInto adds the removal of the shard's rows to b.
func dropInto(b *pebble.Batch, id wire.ShardID) error {
	lower, upper := shardPrefix(id), shardPrefix(id+1)
	return errors.Join(
		b.DeleteRange(lower[:], upper[:], nil),
		b.Delete(appliedKey(id), nil),
		b.Delete(recoveringKey(id), nil),
	)
}

// View reads one shard's committed rows. It implements shard.View: what Get
// returns is valid until the next call, what Scan hands to its function until
// that returns.
type View struct {
	from   pebble.Reader // the live store, or a snapshot of it
	prefix [prefixLen]byte
	key    []byte // scratch for the key being looked up
	value  []byte // what Get returned
	lower  []byte
	upper  []byte
}

// NewView returns a View of shard id.
func (s *Store) NewView(id wire.ShardID) *View {
	return &View{from: s.db, prefix: shardPrefix(id)}
}

// Get returns the value of key. ok is false when there is none.
func (v *View) Get(key []byte) (value []byte, ok bool, err error) {
	v.key = append(append(v.key[:0], v.prefix[:]...), key...)
	b, closer, err := v.from.Get(v.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("store: reading: %w", err)
	}
	v.value = append(v.value[:0], b...)
	return v.value, true, closer.Close()
}

// Scan calls fn for the rows with lower <= key < upper, in order or in reverse,
// until fn returns false. A nil upper is the end of the shard.
func (v *View) Scan(lower, upper []byte, reverse bool, fn func(key, value []byte) (more bool)) error {
	v.lower = append(append(v.lower[:0], v.prefix[:]...), lower...)
	if upper != nil {
		v.upper = append(append(v.upper[:0], v.prefix[:]...), upper...)
	} else {
		v.upper = binary.BigEndian.AppendUint32(v.upper[:0], binary.BigEndian.Uint32(v.prefix[:])+1)
	}
	// Pebble copies the bounds.
	it, err := v.from.NewIter(&pebble.IterOptions{LowerBound: v.lower, UpperBound: v.upper})
	if err != nil {
		return fmt.Errorf("store: reading: %w", err)
	}
	step, ok := it.Next, false
	if reverse {
		step, ok = it.Prev, it.Last()
	} else {
		ok = it.First()
	}
	for ; ok; ok = step() {
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(fmt.Errorf("store: reading: %w", err), it.Close())
		}
		if !fn(it.Key()[len(v.prefix):], value) {
			break
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("store: reading: %w", err)
	}
	return nil
}
