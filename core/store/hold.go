package store

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/godwit-im/godwit/wire"
)

// HoldState is how far a replica in this directory has come.
type HoldState uint8

// The states, in order. Each is durable before what it announces is done.
const (
	// Beginning: the replica may not yet have a Raft log, and has taken no part.
	Beginning HoldState = 1
	// Holding: it has taken part. Its Raft log must be there.
	Holding HoldState = 2
	// Dropping: Raft has removed it for good, and its data is being deleted.
	Dropping HoldState = 3
	// Gone: its data is deleted. The note stays, so that the node does not begin
	// the group a second time; it comes back under another number or not at all.
	Gone HoldState = 4
	// RowsLost: its Raft log was found and the rows that belong to it were not.
	RowsLost HoldState = 5
)

// Hold says that the directory has, or had, a replica of a shard. It outlives the Raft
// log, and so tells a replica that lost its log from one that never was.
type Hold struct {
	Shard   wire.ShardID
	Replica uint64 // its number in the Raft group
	Joined  bool   // it was added to the group, not one of those that began it
	State   HoldState
}

const holdLen = 10 // state u8, joined u8, replica u64be

// SetHold notes h, durably, in place of what was noted for the shard.
func (s *Store) SetHold(h Hold) error {
	v := []byte{byte(h.State), 0}
	if h.Joined {
		v[1] = 1
	}
	v = binary.BigEndian.AppendUint64(v, h.Replica)
	return s.write(func() error { return s.db.Set(holdKey(h.Shard), v, pebble.Sync) })
}

// Holds returns what SetHold noted, by shard.
func (s *Store) Holds() (holds []Hold, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: holdKey(0), UpperBound: []byte{0, 0, 0, 0, 'h' + 1}})
	if err != nil {
		return nil, fmt.Errorf("store: reading: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, fmt.Errorf("store: reading: %w", err)
		}
		if len(it.Key()) != len(holdKey(0)) || len(v) != holdLen {
			return nil, fmt.Errorf("store: the row %x of %s is damaged; restore the directory from a backup", it.Key(), s.dir)
		}
		holds = append(holds, Hold{
			Shard:   wire.ShardID(binary.BigEndian.Uint32(it.Key()[5:])),
			Replica: binary.BigEndian.Uint64(v[2:]), Joined: v[1] != 0, State: HoldState(v[0]),
		})
	}
	return holds, it.Error()
}

// Disk returns the random number of this directory, made when it is first
// asked for. A directory that was wiped has another.
func (s *Store) Disk() (uint64, error) {
	v, ok, err := s.number(diskKey())
	if ok || err != nil {
		return v, err
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("store: no random numbers: %w", err)
	}
	err = s.write(func() error { return s.db.Set(diskKey(), b[:], pebble.Sync) })
	return binary.BigEndian.Uint64(b[:]), err
}

// Fresh reports whether Open made the store.
func (s *Store) Fresh() bool { return s.fresh }

// Size returns about how many bytes the shard's rows take on the disk. It reads
// the directory of tables, no rows.
func (s *Store) Size(id wire.ShardID) (uint64, error) {
	lower, upper := shardPrefix(id), shardPrefix(id+1)
	n, err := s.db.EstimateDiskUsage(lower[:], upper[:])
	if err != nil {
		return 0, fmt.Errorf("store: measuring: %w", err)
	}
	return n, nil
}

func diskKey() []byte { return []byte{0, 0, 0, 0, 'd'} }

func holdKey(id wire.ShardID) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, 'h'}, uint32(id))
}
