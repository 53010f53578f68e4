package control

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/watch"
)

// A command in the log:
//
//	version u8 | kind u8 | encoded map (kind 1) or fleet.Command (kind 2)
//
// Kinds are append-only. A group without a fleet, as in `serve`, writes kind 1
// alone.
const (
	commandV1 = 1
	kindSet   = 1 // the map becomes this one when its epoch follows
	kindFleet = 2 // the state becomes what fleet.Apply makes of it
	headLen   = 2
)

// fleetMagic begins a snapshot that is an encoded fleet.State. A snapshot of a
// group without a fleet is an encoded map, or empty.
const fleetMagic = "gwfl"

var errUnknownCommand = errors.New("control: the log holds a change that this version does not know: upgrade this member")

func encodeSet(m *shardmap.Map) []byte {
	return append([]byte{commandV1, kindSet}, m.Encode()...)
}

func encodeFleet(c *fleet.Command) []byte {
	return append([]byte{commandV1, kindFleet}, c.Encode()...)
}

// entry is a decoded command: one of the two.
type entry struct {
	set   *shardmap.Map
	fleet fleet.Command
}

func decodeCommand(b []byte) (e entry, err error) {
	if len(b) < headLen {
		return e, shardmap.ErrCorrupt
	}
	switch {
	case b[0] == commandV1 && b[1] == kindSet:
		e.set, err = shardmap.Decode(b[headLen:])
	case b[0] == commandV1 && b[1] == kindFleet:
		e.fleet, err = fleet.DecodeCommand(b[headLen:])
	default:
		err = fmt.Errorf("%w (version %d, kind %d)", errUnknownCommand, b[0], b[1])
	}
	return e, err
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
		state  *fleet.State // never changed, only replaced: whoever got it may keep it
		broken error        // set once
	}
}

func newFSM(w *watch.Watcher, log *slog.Logger) *fsm {
	f := &fsm{watcher: w, log: log}
	f.mu.state = new(fleet.State)
	return f
}

func (f *fsm) broken() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.broken
}

// state returns the state, which is not to be changed.
func (f *fsm) state() *fleet.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.state
}

// applied is what Apply returns: an answer, or why there is none.
type applied struct {
	answer fleet.Answer
	err    error
}

// Apply implements raft.FSM; it returns an applied.
func (f *fsm) Apply(l *raft.Log) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.broken != nil {
		return applied{err: f.mu.broken}
	}
	e, err := decodeCommand(l.Data)
	if err != nil {
		f.mu.broken = fmt.Errorf("control: log entry %d: %w", l.Index, err)
		f.log.Error("this control member has stopped following its group", "err", f.mu.broken)
		return applied{err: f.mu.broken}
	}
	next := f.mu.state.Clone()
	if e.set != nil {
		if have := epoch(next.Map); e.set.Epoch() != have+1 {
			return applied{err: &ConflictError{Have: have, Proposed: e.set.Epoch()}}
		}
		next.Map = e.set
		f.become(next)
		return applied{answer: fleet.Answer{Epoch: e.set.Epoch()}}
	}
	answer, err := fleet.Apply(next, e.fleet)
	if err == nil {
		f.become(next)
		f.log.Debug("fleet changed", "kind", e.fleet.Kind, "why", e.fleet.Why)
	}
	return applied{answer, err}
}

func epoch(m *shardmap.Map) uint64 {
	if m == nil {
		return 0
	}
	return m.Epoch()
}

// become makes next the state and publishes its map when it is newer. f.mu is
// held.
func (f *fsm) become(next *fleet.State) {
	was, is := f.mu.state.Map, next.Map
	f.mu.state = next
	if is == nil || epoch(was) == is.Epoch() {
		return
	}
	if was != nil {
		f.log.Info("shard map changed", "epoch", is.Epoch(), "changes", shardmap.Diff(was, is))
	} else {
		f.log.Info("shard map", "epoch", is.Epoch(), "shards", len(is.Shards()), "nodes", len(is.Nodes()))
	}
	f.watcher.Publish(is)
}

// Snapshot implements raft.FSM.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.mu.state
	switch {
	case f.mu.broken != nil:
		return nil, f.mu.broken // its state is not that of the log's end
	case s.Cluster != "":
		return snapshot(s.Encode()), nil
	case s.Map != nil:
		return snapshot(s.Map.Encode()), nil
	}
	return snapshot(nil), nil
}

// Restore implements raft.FSM. An empty snapshot is that of a group that has no
// map yet.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, fleet.MaxEncoded+1))
	if err != nil {
		return fmt.Errorf("control: read snapshot: %w", err)
	}
	next := new(fleet.State)
	switch {
	case len(b) == 0:
	case bytes.HasPrefix(b, []byte(fleetMagic)):
		next, err = fleet.Decode(b)
	default:
		next.Map, err = shardmap.Decode(b)
	}
	if err != nil {
		return fmt.Errorf("control: snapshot: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.become(next)
	return nil
}

// snapshot is an encoded state on its way into a snapshot.
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
