package client

import (
	"time"

	"github.com/godwit-im/godwit/wire"
)

// The identifiers, as the protocol has them.
type (
	UserID   = wire.UserID   // 1 to 64 bytes of UTF-8 without control characters
	DeviceID = wire.DeviceID // same form
	ChatID   = wire.ChatID   // a conversation; String and ParseChatID convert
	Seq      = wire.Seq      // a message_id: gapless within a conversation, from 1
	Cursor   = wire.Cursor   // how far a device has come
	Code     = wire.Code     // a numbered error
)

// ParseChatID reads the text form of a ChatID.
func ParseChatID(s string) (ChatID, error) { return wire.ParseChatID([]byte(s)) }

// DirectChat returns the id of the one direct conversation of two users.
func DirectChat(a, b UserID) ChatID { return wire.DirectChat(a, b) }

// Target says where a message goes. ToUser and ToChat make one.
type Target struct {
	user UserID
	chat ChatID
}

// ToUser addresses the direct conversation with a user, which need not exist.
func ToUser(id UserID) Target { return Target{user: id} }

// ToChat addresses a conversation.
func ToChat(id ChatID) Target { return Target{chat: id} }

// SendOption changes one Send.
type SendOption func(*Outgoing)

// WithKind sets the application-defined kind of content, at most 32 bytes;
// without it the message is text.
func WithKind(kind string) SendOption { return func(o *Outgoing) { o.Kind = kind } }

// WithReplyTo makes the message an answer to another one of the conversation.
func WithReplyTo(id Seq) SendOption { return func(o *Outgoing) { o.ReplyTo = id } }

// WithID sets the client_msg_id, by which the server knows a repetition in the
// same conversation for 30 days; in another conversation the same id is another
// message, because each conversation's shard alone decides about its own ids.
// Applications that keep their own outbox on disk set it; without it Send makes
// one.
func WithID(id string) SendOption { return func(o *Outgoing) { o.ID = id } }

// Ack says that a message is stored: on disk at a majority of the replicas,
// with its final place in the conversation.
type Ack struct {
	ChatID      ChatID
	MessageID   Seq
	CreatedAt   time.Time // by the server's clock
	ClientMsgID string
}

// Event is what Events yields: Message, Status, Typing, Synced, StateChange or
// Notice.
type Event interface{ event() }

// Message is an entry of a conversation. Within a conversation they arrive in
// order, each once, without gaps; the first one seen may have any MessageID,
// because older ones are history.
type Message struct {
	ChatID      ChatID
	MessageID   Seq
	SenderID    UserID
	Content     []byte // the receiver's to keep
	Kind        string // "" is text
	ReplyTo     Seq    // 0: none
	CreatedAt   time.Time
	ClientMsgID string // the sender's name for it, "" when unknown
}

// KindGroupCreated is the Kind of the first message of a group, which the
// server writes: its sender made the group, its content is the group's name.
const KindGroupCreated = wire.KindGroupCreated

// Status says that a member has received or read a conversation up to and
// including MessageID.
type Status struct {
	ChatID    ChatID
	MessageID Seq
	UserID    UserID
	Status    wire.Status // wire.StatusDelivered or wire.StatusRead
}

// Typing says that somebody started or stopped typing. Forget a start after
// wire.TypingShown.
type Typing struct {
	ChatID ChatID
	UserID UserID
	Start  bool
}

// Synced says that everything missed has been yielded before it.
type Synced struct{ Cursor Cursor }

// StateChange says that the connection changed. Err is why it was lost, nil
// otherwise; RetryAt is when the next attempt starts, with StateWaiting.
type StateChange struct {
	State   State
	Err     error
	RetryAt time.Time
}

// Notice is an error that belongs to no call: an *Error of the server, such as
// for a typing hint that came too fast, or a cursor that could not be saved.
type Notice struct{ Err error }

func (Message) event()     {}
func (Status) event()      {}
func (Typing) event()      {}
func (Synced) event()      {}
func (StateChange) event() {}
func (Notice) event()      {}

// State is the state of the connection.
type State uint8

// The states. A client goes Connecting, Syncing, Live, and on loss Waiting,
// Connecting again; Closed is the end.
const (
	StateConnecting State = iota // dialling, or waiting for welcome
	StateSyncing                 // authenticated; what was missed arrives
	StateLive                    // up to date
	StateWaiting                 // between attempts
	StateClosed                  // by Close, or because the server refuses this client for good
)

// String returns the state in lower case.
func (s State) String() string {
	return [...]string{"connecting", "syncing", "live", "waiting", "closed"}[s]
}
