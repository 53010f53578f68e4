package shard

import "github.com/godwit-im/godwit/wire"

// Machine applies the entries of one shard. It belongs to one goroutine.
type Machine struct {
	id wire.ShardID
}

// New returns the machine of shard id.
func New(id wire.ShardID) *Machine { return &Machine{id: id} }

// Apply carries out the items of entry against the rows in v plus what earlier
// Applies since Committed wrote, sends its writes to w and overwrites out.
//
// A bad request is a Result with a code. An error means that the store failed
// or that the entry cannot be read (ErrEntry); the machine is then of no use
// and the replica has to stop.
func (m *Machine) Apply(v View, w Writer, entry []byte, out *Outcome) error { return nil }

// Committed tells the machine that the writes of all Applies so far are in the
// View that the next Apply gets. It lets go of what it kept because of them.
func (m *Machine) Committed() {}

// Reset makes the machine forget everything it remembers of the rows, because
// they were replaced (after a snapshot was recovered) or writes were dropped.
func (m *Machine) Reset() {}
