package wire

// Op is the code of an operation: the first element of a binary frame.
type Op uint8

// The operations between client and edge. Codes are append-only; retired ones
// stay reserved.
const (
	OpHello        Op = 1
	OpWelcome      Op = 2
	OpSendMessage  Op = 3
	OpAckSent      Op = 4
	OpNewMessage   Op = 5
	OpAckDelivered Op = 6
	OpAckRead      Op = 7
	OpStatusUpdate Op = 8
	OpTyping       Op = 9
	OpPing         Op = 10
	OpPong         Op = 11
	OpError        Op = 12
	OpGoingAway    Op = 13
	OpSynced       Op = 14
)

// Direction says who may send an operation.
type Direction uint8

// Directions combine: Both is ToEdge|ToClient.
const (
	ToEdge Direction = 1 << iota
	ToClient
	Both = ToEdge | ToClient
)

// Type is the form of a field on the wire.
type Type uint8

// The types of fields, with their binary and text forms.
const (
	TypeText   Type = iota // str; JSON string
	TypeID                 // str that is a ValidID; JSON string
	TypeBytes              // bin; JSON string, or NAME_b64 when not UTF-8
	TypeChat               // bin of 16 bytes; JSON text form
	TypeUint               // uint; JSON number
	TypeBool               // bool
	TypeStatus             // uint; JSON stored|delivered|read|failed
	TypeTyping             // uint; JSON start|stop
	TypeLimits             // array of uint; JSON object
)

// Field describes one field of an operation. Its place in OpSpec.Fields plus
// one is its place in the binary array.
type Field struct {
	Name     string // JSON name
	Type     Type
	Required bool
	// Max is the most bytes of a TypeText, TypeID or TypeBytes, or the
	// greatest value of a number; zero where the type itself is the bound.
	Max uint64
	// Min is the least value of a required number. In an optional field zero
	// and the empty string are the same as absence, whatever Min says.
	Min uint64
	Doc string

	member member // where it lives in a Frame
}

// OpSpec describes one operation.
type OpSpec struct {
	Op   Op
	Name string // JSON `type`
	Dir  Direction
	// Droppable operations are hints: shed first when a queue is full.
	Droppable bool
	Since     int // protocol version
	Fields    []Field
	Doc       string
}

// MaxSeq is the greatest sequence number or cursor: what JavaScript's numbers
// hold exactly.
const MaxSeq = 1<<53 - 1

// Version is the protocol version that this table describes.
const Version = 1

// The fields that several operations share.
var (
	fChat     = Field{Name: "chat_id", Type: TypeChat, Required: true, member: mChat, Doc: "the conversation"}
	fDevice   = Field{Name: "device", Type: TypeID, Max: MaxID, member: mDevice, Doc: "names this device when the token does not; \"default\" when neither does"}
	fCursor   = Field{Name: "cursor", Type: TypeUint, Max: MaxSeq, member: mCursor, Doc: "a point in the user's change counter"}
	fContent  = Field{Name: "content", Type: TypeBytes, Required: true, Max: MaxContentCeiling, member: mContent, Doc: "opaque to the server"}
	fCMID     = Field{Name: "client_msg_id", Type: TypeID, Required: true, Max: MaxID, member: mClientMsgID, Doc: "the sender's name for the message; a retry repeats it"}
	fCMIDOpt  = Field{Name: "client_msg_id", Type: TypeID, Max: MaxID, member: mClientMsgID, Doc: "the sender's name for the message"}
	fKind     = Field{Name: "kind", Type: TypeText, Max: MaxKind, member: mKind, Doc: "text (when absent), image, video, voice, document or the application's own"}
	fSeq      = Field{Name: "message_id", Type: TypeUint, Required: true, Min: 1, Max: MaxSeq, member: mSeq, Doc: "the gapless sequence number in the conversation"}
	fUser     = Field{Name: "user_id", Type: TypeID, Required: true, Max: MaxID, member: mUser, Doc: "the user concerned"}
	fUserOpt  = Field{Name: "user_id", Type: TypeID, Max: MaxID, member: mUser, Doc: "who is typing; set by the server"}
	fAt       = Field{Name: "created_at", Type: TypeUint, Required: true, Max: MaxSeq, member: mAt, Doc: "milliseconds since 1970, by the server's clock"}
	fReplyTo  = Field{Name: "reply_to", Type: TypeUint, Max: MaxSeq, member: mReplyTo, Doc: "message_id in the same conversation"}
	fDeviceID = Field{Name: "device_id", Type: TypeID, Required: true, Max: MaxID, member: mDevice, Doc: "the device this session belongs to"}
)

