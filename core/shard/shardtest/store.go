// Package shardtest keeps the rows of a shard in memory, for tests and for the
// simulator. It promises what shard.View and shard.Writer ask for, and with
// Scribble that a slice it handed out is overwritten when its lifetime ends,
// so that whoever keeps one is found out.
//
// It does not import package shard, so that the tests inside it can use it.
//
// A Store is safe for concurrent use (without Scribble); a Batch belongs to
// one goroutine. Everything is deterministic.
package shardtest

import (
	"fmt"
	"strings"
	"sync"
)

// Store is an ordered map of rows, all of them committed.
type Store struct {
	// Scribble overwrites what Get and Scan returned at the next call. Set it
	// before the first use, and only when one goroutine uses the store.
	Scribble bool

	mu struct {
		sync.RWMutex
		rows list
		lent [][]byte // with Scribble: what was handed out last
	}
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{} }

// Get implements shard.View.
func (s *Store) Get(key []byte) (value []byte, ok bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.reclaim()
	n := s.mu.rows.seek(string(key))
	if n == nil || n.key != string(key) {
		return nil, false, nil
	}
	return s.lend(n.value), true, nil
}

// Scan implements shard.View. It sees writes that are committed while it runs.
func (s *Store) Scan(lower, upper []byte, reverse bool, fn func(key, value []byte) (more bool)) error {
	from, to := string(lower), string(upper)
	for {
		s.mu.RLock()
		s.reclaim()
		var n *item
		if reverse {
			n = s.mu.rows.before(to)
		} else {
			n = s.mu.rows.seek(from)
		}
		if n == nil || n.key < from || n.key >= to {
			s.mu.RUnlock()
			return nil
		}
		key, value := s.lend(n.key), s.lend(n.value)
		if reverse {
			to = n.key
		} else {
			from = n.key + "\x00"
		}
		s.mu.RUnlock()
		if !fn(key, value) {
			return nil
		}
	}
}

// lend copies v for the caller.
func (s *Store) lend(v string) []byte {
	b := []byte(v)
	if s.Scribble {
		s.mu.lent = append(s.mu.lent, b)
	}
	return b
}

// reclaim overwrites what was handed out before.
func (s *Store) reclaim() {
	if !s.Scribble {
		return
	}
	for _, b := range s.mu.lent {
		for i := range b {
			b[i] = 0xdb
		}
	}
	s.mu.lent = s.mu.lent[:0]
}

// Commit applies the writes of b atomically and empties it.
func (s *Store) Commit(b *Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range b.Writes {
		n := s.mu.rows.seek(w.Key)
		switch there := n != nil && n.key == w.Key; {
		case w.Deleted:
			s.mu.rows.remove(w.Key)
		case w.Created && there:
			panic(fmt.Sprintf("shardtest: row %q was created, and is there", w.Key))
		default:
			s.mu.rows.set(w.Key, w.Value)
		}
	}
	b.Writes = b.Writes[:0]
}

// Clone returns a copy, as a snapshot would carry it.
func (s *Store) Clone() *Store {
	c := &Store{Scribble: s.Scribble}
	s.each(func(key, value string) { c.mu.rows.set(key, value) })
	return c
}

// each calls fn with all rows in order.
func (s *Store) each(fn func(key, value string)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for n := s.mu.rows.seek(""); n != nil; n = n.next[0] {
		fn(n.key, n.value)
	}
}

// Size returns the number of rows and the bytes of their keys and values.
func (s *Store) Size() (rows, size int) {
	s.each(func(key, value string) {
		rows++
		size += len(key) + len(value)
	})
	return rows, size
}

// Dump returns all rows as text, one a line, in order. Two stores are equal
// when their dumps are.
func (s *Store) Dump() string {
	var b strings.Builder
	s.each(func(key, value string) { fmt.Fprintf(&b, "%q = %q\n", key, value) })
	return b.String()
}

// Write is one write of a Batch.
type Write struct {
	Key     string
	Value   string
	Deleted bool
	Created bool
}

// Batch collects writes. The zero value is empty and ready.
type Batch struct{ Writes []Write }

// Set implements shard.Writer.
func (b *Batch) Set(key, value []byte) {
	b.Writes = append(b.Writes, Write{Key: string(key), Value: string(value)})
}

// Create implements shard.Writer. Commit panics when the row is there.
func (b *Batch) Create(key, value []byte) {
	b.Writes = append(b.Writes, Write{Key: string(key), Value: string(value), Created: true})
}

// Delete implements shard.Writer.
func (b *Batch) Delete(key []byte) {
	b.Writes = append(b.Writes, Write{Key: string(key), Deleted: true})
}
