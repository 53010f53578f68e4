package peer

import (
	"encoding/binary"

	"github.com/godwit-im/godwit/wire"
)

// Item is one request, answer or push: the union of all ops' fields. Only
// those in the op's row of the table are carried.
type Item struct {
	Op      Op
	Flags   uint8
	Code    wire.Code
	Shard   wire.ShardID
	Node    wire.NodeID // in a reply: who leads the shard, when the asker was wrong
	Req     uint64      // the asker's number for the request; unique per link
	Session wire.SessionID
	Chat    wire.ChatID

	Seq       wire.Seq
	ReplyTo   wire.Seq
	After     uint64 // a wire.Seq for OpRange, else a stamp
	Delivered wire.Seq
	Read      wire.Seq
	At        wire.Millis
	Stamp     wire.Cursor
	Limit     uint32

	// Views of the batch.
	User        []byte
	Device      []byte
	Peer        []byte // the other user of a direct chat
	ClientMsgID []byte
	Kind        []byte
	Name        []byte
	Body        []byte // content, or a client frame in msgpack
	List        []byte // IDs, Sessions, Rows or Frames, as the op says
	Cursors     []byte // Members' cursors of OpRangeReply
}

// MaxItem bounds one item: the largest content, a page of it in a reply, or a
// full member list, with room for the rest.
const MaxItem = 4 << 20

const header = 4 // length

// Append appends it to a batch. It panics on an op that is not in the table.
// The caller keeps the item within MaxItem and its ids and names within wire's
// bounds: Next refuses a longer one, and with it the rest of the batch.
func Append(b []byte, it *Item) []byte {
	if !it.Op.Known() {
		panic("peer: Append of an op that has no row in the table")
	}
	start := len(b)
	b = append(b, 0, 0, 0, 0, byte(it.Op))
	for _, f := range specs[it.Op].fields {
		switch f {
		case fChat:
			b = append(b, it.Chat[:]...)
		default:
			if v := it.view(f); v != nil {
				b = binary.AppendUvarint(b, uint64(len(*v)))
				b = append(b, *v...)
				continue
			}
			b = binary.AppendUvarint(b, it.num(f))
		}
	}
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start-header))
	return b
}

// Next decodes the first item of batch into it, which it overwrites, and
// returns its own bytes and the rest of the batch. ok is false when the batch
// is broken there, and then nothing behind that place can be trusted.
//
// An op that is not in the table comes from a later version: it is stepped over
// by its length, and it has only Op, and Req when the op asks (see Op.Asks), so
// that the asker can be told. The batch goes on behind it.
func Next(batch []byte, it *Item) (raw, rest []byte, ok bool) {
	*it = Item{}
	if len(batch) < header+1 {
		return nil, nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(batch))
	if n == 0 || n > MaxItem || n > uint64(len(batch)-header) {
		return nil, nil, false
	}
	end := header + int(n)
	raw, rest = batch[:end:end], batch[end:]
	it.Op = Op(raw[header])
	body := raw[header+1:]
	if !it.Op.Known() {
		if it.Op == 0 {
			return nil, nil, false // no version has it
		}
		if it.Op.Asks() {
			it.Req, _ = binary.Uvarint(body) // 0 when it cannot be read
		}
		return raw, rest, true
	}
	for _, f := range specs[it.Op].fields {
		if len(body) == 0 {
			break // written by a version that did not know this field
		}
		if body, ok = it.read(body, f); !ok {
			return nil, nil, false
		}
	}
	return raw, rest, true
}

// read takes field f from the front of b.
func (it *Item) read(b []byte, f field) ([]byte, bool) {
	if f == fChat {
		if len(b) < len(it.Chat) {
			return nil, false
		}
		it.Chat = wire.ChatID(b)
		return b[len(it.Chat):], true
	}
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return nil, false
	}
	b = b[n:]
	p := it.view(f)
	if p == nil {
		return b, it.setNum(f, v)
	}
	if v > uint64(len(b)) || v > bound(f) {
		return nil, false
	}
	*p = b[:v:v]
	return b[v:], true
}

// bound returns the most bytes field f may have.
func bound(f field) uint64 {
	switch f {
	case fUser, fDevice, fPeer, fClientMsgID:
		return wire.MaxID
	case fKind:
		return wire.MaxKind
	case fName:
		return wire.MaxName
	}
	return MaxItem
}

func (it *Item) view(f field) *[]byte {
	switch f {
	case fUser:
		return &it.User
	case fDevice:
		return &it.Device
	case fPeer:
		return &it.Peer
	case fClientMsgID:
		return &it.ClientMsgID
	case fKind:
		return &it.Kind
	case fName:
		return &it.Name
	case fBody:
		return &it.Body
	case fList:
		return &it.List
	case fCursors:
		return &it.Cursors
	}
	return nil
}

func (it *Item) num(f field) uint64 {
	switch f {
	case fReq:
		return it.Req
	case fShard:
		return uint64(it.Shard)
	case fNode:
		return uint64(it.Node)
	case fFlags:
		return uint64(it.Flags)
	case fCode:
		return uint64(it.Code)
	case fSession:
		return uint64(it.Session)
	case fSeq:
		return uint64(it.Seq)
	case fReplyTo:
		return uint64(it.ReplyTo)
	case fAfter:
		return it.After
	case fDelivered:
		return uint64(it.Delivered)
	case fRead:
		return uint64(it.Read)
	case fAt:
		return uint64(it.At)
	case fStamp:
		return uint64(it.Stamp)
	case fLimit:
		return uint64(it.Limit)
	}
	return 0
}

// setNum stores v; it is false when v does not fit the field.
func (it *Item) setNum(f field, v uint64) bool {
	switch f {
	case fReq:
		it.Req = v
	case fShard:
		it.Shard = wire.ShardID(v)
		return v == uint64(it.Shard)
	case fNode:
		it.Node = wire.NodeID(v)
		return v == uint64(it.Node)
	case fFlags:
		it.Flags = uint8(v)
		return v == uint64(it.Flags)
	case fCode:
		it.Code = wire.Code(v)
		return v == uint64(it.Code)
	case fSession:
		it.Session = wire.SessionID(v)
	case fSeq:
		it.Seq = wire.Seq(v)
	case fReplyTo:
		it.ReplyTo = wire.Seq(v)
	case fAfter:
		it.After = v
	case fDelivered:
		it.Delivered = wire.Seq(v)
	case fRead:
		it.Read = wire.Seq(v)
	case fAt:
		it.At = wire.Millis(v)
	case fStamp:
		it.Stamp = wire.Cursor(v)
	case fLimit:
		it.Limit = uint32(v)
		return v == uint64(it.Limit)
	}
	return true
}
