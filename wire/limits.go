package wire

import "time"

// The numbers both ends enforce, each with what it buys and costs.
const (
	// MaxID bounds user, device and client message ids. 64 bytes hold a UUID,
	// an e-mail address of common length or an "issuer|subject" pair.
	MaxID = 64

	// MaxKind bounds an application-defined content kind such as "poll".
	MaxKind = 32

	// MaxName bounds the name of a group, in bytes.
	MaxName = 128

	// MaxToken caps a token before anything parses it. An RS256 token with a
	// handful of claims is below 1 KiB.
	MaxToken = 4096

	// MaxContent is the default limit of a message's content in bytes. Media
	// travel by reference, so this is text, keys and thumbnails.
	MaxContent = 64 << 10

	// MaxContentCeiling is how far an operator may raise MaxContent.
	MaxContentCeiling = 1 << 20

	// FrameOverhead is what a frame may carry beside its content: all ids at
	// their longest, a token, and the codec's own bytes.
	FrameOverhead = 5 << 10

	// MaxMembers is how many members a group may have by default.
	MaxMembers = 1024

	// MaxErrorText bounds the message and the advice of an error frame, each.
	MaxErrorText = 256

	// MaxOpName bounds the name of an operation where an error frame names it.
	MaxOpName = 32

	// MaxFields bounds the elements of a binary frame: known fields now, room
	// for those of later versions, nothing for an attacker to spin on.
	MaxFields = 32

	// HistoryPage is the default and MaxHistoryPage the largest page of
	// messages or conversations.
	HistoryPage    = 50
	MaxHistoryPage = 200
)

// Times of the protocol.
const (
	// Heartbeat is how often a client pings; two missed mean dead.
	Heartbeat = 30 * time.Second

	// TypingEvery is how often a client may send typing start; the receiver
	// shows it for TypingShown.
	TypingEvery = 3 * time.Second
	TypingShown = 5 * time.Second

	// DedupeWindow is how long (sender, client_msg_id) names one message.
	DedupeWindow = 30 * 24 * time.Hour
)

// A text frame may spell every content byte as \u00XX.
const jsonExpansion = 6

// MaxFrame returns the longest frame an edge accepts in format f when content
// may have maxContent bytes.
func MaxFrame(f Format, maxContent int) int {
	if f == JSON {
		return maxContent*jsonExpansion + FrameOverhead
	}
	return maxContent + FrameOverhead
}
