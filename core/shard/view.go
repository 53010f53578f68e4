package shard

// View is the committed rows of one shard. Keys carry no shard prefix. Returned
// slices are valid until the next call on the View, those given to fn until fn
// returns; nobody writes to them.
type View interface {
	// Get returns the row at key, ok = false when there is none.
	Get(key []byte) (value []byte, ok bool, err error)

	// Scan calls fn with the rows lower <= key < upper in order, descending
	// when reverse, until fn returns false. fn makes no call on the View.
	Scan(lower, upper []byte, reverse bool, fn func(key, value []byte) (more bool)) error
}

// Writer collects the writes of Apply, in order. It copies what it is given
// before it returns. The driver commits the writes of an entry atomically,
// together with its index.
type Writer interface {
	Set(key, value []byte)

	// Create is Set for a row that is not there: never written, or deleted
	// since. Of one that is deleted again before the commit nothing need reach
	// the store, which Set and Delete cannot know.
	Create(key, value []byte)

	Delete(key []byte)
}
