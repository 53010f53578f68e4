package wire

import "fmt"

// Code numbers an error. The set is closed and append-only; zero is success.
// Codes 1xxx reach clients, 2xxx stay between the processes of a fleet.
type Code uint16

// OK is the absence of an error.
const OK Code = 0

// Errors about frames. A frame that cannot be read is fatal: what follows it
// cannot be trusted.
const (
	CodeBadFrame         Code = 1001
	CodeFrameTooBig      Code = 1002
	CodeUnknownOp        Code = 1003
	CodeWrongState       Code = 1004
	CodeBadField         Code = 1005
	CodeWrongSubprotocol Code = 1006
	CodeWrongMessageType Code = 1007
	CodeProtocol         Code = 1008
)

// Errors about who is asking.
const (
	CodeUnauthenticated Code = 1101
	CodeTokenInvalid    Code = 1102
	CodeTokenExpired    Code = 1103
	CodeHelloTimeout    Code = 1104
	CodeTokenTooLong    Code = 1105
	CodeOriginRefused   Code = 1106
)

// Errors about what is asked.
const (
	CodeUnknownChat     Code = 1201
	CodeNoRecipient     Code = 1202
	CodeNotMember       Code = 1203
	CodeContentTooBig   Code = 1204
	CodeSelfChat        Code = 1205
	CodeTooManyMembers  Code = 1206
	CodeUnknownMessage  Code = 1207
	CodeBadRequest      Code = 1208
	CodeUnknownResource Code = 1209
	CodeWrongMethod     Code = 1210
)

// Errors about load and the state of the fleet.
const (
	CodeTooFast         Code = 1301
	CodeSlowReader      Code = 1302
	CodeServerFull      Code = 1303
	CodeUnavailable     Code = 1304
	CodeGoingAway       Code = 1305
	CodeHeartbeatMissed Code = 1306
	CodeTooManySessions Code = 1307
	CodeStorage         Code = 1401
	CodeInternal        Code = 1901
)

// Errors between edge and core; a client never sees them.
const (
	CodeNotLeader    Code = 2001 // ask the node in the reply
	CodeWrongShard   Code = 2002 // the shard map of the asker is old
	CodeBadPeerFrame Code = 2003
	CodeUnknownPeer  Code = 2004 // an older version does not know the op
)

// CodeSpec is the table's row for one code.
type CodeSpec struct {
	Code Code
	Name string
	// Close is the WebSocket close code when the error ends the connection,
	// 0 when the connection lives on. 4000-4999 are godwit's own.
	Close uint16
	// HTTP is the status of the same error on REST or at the upgrade.
	HTTP      int
	Retryable bool
	Text      string // what is wrong
	Do        string // what to do about it
}

