package sim

import (
	"time"

	"github.com/zeebo/xxh3"

	"github.com/godwit-im/godwit/core/shard/shardtest"
	"github.com/godwit-im/godwit/wire"
)

// disk is what a core node keeps across a crash: per shard a Raft log and a
// store. What was written and not synced may be gone afterwards.
type disk struct {
	e      *engine
	busy   bool          // a sync is under way
	next   []func()      // who waits for the one after it
	slow   time.Duration // added to each sync
	shards map[wire.ShardID]*shelf
}

// shelf is one shard's part of a disk.
type shelf struct {
	log   raftLog
	store *store
}

func newDisk(e *engine) *disk { return &disk{e: e, shards: map[wire.ShardID]*shelf{}} }

func (d *disk) shelf(id wire.ShardID) *shelf {
	s := d.shards[id]
	if s == nil {
		s = &shelf{store: newStore()}
		d.shards[id] = s
	}
	return s
}

// sync calls done, on p, once what was written before is on disk. What asks
// while a sync is under way shares the next one.
func (d *disk) sync(p *proc, done func()) {
	d.next = append(d.next, done)
	if len(d.next) == 1 && !d.busy {
		d.begin(p)
	}
}

func (d *disk) begin(p *proc) {
	batch := d.next
	d.next, d.busy = nil, true
	p.after(d.e.between(150*us, 700*us)+d.slow, func() {
		d.busy = false
		for _, done := range batch {
			done()
		}
		if len(d.next) > 0 && !d.busy {
			d.begin(p)
		}
	})
}

// crash loses what was not synced: all of it, or a part that ends anywhere.
func (d *disk) crash(ids []wire.ShardID, all bool) {
	d.busy, d.next = false, nil
	for _, id := range ids {
		if s := d.shards[id]; s != nil {
			s.log.crash(d.e, all)
			s.store.crash(d.e, all)
		}
	}
}

// store is the rows of one replica. What was committed since the last sync can
// be taken back.
type store struct {
	rows    *shardtest.Store
	applied uint64 // index of the last entry in the rows
	digest  uint64 // of everything that was written, entry by entry
	synced  uint64 // applied at the last sync
	undo    []commit
}

// commit is how to take back one commit.
type commit struct {
	applied, digest uint64 // before it
	was             []shardtest.Write
}

func newStore() *store { return &store{rows: shardtest.NewStore()} }

// commit puts b into the rows, which are as of entry applied then.
func (s *store) commit(b *shardtest.Batch, applied, digest uint64) {
	c := commit{applied: s.applied, digest: s.digest, was: make([]shardtest.Write, 0, len(b.Writes))}
	for i := range b.Writes {
		key := b.Writes[i].Key
		v, ok, _ := s.rows.Get([]byte(key))
		c.was = append(c.was, shardtest.Write{Key: key, Value: string(v), Deleted: !ok})
	}
	// Of the writes of one key only the first undo is the row as it was.
	s.rows.Commit(b)
	s.applied, s.digest = applied, digest
	s.undo = append(s.undo, c)
}

// sync says that everything up to entry index is on disk.
func (s *store) sync(index uint64) {
	s.synced = max(s.synced, index)
	n := 0
	for n < len(s.undo) && s.after(n) <= s.synced {
		n++
	}
	s.undo = append([]commit(nil), s.undo[n:]...)
}

// after returns what was applied with commit i.
func (s *store) after(i int) uint64 {
	if i+1 < len(s.undo) {
		return s.undo[i+1].applied
	}
	return s.applied
}

func (s *store) crash(e *engine, all bool) {
	keep := 0
	if !all && len(s.undo) > 0 {
		keep = e.rnd.IntN(len(s.undo) + 1)
	}
	for i := len(s.undo) - 1; i >= keep; i-- {
		c := &s.undo[i]
		b := shardtest.Batch{Writes: c.was}
		for l, r := 0, len(b.Writes)-1; l < r; l, r = l+1, r-1 {
			b.Writes[l], b.Writes[r] = b.Writes[r], b.Writes[l]
		}
		s.rows.Commit(&b)
		s.applied, s.digest = c.applied, c.digest
	}
	s.undo = nil
	s.synced = s.applied
}

// image is a snapshot of a store.
type image struct {
	rows            *shardtest.Store
	applied, digest uint64
}

func (s *store) image() image { return image{s.rows.Clone(), s.applied, s.digest} }

// install replaces everything, durably.
func (s *store) install(im image) {
	s.rows, s.applied, s.digest, s.synced, s.undo = im.rows.Clone(), im.applied, im.digest, im.applied, nil
}

// tape collects the writes of entries and hashes them as they come.
type tape struct {
	shardtest.Batch
	digest uint64
	key    []byte
}

func (t *tape) note(kind byte, key, value []byte) {
	t.key = append(append(append(t.key[:0], kind), key...), value...)
	t.digest = (t.digest ^ xxh3.Hash(t.key)) * 0x9e3779b97f4a7c15
}

// Set implements shard.Writer.
func (t *tape) Set(key, value []byte) { t.note('s', key, value); t.Batch.Set(key, value) }

// Create implements shard.Writer. A row that an earlier entry of the batch
// deleted may be created again, which the store checks.
func (t *tape) Create(key, value []byte) { t.note('s', key, value); t.Batch.Create(key, value) }

// Delete implements shard.Writer.
func (t *tape) Delete(key []byte) { t.note('d', key, nil); t.Batch.Delete(key) }
