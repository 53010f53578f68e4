package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	sm "github.com/lni/dragonboat/v4/statemachine"

	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/core/store"
)

// A command in the log is
//
//	+-----------+------------+------------------------------+
//	| run u64le | number u64 | entry, as core/shard has it  |
//	+-----------+------------+------------------------------+
//
// where run names the replica's life that proposed it, so that it recognises
// its own.
const commandHead = 16

// machine is the state machine that dragonboat drives: the shard machine over
// the node's store. dragonboat calls its methods one at a time.
//
// What was applied is committed to the store at once while there is little to
// do, and together with what follows while there is much: the rows of a
// message are rewritten several times within milliseconds. Until then it is
// in the Raft log and in the shard machine's memory. Whoever reads the store
// calls settle first.
type machine struct {
	r *replica
	// checked is closed once the log is known to hold what the store has; Raft
	// takes no part before.
	checked chan struct{}

	mu      sync.Mutex
	shard   *shard.Machine
	view    *store.View
	batch   *store.Batch
	index   uint64          // of the last entry applied
	dirty   bool            // the batch holds what the store has not
	settled time.Time       // when it was last committed
	outs    []shard.Outcome // one per entry of an Update, reused

	at      atomic.Uint64 // index of the last entry applied, for who looks on
	pending atomic.Int64  // bytes applied since the last snapshot was asked for
	entries atomic.Int64
}

// Open implements sm.IOnDiskStateMachine. Until it returns dragonboat neither
// votes nor writes to the log, so that a log that is refused stays as it was
// found.
func (m *machine) Open(stop <-chan struct{}) (uint64, error) {
	select {
	case <-m.checked:
	case <-stop:
		return 0, sm.ErrOpenStopped
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shard = shard.New(m.r.id)
	m.view = m.r.node.store.NewView(m.r.id)
	m.batch = m.r.node.store.NewBatch(m.r.id)
	applied, err := m.r.node.store.Applied(m.r.id)
	m.at.Store(applied)
	return applied, err
}

// Update implements sm.IOnDiskStateMachine. It never returns an error, which
// would end the process: a replica whose store fails stops taking part.
func (m *machine) Update(entries []sm.Entry) ([]sm.Entry, error) {
	if m.r.failed.Load() {
		return entries, nil
	}
	for len(m.outs) < len(entries) {
		m.outs = append(m.outs, shard.Outcome{})
	}
	if err := m.apply(entries); err != nil {
		m.r.fail(err)
		return entries, nil
	}
	t := m.r.node.turn()
	bytes := 0
	for i := range entries {
		cmd := entries[i].Cmd
		bytes += len(cmd)
		m.r.applied(binary.LittleEndian.Uint64(cmd), binary.LittleEndian.Uint64(cmd[8:]), &m.outs[i], t)
		entries[i].Result = sm.Result{Value: 1}
	}
	m.pending.Add(int64(bytes))
	m.entries.Add(int64(len(entries)))
	m.r.node.flush(t)
	m.r.sendLanes()
	return entries, nil
}

// apply applies the entries. After an error the batch holds a part of one, and
// the machine remembers it: both are forgotten, so that whoever settles later
// commits no such thing. The log has what was not committed.
func (m *machine) apply(entries []sm.Entry) (err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() {
		if err != nil {
			m.forget()
		}
	}()
	for i := range entries {
		cmd := entries[i].Cmd
		if len(cmd) < commandHead {
			return fmt.Errorf("%w: %d bytes", shard.ErrEntry, len(cmd))
		}
		if err = m.shard.Apply(m.view, m.batch, cmd[commandHead:], &m.outs[i]); err != nil {
			return err
		}
	}
	m.index, m.dirty = entries[len(entries)-1].Index, true
	m.at.Store(m.index)
	if m.batch.Len() < unsettledBytes && time.Since(m.settled) < unsettledFor {
		return nil // the next tick settles it at the latest
	}
	return m.commit()
}

// settle commits what was applied, so that a View shows it.
func (m *machine) settle() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirty {
		return nil
	}
	return m.commit()
}

// settleOld is settle for what has waited long enough. It leaves an apply
// alone that is under way.
func (m *machine) settleOld() error {
	if !m.mu.TryLock() {
		return nil
	}
	defer m.mu.Unlock()
	if !m.dirty || time.Since(m.settled) < unsettledFor {
		return nil
	}
	return m.commit()
}

// commit commits the batch. m.mu is held.
func (m *machine) commit() error {
	if err := m.batch.Commit(m.index); err != nil {
		return err
	}
	m.shard.Committed()
	m.dirty, m.settled = false, time.Now()
	return nil
}

// forget drops what was applied and not committed. m.mu is held.
func (m *machine) forget() {
	m.batch.Reset()
	m.shard.Reset()
	m.dirty = false
}

// Lookup implements sm.IOnDiskStateMachine. Nobody calls it: readers go to the
// store directly, after settle.
func (m *machine) Lookup(any) (any, error) { return nil, errors.ErrUnsupported }

// Sync implements sm.IOnDiskStateMachine. dragonboat asks before it removes a
// part of the log, which a replica that has failed still needs.
func (m *machine) Sync() error {
	if m.r.failed.Load() {
		return sm.ErrSnapshotAborted
	}
	err := m.settle()
	if err == nil {
		err = m.r.node.store.Sync()
	}
	if err != nil {
		m.r.fail(err)
		return sm.ErrSnapshotAborted
	}
	return nil
}

// PrepareSnapshot implements sm.IOnDiskStateMachine.
func (m *machine) PrepareSnapshot() (any, error) {
	if m.r.failed.Load() {
		return nil, sm.ErrSnapshotAborted
	}
	if err := m.settle(); err != nil {
		m.r.fail(err)
		return nil, sm.ErrSnapshotAborted
	}
	return m.r.node.store.NewSnapshot(m.r.id), nil
}

// SaveSnapshot implements sm.IOnDiskStateMachine.
func (m *machine) SaveSnapshot(at any, w io.Writer, stop <-chan struct{}) error {
	snap := at.(*store.Snapshot)
	defer snap.Close()
	err := snap.WriteTo(w, stop)
	if errors.Is(err, store.ErrStopped) {
		return sm.ErrSnapshotStopped
	}
	return err
}

// RecoverFromSnapshot implements sm.IOnDiskStateMachine. Like Update it returns
// no error that would end the process: the replica stops taking part.
func (m *machine) RecoverFromSnapshot(r io.Reader, stop <-chan struct{}) error {
	err := m.recoverFrom(r, stop)
	if err == nil {
		return nil
	}
	if !errors.Is(err, store.ErrStopped) {
		m.r.fail(fmt.Errorf("core: taking over a snapshot: %w", err))
		<-stop // dragonboat would go on with the entries behind the snapshot
	}
	return sm.ErrSnapshotStopped
}

func (m *machine) recoverFrom(r io.Reader, stop <-chan struct{}) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	applied, err := m.r.node.store.Recover(m.r.id, r, stop)
	if err == nil {
		m.at.Store(applied)
	}
	return err
}

// Close implements sm.IOnDiskStateMachine.
func (m *machine) Close() error {
	if err := m.settle(); err != nil {
		m.r.node.log.Debug("core: closing", "shard", m.r.id, "err", err) // the log has it
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.batch != nil { // nil when the log was refused
		m.batch.Close()
	}
	return nil
}
