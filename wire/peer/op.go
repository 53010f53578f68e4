package peer

// Op is the code of an item. Codes are append-only: old ones are in Raft logs.
type Op uint8

// Writes: a shard's leader proposes them, Apply carries them out, a Reply with
// the same Req answers.
const (
	// OpAppend adds a message to Chat. With Peer set the chat is the direct
	// one of User and Peer and is created when it does not exist.
	OpAppend Op = 1
	// OpReceipt raises User's delivered and read cursors in Chat, at the
	// conversation's shard.
	OpReceipt Op = 2
	// OpMark raises what Device of User has received of Chat and what User has
	// read of it, at the user's shard. An edge sends it after the OpReceipt
	// for the same cursors was answered: a crash between the two makes the
	// message be delivered and acknowledged once more, which mends both.
	OpMark Op = 3
	// OpBump tells the shard of the users in List that Chat has reached Seq.
	// User sent that entry, from Device and Session; Peer is the other user of
	// a direct chat, whichever of the two the bump is for. Body is the
	// new_message frame to push to live sessions; it is not proposed.
	OpBump Op = 4
	// OpTouch tells Users' shard that something else about Chat changed, such
	// as a receipt. Body is the frame to push; it is not proposed.
	OpTouch Op = 5
	// OpCreateGroup creates Chat with User as creator and List as members.
	OpCreateGroup Op = 6
	// OpFanoutDone says that every member's shard has taken Chat up to Seq.
	// A leader proposes it to itself.
	OpFanoutDone Op = 7
	// OpDevice records Device of User (and its cursor Stamp, when it rose).
	// The leader proposes it when OpOpen meets a device it does not know.
	OpDevice Op = 8
	// OpExpire forgets what the dedupe window and retention no longer keep,
	// at most Limit rows from the place that the shard remembers.
	OpExpire Op = 9
)

// Reads: answered by the shard's leader from what it has applied.
const (
	// OpOpen registers a live session of Device of User at the leader of the
	// user's shard. Reply: Stamp is the head of the user's change counter,
	// After the stamp to resume from, as the device's own Cursor or memory says.
	OpOpen Op = 16
	// OpChanges lists conversations of User that changed after stamp After, at
	// most Limit, as Rows for Device.
	OpChanges Op = 17
	// OpRange reads entries of Chat with seq > After and <= Seq (0: no bound),
	// at most Limit, oldest first; with FlagDesc seq < Seq newest first. User
	// must be a member.
	OpRange Op = 18
	// OpChats lists User's conversations, most recently changed first, those
	// changed before Stamp (0: now), at most Limit.
	OpChats Op = 19
)

// One-way hints; losing one costs freshness only.
const (
	// OpClose ends Session of User.
	OpClose Op = 24
	// OpTyping tells Chat's shard that User types (Flags is a TypingState).
	OpTyping Op = 25
	// OpHint pushes Body to the live sessions of the users in List.
	OpHint Op = 26
)

// From a core to an edge.
const (
	// OpDeliver pushes the msgpack frame Body to the sessions in List.
	OpDeliver Op = 32
	// OpResync tells the sessions in List that something may be missing: sync
	// again from the device's cursor.
	OpResync Op = 33
	// OpReopen tells an edge to open its sessions in Shard again: the sender
	// has just become its leader and knows none.
	OpReopen Op = 34
)

// Answers; Req names the question.
const (
	OpReply        Op = 40
	OpChangesReply Op = 41
	OpRangeReply   Op = 42
	OpChatsReply   Op = 43
)

// Between cores, about the replicas of a shard. From here on the code says
// whether an op is a question: see Asks.
const (
	// OpHello tells the leader of Shard that the sender has replica After of it
	// (0: none, and it asks for one), that has applied up to Seq, in the data
	// directory that Stamp names. With a Req it asks for an OpSeat.
	OpHello Op = 64

	// OpSeat answers an OpHello from Raft's own membership: After is the replica
	// that the asker's node has in the group, 0 when it has none; Seq repeats
	// the replica that the question named.
	OpSeat Op = 128
)

// Asks reports whether an op of a later version than this one is a question:
// codes 64 to 127 begin with a Req and want an answer, those above do not.
func (op Op) Asks() bool { return op >= 64 && op < 128 }

