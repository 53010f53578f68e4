package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// Kind says what a Command does. Kinds are append-only.
type Kind string

// The kinds, with the fields of Command that each reads beside Kind and AtMS.
const (
	// Create makes the fleet: Cluster, Settings, Nodes (the first control
	// members, with ids of their own choice; may be empty).
	Create Kind = "create"
	// Join takes a node in, or again: Node without Wish, Replaces and JoinedMS,
	// whose ID is the one that its data directory holds, 0 when it never joined;
	// Replace. Answer.ID is its id.
	Join Kind = "join"
	// UpdateNode changes Addrs, Zone and Versions of Node.ID.
	UpdateNode Kind = "update"
	// SetWish changes what is wanted of a node: Node.ID, Node.Wish.
	SetWish Kind = "wish"
	// Forget removes a node that the map does not name any more: Node.ID.
	Forget Kind = "forget"
	// SetMap makes Map, encoded, the map; its epoch must be the next.
	SetMap Kind = "map"
	// StartPlan begins a plan: Why, Moves; Replicas is the new
	// Settings.Replicas, 0 leaves it.
	StartPlan Kind = "plan"
	// Pause stops new steps of the plan, Resume goes on with them and lets plans
	// start by themselves again after an Abort.
	Pause  Kind = "pause"
	Resume Kind = "resume"
	// Abort ends the plan: moves that have not begun are dropped, what a move
	// copies is dropped, and one whose copy has a vote already is finished. No
	// plan starts by itself until Resume, StartPlan or the next SetWish.
	Abort Kind = "abort"
	// FinishMove takes Move off the plan: done, or Dropped, or to be done as
	// Instead.
	FinishMove Kind = "finish"
)

// Command is one change of a State. It is a value in control's log.
type Command struct {
	Kind     Kind         `json:"kind"`
	AtMS     wire.Millis  `json:"at_ms"` // by the clock of the leader that proposes it
	Cluster  string       `json:"cluster,omitempty"`
	Settings *Settings    `json:"settings,omitempty"`
	Nodes    []Node       `json:"nodes,omitempty"`
	Node     *Node        `json:"node,omitempty"`
	Replace  bool         `json:"replace,omitempty"` // Join: take over the name of a node whose disk is gone
	Map      []byte       `json:"map,omitempty"`     // shardmap.Map.Encode
	Why      string       `json:"why,omitempty"`     // SetMap, StartPlan, FinishMove: for people
	Moves    []place.Move `json:"moves,omitempty"`
	Replicas int          `json:"replicas,omitempty"`
	Move     *place.Move  `json:"move,omitempty"`
	Instead  *place.Move  `json:"instead,omitempty"`
	Dropped  bool         `json:"dropped,omitempty"`
}

// Answer is what Apply says of a Command that it took.
type Answer struct {
	ID    wire.NodeID // Join: the node's
	Plan  uint64      // StartPlan: its id
	Epoch uint64      // of the map after it, 0: none
}

// commandV1 is the form of an encoded command:
//
//	version u8 | JSON
//
// It rises when an older version could not do what a command says.
const commandV1 = 1

// Encode returns the encoded form of c.
func (c *Command) Encode() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of numbers and texts always has a JSON form
	}
	return append([]byte{commandV1}, b...)
}

// DecodeCommand reads an encoded command. It fails with ErrNewer when this
// version cannot know what it means, else with ErrCommand.
func DecodeCommand(b []byte) (c Command, err error) {
	switch {
	case len(b) < 2 || b[0] == 0:
		return c, ErrCommand
	case b[0] > commandV1:
		return c, fmt.Errorf("%w (command format %d, this one knows %d)", ErrNewer, b[0], commandV1)
	}
	if err := strict(b[1:], &c); err != nil {
		return Command{}, fmt.Errorf("%w: %w", ErrCommand, err)
	}
	if !c.Kind.known() {
		return Command{}, fmt.Errorf("%w (command %q)", ErrNewer, c.Kind)
	}
	return c, nil
}

func (k Kind) known() bool {
	switch k {
	case Create, Join, UpdateNode, SetWish, Forget, SetMap, StartPlan, Pause, Resume, Abort, FinishMove:
		return true
	}
	return false
}

// strict reads one JSON value into v and nothing else: a field that this
// version does not know would be one that it does not obey.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("%d bytes too many", int64(len(b))-d.InputOffset())
	}
	return nil
}
