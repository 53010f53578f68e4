package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/godwit-im/godwit/wire"
)

// The stream of a snapshot:
//
//	"godwit-shard" | version u8 | applied u64be | rows | 0 | count of rows uvarint
//
// where a row is a uvarint of the key's length plus one, the key, a uvarint of
// the value's length and the value. The count at the end tells a whole stream
// from one that was cut off.
const (
	snapshotMagic   = "godwit-shard"
	snapshotVersion = 1
)

// ErrStopped says that a snapshot was given up because the caller said so.
var ErrStopped = errors.New("store: stopped")

// Snapshot is one shard at one moment. It pins old tables: Close it.
type Snapshot struct {
	s    *pebble.Snapshot
	view View
	id   wire.ShardID
}

// NewSnapshot returns the shard as it is now.
func (s *Store) NewSnapshot(id wire.ShardID) *Snapshot {
	snap := s.db.NewSnapshot()
	return &Snapshot{s: snap, id: id, view: View{from: snap, prefix: shardPrefix(id)}}
}

// Close lets go of the moment. Calling it twice is harmless.
func (s *Snapshot) Close() error {
	if s.s == nil {
		return nil
	}
	err := s.s.Close()
	s.s = nil
	return err
}

// WriteTo streams the snapshot to w in pieces of bounded size. It ends with
// ErrStopped soon after stop is closed.
func (s *Snapshot) WriteTo(w io.Writer, stop <-chan struct{}) error {
	applied := uint64(0)
	if b, closer, err := s.s.Get(appliedKey(s.id)); err == nil {
		applied = binary.BigEndian.Uint64(b)
		closer.Close()
	} else if !errors.Is(err, pebble.ErrNotFound) {
		return fmt.Errorf("store: reading: %w", err)
	}
	out := bufio.NewWriterSize(w, chunk)
	head := append([]byte(snapshotMagic), snapshotVersion)
	out.Write(binary.BigEndian.AppendUint64(head, applied))

	rows, werr := uint64(0), error(nil)
	var num [binary.MaxVarintLen64]byte
	err := s.view.Scan(nil, nil, false, func(key, value []byte) bool {
		rows++
		out.Write(binary.AppendUvarint(num[:0], uint64(len(key))+1))
		out.Write(key)
		out.Write(binary.AppendUvarint(num[:0], uint64(len(value))))
		_, werr = out.Write(value) // bufio keeps the first error
		return werr == nil && !closed(stop)
	})
	if err != nil {
		return err
	}
	if werr != nil {
		return werr
	}
	if closed(stop) {
		return ErrStopped
	}
	out.Write([]byte{0})
	out.Write(binary.AppendUvarint(num[:0], rows))
	return out.Flush()
}

// Recover replaces the shard's rows by those of the stream r, in batches of
// bounded size, and returns the applied index that came with them. When it
// ends early, by an error or a crash, the shard is empty.
func (s *Store) Recover(id wire.ShardID, r io.Reader, stop <-chan struct{}) (applied uint64, err error) {
	in := bufio.NewReaderSize(r, chunk)
	head := make([]byte, len(snapshotMagic)+1+8)
	if _, err := io.ReadFull(in, head); err != nil {
		return 0, fmt.Errorf("store: the snapshot's head: %w", err)
	}
	if string(head[:len(snapshotMagic)]) != snapshotMagic || head[len(snapshotMagic)] != snapshotVersion {
		return 0, fmt.Errorf("store: the snapshot is not of version %d; bring all nodes to the same release", snapshotVersion)
	}
	applied = binary.BigEndian.Uint64(head[len(snapshotMagic)+1:])
	if err := s.beginRecover(id); err != nil {
		return 0, err
	}
	if err := s.readRows(id, in, stop); err != nil {
		return 0, errors.Join(err, s.Drop(id))
	}
	return applied, s.write(func() error {
		b := s.db.NewBatch()
		defer b.Close()
		if err := errors.Join(
			b.Set(appliedKey(id), binary.BigEndian.AppendUint64(nil, applied), nil),
			b.Delete(recoveringKey(id), nil),
		); err != nil {
			return err
		}
		return b.Commit(pebble.Sync)
	})
}

// beginRecover empties the shard and marks it, durably, as not whole.
func (s *Store) beginRecover(id wire.ShardID) error {
	return s.write(func() error {
		b := s.db.NewBatch()
		defer b.Close()
		if err := dropInto(b, id); err != nil {
			return err
		}
		if err := b.Set(recoveringKey(id), binary.BigEndian.AppendUint64(nil, 1), nil); err != nil {
			return err
		}
		return b.Commit(pebble.Sync)
	})
}

func (s *Store) readRows(id wire.ShardID, in *bufio.Reader, stop <-chan struct{}) error {
	batch := s.NewBatch(id)
	defer batch.Close()
	var key, value []byte
	for rows := uint64(0); ; rows++ {
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return fmt.Errorf("store: the snapshot ends after %d rows: %w", rows, err)
		}
		if n == 0 {
			count, err := binary.ReadUvarint(in)
			if err != nil || count != rows {
				return fmt.Errorf("store: the snapshot has %d rows and says %d (%v)", rows, count, err)
			}
			return batch.commitRows()
		}
		if key, err = readBytes(in, key, n-1); err != nil {
			return err
		}
		if n, err = binary.ReadUvarint(in); err != nil {
			return fmt.Errorf("store: the snapshot ends in a row: %w", err)
		}
		if value, err = readBytes(in, value, n); err != nil {
			return err
		}
		batch.Set(key, value)
		if batch.Len() >= chunk {
			if err := batch.commitRows(); err != nil {
				return err
			}
		}
		if closed(stop) {
			return ErrStopped
		}
	}
}

// readBytes reads n bytes into buf, growing it only as bytes arrive.
func readBytes(in *bufio.Reader, buf []byte, n uint64) ([]byte, error) {
	if n > maxRow {
		return buf, fmt.Errorf("store: the snapshot has a row of %d bytes, over the limit of %d", n, maxRow)
	}
	buf = buf[:0]
	for uint64(len(buf)) < n {
		have := len(buf)
		piece := int(min(n-uint64(have), 64<<10))
		buf = append(buf, make([]byte, piece)...)
		if _, err := io.ReadFull(in, buf[have:]); err != nil {
			return buf, fmt.Errorf("store: the snapshot ends in a row: %w", err)
		}
	}
	return buf, nil
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
