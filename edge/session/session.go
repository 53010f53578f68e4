package session

import (
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// State is how far a connection has come.
type State uint8

// The states. A session only moves down this list.
const (
	Handshake      State = iota // the socket is open; hello has not come
	Authenticating              // hello came; the token or the user's shard is being asked
	Live                        // welcome was sent
	Draining                    // going_away was sent
	Closed                      // a close was asked for, or the socket is gone
	numStates
)

// Identity is who a verified token names.
type Identity struct {
	User    wire.UserID
	Device  wire.DeviceID // empty when the token names none
	Expires wire.Millis   // when the token expires
}

// Push is a frame that a core pushed, encoded in the session's format.
type Push struct {
	Op    wire.Op // OpNewMessage, OpStatusUpdate or OpTyping
	Chat  wire.ChatID
	Seq   wire.Seq
	Frame []byte
}

// Ask is what is known about a request when its answer comes.
type Ask struct {
	Session     wire.SessionID
	Chat        wire.ChatID
	Tag         uint32
	Node        wire.NodeID // who was asked
	Op          peer.Op
	ClientMsgID []byte // view of the table
}
