package control

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/watch"
)

// A command in the log:
//
//	version u8 | kind u8 | encoded map
//
// Kinds are append-only.
const (
	commandV1 = 1
	kindSet   = 1 // the map becomes this one when its epoch follows
	headLen   = 2
)

var errUnknownCommand = errors.New("control: the log holds a change that this version does not know: upgrade this member")

func encodeSet(m *shardmap.Map) []byte {
	return append([]byte{commandV1, kindSet}, m.Encode()...)
}

func decodeCommand(b []byte) (*shardmap.Map, error) {
	if len(b) < headLen {
		return nil, shardmap.ErrCorrupt
	}
	if b[0] != commandV1 || b[1] != kindSet {
		return nil, fmt.Errorf("%w (version %d, kind %d)", errUnknownCommand, b[0], b[1])
	}
	return shardmap.Decode(b[headLen:])
}

// fsm is what the log is applied to. raft calls Apply, Snapshot and Restore
// from one goroutine.
//
// A member that meets an entry it cannot read must not go on, for the others
// may have taken it: from then on it applies nothing, publishes nothing and
// says why in every answer.
type fsm struct {
	watcher *watch.Watcher
	log     *slog.Logger

	mu struct {
		sync.Mutex
		current *shardmap.Map
		broken  error // set once
	}
}

func newFSM(w *watch.Watcher, log *slog.Logger) *fsm { return &fsm{watcher: w, log: log} }

func (f *fsm) broken() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.broken
}

// Apply returns nil or an error, which Propose returns.
func (f *fsm) Apply(l *raft.Log) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.broken != nil {
		return f.mu.broken
	}
	next, err := decodeCommand(l.Data)
	if err != nil {
		f.mu.broken = fmt.Errorf("control: log entry %d: %w", l.Index, err)
		f.log.Error("this control member has stopped following the map", "err", f.mu.broken)
		return f.mu.broken
	}
	var have uint64
	if f.mu.current != nil {
		have = f.mu.current.Epoch()
	}
	if next.Epoch() != have+1 {
		return &ConflictError{Have: have, Proposed: next.Epoch()}
	}
	f.set(next)
	return nil
}

// set makes m the current map. f.mu is held.
func (f *fsm) set(m *shardmap.Map) {
	if f.mu.current != nil {
		f.log.Info("shard map changed", "epoch", m.Epoch(), "changes", shardmap.Diff(f.mu.current, m))
	} else {
		f.log.Info("shard map", "epoch", m.Epoch(), "shards", len(m.Shards()), "nodes", len(m.Nodes()))
	}
	f.mu.current = m
	f.watcher.Publish(m)
}

// Snapshot implements raft.FSM.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.broken != nil {
		return nil, f.mu.broken // its state is not that of the log's end
	}
	if f.mu.current == nil {
		return snapshot(nil), nil
	}
	return snapshot(f.mu.current.Encode()), nil
}

// Restore implements raft.FSM. An empty snapshot is that of a group that has no
// map yet.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, shardmap.MaxEncoded+1))
	if err != nil {
		return fmt.Errorf("control: read snapshot: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(b) == 0 {
		f.mu.current = nil
		return nil
	}
	m, err := shardmap.Decode(b)
	if err != nil {
		return fmt.Errorf("control: snapshot: %w", err)
	}
	f.set(m)
	return nil
}

// snapshot is an encoded map on its way into a snapshot.
type snapshot []byte

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s snapshot) Release() {}
