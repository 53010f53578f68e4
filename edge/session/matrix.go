package session

import "github.com/godwit-im/godwit/wire"

// decision is what happens to an operation in a state.
type decision uint8

const (
	wrongState decision = iota // answered with CodeWrongState; the connection lives on
	take                       // handled
	goingAway                  // answered with CodeGoingAway: to be sent elsewhere
	ignore                     // not answered
)

// matrix is the decision for every state and operation. What is not written
// here is wrongState, above all the operations that only an edge may send.
var matrix = [numStates][len(wire.Ops) + 1]decision{
	Handshake: {
		wire.OpHello: take,
		wire.OpPing:  take,
		wire.OpPong:  take,
	},
	Authenticating: {
		wire.OpPing: take,
		wire.OpPong: take,
	},
	Live: {
		wire.OpSendMessage:  take,
		wire.OpAckDelivered: take,
		wire.OpAckRead:      take,
		wire.OpTyping:       take,
		wire.OpPing:         take,
		wire.OpPong:         take,
	},
	// A send would be stored, but its ack might not find the client any more.
	// Receipts only help: what they cover is not sent again elsewhere.
	Draining: {
		wire.OpSendMessage:  goingAway,
		wire.OpAckDelivered: take,
		wire.OpAckRead:      take,
		wire.OpTyping:       ignore,
		wire.OpPing:         take,
		wire.OpPong:         take,
	},
	Closed: {
		wire.OpHello:        ignore,
		wire.OpWelcome:      ignore,
		wire.OpSendMessage:  ignore,
		wire.OpAckSent:      ignore,
		wire.OpNewMessage:   ignore,
		wire.OpAckDelivered: ignore,
		wire.OpAckRead:      ignore,
		wire.OpStatusUpdate: ignore,
		wire.OpTyping:       ignore,
		wire.OpPing:         ignore,
		wire.OpPong:         ignore,
		wire.OpError:        ignore,
		wire.OpGoingAway:    ignore,
		wire.OpSynced:       ignore,
	},
}

func decide(s State, op wire.Op) decision { return matrix[s][op] }

// String returns the state's name in lower case.
func (s State) String() string {
	names := [numStates]string{"handshake", "authenticating", "live", "draining", "closed"}
	if s < numStates {
		return names[s]
	}
	return "unknown state"
}
