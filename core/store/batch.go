package store

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"

	"github.com/godwit-im/godwit/wire"
)

// Batch collects the writes of one or more applies. It implements
// shard.Writer.
//
// Of several writes to one key only the last reaches the store: a message's
// way rewrites the same few rows again and again. What is left goes in in the
// order of the keys, which Pebble's memtable likes twice as much.
type Batch struct {
	store *Store
	id    wire.ShardID
	b     *pebble.Batch
	mem   []byte           // keys and values, each write behind the other
	ops   []op             // one per key
	index map[string]int32 // by key, a view of mem that is not moved: see grow
	old   int              // bytes in earlier mems, which keys of index lie in
}

// op is the last write to one key.
type op struct {
	key     string // with the shard's prefix
	value   []byte
	deleted bool
	created bool // the store does not have the row
}

// NewBatch returns an empty Batch for shard id. It can be used again after
// Commit or Reset.
func (s *Store) NewBatch(id wire.ShardID) *Batch {
	return &Batch{store: s, id: id, b: s.db.NewBatch(), index: make(map[string]int32)}
}

// Set writes a row; both slices are copied.
func (b *Batch) Set(key, value []byte) { b.op(key, len(value)).set(b, value) }

// Create implements shard.Writer: of a row that is created and deleted in one
// batch nothing is written. Of the rows on a message's way that is a third.
func (b *Batch) Create(key, value []byte) {
	n := len(b.ops)
	o := b.op(key, len(value))
	o.created = o.created || n < len(b.ops) // else an earlier write may have found it
	o.set(b, value)
}

func (o *op) set(b *Batch, value []byte) {
	o.deleted = false
	if cap(o.value) >= len(value) {
		o.value = append(o.value[:0], value...) // overwrites what it had
		return
	}
	n := len(b.mem)
	b.mem = append(b.mem, value...)
	o.value = b.mem[n:len(b.mem):len(b.mem)]
}

// Delete removes a row.
func (b *Batch) Delete(key []byte) { b.op(key, 0).deleted = true }

// op returns the write of key, a new one when there is none, and makes room
// for a value of size bytes.
func (b *Batch) op(key []byte, size int) *op {
	b.grow(prefixLen + len(key) + size)
	n := len(b.mem)
	b.mem = binary.BigEndian.AppendUint32(b.mem, uint32(b.id))
	b.mem = append(b.mem, key...)
	full := b.mem[n:]
	if i, ok := b.index[string(full)]; ok {
		b.mem = b.mem[:n]
		return &b.ops[i]
	}
	name := unsafe.String(&full[0], len(full))
	b.index[name] = int32(len(b.ops))
	b.ops = append(b.ops, op{key: name})
	return &b.ops[len(b.ops)-1]
}

// grow makes room for n bytes. It begins a new and larger mem rather than
// moving the old, in which keys and values lie and which they keep alive. The
// newest is kept for the next batch, so that a busy shard allocates nothing.
func (b *Batch) grow(n int) {
	if len(b.mem)+n <= cap(b.mem) {
		return
	}
	b.old += len(b.mem)
	b.mem = make([]byte, 0, max(n, min(2*cap(b.mem), maxBatchMem), minBatchMem))
}

// Len returns about how many bytes were collected.
func (b *Batch) Len() int { return len(b.mem) + b.old }

// Commit applies the batch together with the applied index, without waiting
// for the disk, and empties it. After an error the store takes no more writes.
func (b *Batch) Commit(applied uint64) error {
	err := b.store.write(func() error {
		b.emit()
		var v [8]byte
		binary.BigEndian.PutUint64(v[:], applied)
		if err := b.b.Set(appliedKey(b.id), v[:], nil); err != nil {
			return err
		}
		n := int64(b.b.Len())
		if err := b.b.Commit(pebble.NoSync); err != nil {
			return err
		}
		b.store.wrote.Add(n)
		return nil
	})
	b.Reset()
	return err
}

// commitRows applies the rows without an index, for a shard that is being
// taken in.
func (b *Batch) commitRows() error {
	err := b.store.write(func() error {
		b.emit()
		return b.b.Commit(pebble.NoSync)
	})
	b.Reset()
	return err
}

// emit puts the writes into Pebble's batch, in the order of their keys.
func (b *Batch) emit() {
	b.ops = slices.DeleteFunc(b.ops, func(o op) bool { return o.created && o.deleted })
	slices.SortFunc(b.ops, func(x, y op) int {
		// The keys differ, and they have the prefix in common.
		if x.key[prefixLen:] < y.key[prefixLen:] {
			return -1
		}
		return 1
	})
	for i := range b.ops {
		o := &b.ops[i]
		if o.deleted {
			d := b.b.DeleteDeferred(len(o.key))
			copy(d.Key, o.key)
			_ = d.Finish() // only fails on an indexed batch
			continue
		}
		d := b.b.SetDeferred(len(o.key), len(o.value))
		copy(d.Key, o.key)
		copy(d.Value, o.value)
		_ = d.Finish()
	}
}

// Reset forgets what was collected.
func (b *Batch) Reset() {
	clear(b.index)
	clear(b.ops)
	b.ops, b.old, b.mem = b.ops[:0], 0, b.mem[:0]
	if b.store.failed.Load() {
		return // Pebble may still hold its batch
	}
	b.b.Reset()
}

// Close gives the batch's memory back. The Batch is not used afterwards.
func (b *Batch) Close() {
	if !b.store.failed.Load() {
		b.b.Close()
	}
}