// Codes is the table of errors, ordered by code. Where several apply, the one
// that stands first in it is reported.
var Codes = [...]CodeSpec{
	{CodeBadFrame, "bad_frame", 1007, 400, false, "the frame cannot be decoded", "send one msgpack array (binary) or one JSON object (text) per WebSocket message, as PROTOCOL.md draws it"},
	{CodeFrameTooBig, "frame_too_big", 1009, 413, false, "the frame is longer than this edge accepts", "keep `content` within `limits.content_bytes` of the welcome; send media by reference"},
	{CodeUnknownOp, "unknown_op", 0, 400, false, "this edge does not know the operation", "check the `type` or op code; the protocol's version is in the subprotocol"},
	{CodeWrongState, "wrong_state", 0, 409, false, "the operation does not fit the state of the connection", "send hello first and wait for welcome; send hello only once"},
	{CodeBadField, "bad_field", 0, 400, false, "a field is missing, too long, reserved or not of its type", "correct the field that the message names"},
	{CodeWrongSubprotocol, "wrong_subprotocol", 0, 400, false, "no subprotocol that this edge speaks was offered", "offer godwit.v1.msgpack or godwit.v1.json in Sec-WebSocket-Protocol"},
	{CodeWrongMessageType, "wrong_message_type", 1003, 400, false, "text and binary messages do not mix on one connection", "send binary with godwit.v1.msgpack and text with godwit.v1.json"},
	{CodeProtocol, "websocket_protocol", 1002, 400, false, "the bytes break RFC 6455", "mask client frames, keep control frames within 125 bytes, set no reserved bits"},

	{CodeUnauthenticated, "unauthenticated", 4101, 401, false, "no token was given", "send Authorization: Bearer on the upgrade, or hello with a `token`"},
	{CodeTokenInvalid, "token_invalid", 4102, 401, false, "the token does not verify", "check the key, the algorithm and the claims `sub` and `exp`; get a new token"},
	{CodeTokenExpired, "token_expired", 4103, 401, false, "the token has expired", "get a new token and reconnect"},
	{CodeHelloTimeout, "hello_timeout", 4104, 408, true, "no hello arrived in time", "send hello as the first frame, at once"},
	{CodeTokenTooLong, "token_too_long", 4105, 400, false, "the token is longer than 4096 bytes", "put fewer claims into the token"},
	{CodeOriginRefused, "origin_refused", 0, 403, false, "pages of this origin may not connect", "add the origin to --allow-origin"},

	{CodeUnknownChat, "unknown_chat", 0, 404, false, "there is no such conversation", "start a direct chat with `to`, or create a group first"},
	{CodeNoRecipient, "no_recipient", 0, 400, false, "the message names no conversation, or two", "set exactly one of `chat_id` and `to`"},
	{CodeNotMember, "not_member", 0, 403, false, "you are not a member of this conversation", "ask a member to add you"},
	{CodeContentTooBig, "content_too_big", 0, 413, false, "the content is over the limit", "keep `content` within `limits.content_bytes` of the welcome; send media by reference"},
	{CodeSelfChat, "self_chat", 0, 400, false, "a direct chat needs another user", "set `to` to somebody else's user id"},
	{CodeTooManyMembers, "too_many_members", 0, 400, false, "the group is over its limit of members", "create it with fewer members"},
	{CodeUnknownMessage, "unknown_message", 0, 404, false, "the conversation has no message of this id", "use a `message_id` that you received"},
	{CodeBadRequest, "bad_request", 0, 400, false, "the request cannot be understood", "compare it with /openapi.json"},
	{CodeUnknownResource, "unknown_resource", 0, 404, false, "there is nothing at this address", "see /openapi.json for what there is"},
	{CodeWrongMethod, "wrong_method", 0, 405, false, "this address does not take the method", "use a method that the header Allow lists"},

	{CodeTooFast, "too_fast", 0, 429, true, "too many operations in too short a time", "wait `retry_after_ms`, then send the same frame again"},
	{CodeSlowReader, "slow_reader", 4302, 503, true, "the connection does not read what is sent to it", "read faster, or reconnect: what was missed is sent again"},
	{CodeServerFull, "server_full", 0, 503, true, "this edge has as many connections as it may hold", "connect to another edge, or later; operators: raise --max-connections and the descriptor limit"},
	{CodeUnavailable, "unavailable", 0, 503, true, "what is needed for this does not answer right now: the leader of a shard, or where the keys of tokens come from", "try again after `retry_after_ms`; the `client_msg_id` keeps a message from counting twice"},
	{CodeGoingAway, "going_away", 1001, 503, true, "this edge is stopping", "reconnect after `reconnect_after_ms`"},
	{CodeHeartbeatMissed, "heartbeat_missed", 4306, 408, true, "nothing was heard for two heartbeats", "ping every `heartbeat_s` seconds; reconnect"},
	{CodeTooManySessions, "too_many_sessions", 4307, 429, true, "the user has as many live sessions as allowed", "close other sessions of this user"},
	{CodeStorage, "storage", 0, 507, true, "the server cannot write to its disk", "retry later; operators: see the log for the disk that is full or failing"},
	{CodeInternal, "internal", 1011, 500, true, "the server met a case it does not know", "retry; if it stays, report it with the server's log"},
}

// SpecOf returns the table's row for c, or nil for OK, 2xxx and unknown codes.
func (c Code) SpecOf() *CodeSpec {
	for i := range Codes {
		if Codes[i].Code == c {
			return &Codes[i]
		}
	}
	return nil
}

// CloseCode returns the WebSocket close code with which the error ends the
// connection, 0 when the connection lives on (and for OK and 2xxx).
func (c Code) CloseCode() uint16 {
	if s := c.SpecOf(); s != nil {
		return s.Close
	}
	return 0
}

// Retryable reports whether the same request may succeed later.
func (c Code) Retryable() bool {
	s := c.SpecOf()
	return s == nil && c != OK || s != nil && s.Retryable
}

// String returns "E1203 not_member".
func (c Code) String() string {
	if s := c.SpecOf(); s != nil {
		return fmt.Sprintf("E%d %s", uint16(c), s.Name)
	}
	return fmt.Sprintf("E%d", uint16(c))
}

// Error makes a Code usable as a Go error: its number, what is wrong and what
// to do.
func (c Code) Error() string {
	if s := c.SpecOf(); s != nil {
		return fmt.Sprintf("E%d: %s; %s", uint16(c), s.Text, s.Do)
	}
	return fmt.Sprintf("E%d", uint16(c))
}

// DecodeError says why a frame was refused. It is a value without allocated
// text, so that hostile frames cost nothing.
type DecodeError struct {
	Code  Code
	Op    Op     // 0 when the frame did not get that far
	Field string // name in the table, "" when no field is to blame
}

// Error returns the code's number, what is wrong with which field, and what to
// do.
func (e DecodeError) Error() string {
	s := e.Code.SpecOf()
	if e.Field == "" || s == nil {
		return e.Code.Error()
	}
	return fmt.Sprintf("E%d: %s: %s of %s; %s", uint16(e.Code), s.Text, e.Field, e.Op, s.Do)
}