// Ops is the table, ordered by code. It is immutable.
var Ops = [...]OpSpec{
	{Op: OpHello, Name: "hello", Dir: ToEdge, Since: 1, Doc: "first frame of a session", Fields: []Field{
		{Name: "token", Type: TypeText, Max: MaxToken, member: mToken, Doc: "JWT, unless the upgrade carried one"},
		fDevice, fCursor}},
	{Op: OpWelcome, Name: "welcome", Dir: ToClient, Since: 1, Doc: "the session is live; what was missed follows, then synced", Fields: []Field{
		fUser, fDeviceID, fCursor,
		{Name: "heartbeat_s", Type: TypeUint, Required: true, Min: 1, Max: 3600, member: mHeartbeat, Doc: "ping this often; silence for twice as long ends the session"},
		{Name: "limits", Type: TypeLimits, Required: true, member: mLimits, Doc: "what this edge enforces"}}},
	{Op: OpSendMessage, Name: "send_message", Dir: ToEdge, Since: 1, Doc: "append to a conversation: chat_id, or to for the direct chat with a user", Fields: []Field{
		{Name: "chat_id", Type: TypeChat, member: mChat, Doc: "the conversation"},
		{Name: "to", Type: TypeID, Max: MaxID, member: mTo, Doc: "the other user of a direct chat"},
		fContent, fCMID, fKind, fReplyTo}},
	{Op: OpAckSent, Name: "ack_sent", Dir: ToClient, Since: 1, Doc: "stored: fsynced on a majority of replicas, with its final message_id", Fields: []Field{
		fCMID, fChat, fSeq, fAt}},
	{Op: OpNewMessage, Name: "new_message", Dir: ToClient, Since: 1, Doc: "an entry of a conversation's log", Fields: []Field{
		fChat, fSeq,
		{Name: "sender_id", Type: TypeID, Required: true, Max: MaxID, member: mUser, Doc: "who sent it"},
		fContent, fKind, fAt, fCMIDOpt, fReplyTo}},
	{Op: OpAckDelivered, Name: "ack_delivered", Dir: ToEdge, Since: 1, Doc: "this device has everything up to and including message_id", Fields: []Field{
		fChat, fSeq}},
	{Op: OpAckRead, Name: "ack_read", Dir: ToEdge, Since: 1, Doc: "the user has read everything up to and including", Fields: []Field{
		fChat,
		{Name: "last_read_message_id", Type: TypeUint, Required: true, Min: 1, Max: MaxSeq, member: mSeq, Doc: "the newest message read"}}},
	{Op: OpStatusUpdate, Name: "status_update", Dir: ToClient, Since: 1, Doc: "a member's cursor moved; it covers everything up to message_id", Fields: []Field{
		fChat, fSeq, fUser,
		{Name: "status", Type: TypeStatus, Required: true, Min: 1, Max: uint64(StatusFailed), member: mStatus, Doc: "the new state"}}},
	{Op: OpTyping, Name: "typing", Dir: Both, Droppable: true, Since: 1, Doc: "never stored; shown for five seconds", Fields: []Field{
		fChat,
		{Name: "state", Type: TypeTyping, Required: true, Min: 1, Max: uint64(TypingStop), member: mTyping, Doc: "start or stop"},
		fUserOpt}},
	{Op: OpPing, Name: "ping", Dir: Both, Since: 1, Doc: "heartbeat; the other end answers pong"},
	{Op: OpPong, Name: "pong", Dir: Both, Since: 1, Doc: "answers ping"},
	{Op: OpError, Name: "error", Dir: ToClient, Since: 1, Doc: "what is wrong, what to do, and with which frame; a close follows when it is fatal", Fields: []Field{
		{Name: "code", Type: TypeUint, Required: true, Min: 1, Max: 9999, member: mCode, Doc: "see the table of errors"},
		{Name: "message", Type: TypeText, Required: true, Max: MaxErrorText, member: mMessage, Doc: "what is wrong, for a person"},
		{Name: "retryable", Type: TypeBool, member: mRetryable, Doc: "the same frame may succeed later"},
		{Name: "retry_after_ms", Type: TypeUint, Max: MaxSeq, member: mRetryAfter, Doc: "not before this"},
		fCMIDOpt,
		{Name: "advice", Type: TypeText, Max: MaxErrorText, member: mAdvice, Doc: "what to do about it, for a person"},
		{Name: "op", Type: TypeText, Max: MaxOpName, member: mRefused, Doc: "the name of the operation that is refused"},
		{Name: "chat_id", Type: TypeChat, member: mChat, Doc: "the conversation that the refused frame is about, when it named one"}}},
	{Op: OpGoingAway, Name: "going_away", Dir: ToClient, Since: 1, Doc: "this edge is leaving; reconnect elsewhere", Fields: []Field{
		{Name: "reconnect_after_ms", Type: TypeUint, Required: true, Max: MaxSeq, member: mRetryAfter, Doc: "wait this long first"}}},
	{Op: OpSynced, Name: "synced", Dir: ToClient, Since: 1, Doc: "everything missed up to cursor has been sent; keep it for the next hello", Fields: []Field{
		{Name: "cursor", Type: TypeUint, Required: true, Max: MaxSeq, member: mCursor, Doc: "a point in the user's change counter"}}},
}

// Spec returns the table's row for op, or nil when there is none.
func Spec(op Op) *OpSpec {
	if op == 0 || int(op) > len(Ops) {
		return nil
	}
	return &Ops[op-1]
}

// String returns the JSON name, or "unknown op" for a code that has no row.
func (op Op) String() string {
	if s := Spec(op); s != nil {
		return s.Name
	}
	return "unknown op"
}

// SpecByName returns the row whose JSON name is name, or nil.
func SpecByName[T ~string | ~[]byte](name T) *OpSpec {
	for i := range Ops {
		if Ops[i].Name == string(name) {
			return &Ops[i]
		}
	}
	return nil
}
