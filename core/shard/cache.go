package shard

// cache keeps rows of one table decoded. It is the overlay too: a row that
// changed since the last commit is pinned, because the View does not have it
// yet. So a row that is not cached may be read from the View.
//
// The eviction is CLOCK. It may only decide what is read again, never what is
// written: nothing here depends on map order.
type cache[T any] struct {
	nodes map[string]*node[T]
	ring  []*node[T]
	hand  int
	max   int
	epoch uint64 // commits so far, from 1

	changed []*node[T] // by this Apply, in the order of their first change
	pinned  []*node[T] // since the last commit
}

// node is one row, keyed as in the store. It stays valid for whoever holds it
// until the next add to the cache.
type node[T any] struct {
	key   string
	row   T
	epoch uint64 // pinned while it is the cache's
	used  bool
	dirty bool // in cache.changed
}

// Probes of the clock's hand for one row that has to go. When all are in use
// the cache grows by one and shrinks again at the next commit.
const clockProbes = 8

func newCache[T any](size int) cache[T] {
	return cache[T]{nodes: make(map[string]*node[T]), max: size, epoch: 1}
}

// find returns the row with key, or nil.
func (c *cache[T]) find(key []byte) *node[T] {
	n := c.nodes[string(key)]
	if n != nil {
		n.used = true
	}
	return n
}

// add makes room and returns a zero row with key, which is not in the cache.
func (c *cache[T]) add(key []byte) *node[T] {
	n := &node[T]{key: string(key), used: true}
	c.nodes[n.key] = n
	if len(c.ring) >= c.max {
		for range min(clockProbes, len(c.ring)) {
			if c.evict(n) {
				return n
			}
		}
	}
	c.ring = append(c.ring, n)
	return n
}

// evict moves the hand by one row and puts n in its place if it may go.
func (c *cache[T]) evict(n *node[T]) bool {
	c.hand++
	if c.hand >= len(c.ring) {
		c.hand = 0
	}
	old := c.ring[c.hand]
	if old.epoch == c.epoch {
		return false
	}
	if old.used {
		old.used = false
		return false
	}
	delete(c.nodes, old.key)
	c.ring[c.hand] = n
	return true
}

// pin keeps n until the next commit.
func (c *cache[T]) pin(n *node[T]) {
	if n.epoch != c.epoch {
		n.epoch = c.epoch
		c.pinned = append(c.pinned, n)
	}
}

// change pins n and has it written at the end of this Apply.
func (c *cache[T]) change(n *node[T]) {
	c.pin(n)
	if !n.dirty {
		n.dirty = true
		c.changed = append(c.changed, n)
	}
}

// flush calls write for each changed row.
func (c *cache[T]) flush(write func(*node[T])) {
	for i, n := range c.changed {
		write(n)
		n.dirty = false
		c.changed[i] = nil
	}
	c.changed = c.changed[:0]
}

// committed unpins everything and drops what is over the cache's size.
func (c *cache[T]) committed() {
	c.epoch++
	clear(c.pinned)
	c.pinned = c.pinned[:0]
	for len(c.ring) > c.max {
		end := len(c.ring) - 1
		delete(c.nodes, c.ring[end].key)
		c.ring[end] = nil
		c.ring = c.ring[:end]
	}
}

// reset forgets all rows.
func (c *cache[T]) reset() { *c = newCache[T](c.max) }