// Flags of an item; their meaning depends on the op.
const (
	FlagDesc   = 1 << 0 // OpRange: newest first
	FlagMore   = 1 << 1 // list replies: there is more after this page
	FlagCursor = 1 << 2 // OpOpen: After is the client's own cursor
	FlagNew    = 1 << 3 // OpReply to OpAppend: appended now, not a repeat; to OpOpen: new device
	FlagFull   = 1 << 4 // OpHello: the node takes no writes, its disk is full
	FlagVoter  = 1 << 5 // OpSeat: After has a vote
	FlagGone   = 1 << 6 // OpSeat: Seq was removed from the group and can never come back
)

// field is one field of an Item.
type field uint8

const (
	fReq field = iota
	fShard
	fNode
	fFlags
	fCode
	fChat
	fSession
	fUser
	fDevice
	fPeer
	fClientMsgID
	fKind
	fName
	fBody
	fList
	fCursors
	fSeq
	fReplyTo
	fAfter
	fDelivered
	fRead
	fAt
	fStamp
	fLimit
)

// spec is one row of the table: the fields of an op, in wire order. Fields may
// be appended to a row, never moved or removed.
type spec struct {
	name   string
	fields []field
}

var specs = [...]spec{
	OpAppend:      {"append", []field{fReq, fShard, fChat, fSession, fUser, fDevice, fPeer, fClientMsgID, fKind, fReplyTo, fBody}},
	OpReceipt:     {"receipt", []field{fReq, fShard, fChat, fUser, fDelivered, fRead}},
	OpMark:        {"mark", []field{fReq, fShard, fUser, fDevice, fChat, fDelivered, fRead}},
	OpBump:        {"bump", []field{fReq, fShard, fChat, fSeq, fAt, fUser, fPeer, fList, fSession, fBody, fDevice}},
	OpTouch:       {"touch", []field{fReq, fShard, fChat, fAt, fList, fBody}},
	OpCreateGroup: {"create_group", []field{fReq, fShard, fChat, fUser, fName, fList}},
	OpFanoutDone:  {"fanout_done", []field{fShard, fChat, fSeq}},
	OpDevice:      {"device", []field{fReq, fShard, fUser, fDevice, fStamp}},
	OpExpire:      {"expire", []field{fShard, fLimit}},

	OpOpen:    {"open", []field{fReq, fShard, fSession, fUser, fDevice, fFlags, fAfter}},
	OpChanges: {"changes", []field{fReq, fShard, fUser, fDevice, fAfter, fLimit}},
	OpRange:   {"range", []field{fReq, fShard, fChat, fUser, fAfter, fSeq, fLimit, fFlags}},
	OpChats:   {"chats", []field{fReq, fShard, fUser, fStamp, fLimit}},

	OpClose:  {"close", []field{fShard, fSession, fUser}},
	OpTyping: {"typing", []field{fShard, fChat, fUser, fFlags, fSession}},
	OpHint:   {"hint", []field{fShard, fList, fBody}},

	OpDeliver: {"deliver", []field{fChat, fSeq, fList, fBody}},
	OpResync:  {"resync", []field{fList}},
	OpReopen:  {"reopen", []field{fShard}},

	OpReply:        {"reply", []field{fReq, fCode, fFlags, fNode, fChat, fSeq, fAt, fStamp, fAfter}},
	OpChangesReply: {"changes_reply", []field{fReq, fCode, fFlags, fNode, fStamp, fList}},
	OpRangeReply:   {"range_reply", []field{fReq, fCode, fFlags, fNode, fName, fSeq, fCursors, fList}},
	OpChatsReply:   {"chats_reply", []field{fReq, fCode, fFlags, fNode, fStamp, fList}},

	OpHello: {"hello", []field{fReq, fShard, fAfter, fSeq, fStamp, fFlags}},
	OpSeat:  {"seat", []field{fReq, fCode, fFlags, fNode, fShard, fAfter, fSeq}},
}

// Known reports whether the op has a row in this version's table.
func (op Op) Known() bool { return int(op) < len(specs) && specs[op].name != "" }

// String returns the op's name, or "unknown".
func (op Op) String() string {
	if op.Known() {
		return specs[op].name
	}
	return "unknown"
}

// IsWrite reports whether the item is a command for a shard's Raft log.
func (op Op) IsWrite() bool { return op >= OpAppend && op <= OpExpire }
