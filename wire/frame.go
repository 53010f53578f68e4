package wire

// Format is one of the two forms of a frame.
type Format uint8

// The formats, chosen by subprotocol.
const (
	Msgpack Format = iota // binary frames, arrays
	JSON                  // text frames, objects
)

// The subprotocols of the WebSocket upgrade.
const (
	SubprotocolMsgpack = "godwit.v1.msgpack"
	SubprotocolJSON    = "godwit.v1.json"
)

// FormatOf returns the format that a subprotocol names.
func FormatOf(subprotocol string) (Format, bool) {
	switch subprotocol {
	case SubprotocolMsgpack:
		return Msgpack, true
	case SubprotocolJSON:
		return JSON, true
	}
	return 0, false
}

// Status is how far a message has come. It only grows.
type Status uint8

// The states of a message as others see it.
const (
	StatusStored    Status = 1
	StatusDelivered Status = 2
	StatusRead      Status = 3
	StatusFailed    Status = 4
)

// TypingState says whether somebody types.
type TypingState uint8

// The typing states.
const (
	TypingStart TypingState = 1
	TypingStop  TypingState = 2
)

// Limits are what an edge tells a client in welcome.
type Limits struct {
	Content  uint32 // bytes of content
	Frame    uint32 // bytes of a frame
	InFlight uint32 // sends without an ack_sent
}

// Frame is one message in either direction: the union of all operations'
// fields. Only those that the table lists for Op mean anything; a zero value
// means "absent" (for the cursor, HasCursor says so).
//
// Byte slices are views of what was decoded, or belong to the caller who set
// them for encoding; encoding copies.
type Frame struct {
	Op          Op
	HasCursor   bool
	Retryable   bool
	Status      Status
	Typing      TypingState
	Code        Code
	Chat        ChatID
	Seq         Seq
	ReplyTo     Seq
	Cursor      Cursor
	At          Millis
	HeartbeatS  uint16
	RetryAfter  Millis // also reconnect_after_ms
	Limits      Limits
	Token       []byte
	User        []byte // user_id, sender_id
	Device      []byte // device, device_id
	To          []byte
	ClientMsgID []byte
	Kind        []byte
	Content     []byte
	Message     []byte
	Advice      []byte
	Refused     []byte // op of an error
}

// member is a place in a Frame that a Field points to.
type member uint8

const (
	mToken member = iota
	mDevice
	mCursor
	mUser
	mHeartbeat
	mLimits
	mChat
	mTo
	mContent
	mClientMsgID
	mKind
	mReplyTo
	mSeq
	mAt
	mStatus
	mTyping
	mCode
	mMessage
	mAdvice
	mRefused
	mRetryable
	mRetryAfter
)

// view returns where the bytes of m live, nil when m is not a byte field.
func (f *Frame) view(m member) *[]byte {
	switch m {
	case mToken:
		return &f.Token
	case mDevice:
		return &f.Device
	case mUser:
		return &f.User
	case mTo:
		return &f.To
	case mContent:
		return &f.Content
	case mClientMsgID:
		return &f.ClientMsgID
	case mKind:
		return &f.Kind
	case mMessage:
		return &f.Message
	case mAdvice:
		return &f.Advice
	case mRefused:
		return &f.Refused
	}
	return nil
}

// num returns the number m and whether it is present.
func (f *Frame) num(m member) (v uint64, present bool) {
	switch m {
	case mCursor:
		return uint64(f.Cursor), f.HasCursor
	case mHeartbeat:
		v = uint64(f.HeartbeatS)
	case mReplyTo:
		v = uint64(f.ReplyTo)
	case mSeq:
		v = uint64(f.Seq)
	case mAt:
		v = uint64(f.At)
	case mStatus:
		v = uint64(f.Status)
	case mTyping:
		v = uint64(f.Typing)
	case mCode:
		v = uint64(f.Code)
	case mRetryAfter:
		v = uint64(f.RetryAfter)
	case mRetryable:
		if f.Retryable {
			v = 1
		}
	}
	return v, v != 0
}

// setNum sets the number m; the codec has checked v against the field's Max.
func (f *Frame) setNum(m member, v uint64) {
	switch m {
	case mCursor:
		f.Cursor, f.HasCursor = Cursor(v), true
	case mHeartbeat:
		f.HeartbeatS = uint16(v)
	case mReplyTo:
		f.ReplyTo = Seq(v)
	case mSeq:
		f.Seq = Seq(v)
	case mAt:
		f.At = Millis(v)
	case mStatus:
		f.Status = Status(v)
	case mTyping:
		f.Typing = TypingState(v)
	case mCode:
		f.Code = Code(v)
	case mRetryAfter:
		f.RetryAfter = Millis(v)
	case mRetryable:
		f.Retryable = v != 0
	}
}
