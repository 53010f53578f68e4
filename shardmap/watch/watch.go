// Package watch is how a node follows the shard map: a Watcher holds the newest
// map in memory and tells who waits for a newer one, and a File keeps it on
// disk, so that a node starts and works while control is not there.
//
// Maps come from shardmap/control in the same process or from a follower of a
// remote one; both call Publish. A Watcher only goes forward: an older map, or
// the same again, changes nothing.
//
// The package starts no goroutine. Everything in it is safe for concurrent use.
package watch

import (
	"context"
	"sync"

	"github.com/godwit-im/godwit/shardmap"
)

// Watcher holds the newest map known here. The zero value is ready to use and
// holds none.
type Watcher struct {
	mu struct {
		sync.Mutex
		current *shardmap.Map
		changed chan struct{} // closed when current is replaced; nil until asked for
	}
}

// Publish makes m the current map when it is newer than that, and reports
// whether it was.
func (w *Watcher) Publish(m *shardmap.Map) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m == nil || w.mu.current != nil && m.Epoch() <= w.mu.current.Epoch() {
		return false
	}
	w.mu.current = m
	if w.mu.changed != nil {
		close(w.mu.changed)
		w.mu.changed = nil
	}
	return true
}

// Current returns the newest map, or nil when none was published yet.
func (w *Watcher) Current() *shardmap.Map {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.current
}

// Changed returns a channel that is closed when a map newer than the current
// one is published. Take it before Current, so that no change falls between:
//
//	for {
//		changed := w.Changed()
//		use(w.Current())
//		<-changed
//	}
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.changed == nil {
		w.mu.changed = make(chan struct{})
	}
	return w.mu.changed
}

// Wait returns the first map it sees with an epoch above afterEpoch; 0 waits
// for any. It fails only with ctx's error. Maps in between may be skipped.
func (w *Watcher) Wait(ctx context.Context, afterEpoch uint64) (*shardmap.Map, error) {
	for {
		changed := w.Changed()
		if m := w.Current(); m != nil && m.Epoch() > afterEpoch {
			return m, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
