package shard

import (
	"strings"
	"testing"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// The matrix: what each command answers in each state. "ok" may change rows,
// everything else must not. States of a conversation, for user alice:
//
//	no direct   a direct id that has no entries     no group   likewise
//	mine        alice and bob                       member     a group with alice
//	theirs      carol and dave                      stranger   a group without
const chatMatrix = `
op            | no direct       | mine            | theirs          | no group        | member           | stranger
append        | unknown_chat    | ok              | not_member      | unknown_chat    | ok               | not_member
append peer   | ok              | ok              | bad_request     | bad_request     | bad_request      | bad_request
append reply  | unknown_message | ok              | bad_request     | bad_request     | bad_request      | bad_request
append future | unknown_message | unknown_message | bad_request     | bad_request     | bad_request      | bad_request
append big    | content_too_big | content_too_big | content_too_big | content_too_big | content_too_big  | content_too_big
append self   | self_chat       | self_chat       | self_chat       | self_chat       | self_chat        | self_chat
append no id  | bad_request     | bad_request     | bad_request     | bad_request     | bad_request      | bad_request
receipt       | unknown_chat    | ok              | not_member      | unknown_chat    | ok               | not_member
create        | bad_request     | bad_request     | bad_request     | ok              | ok               | bad_request
create many   | bad_request     | bad_request     | bad_request     | too_many_members| too_many_members | too_many_members
create noname | bad_request     | bad_request     | bad_request     | bad_request     | bad_request      | bad_request
fanned        | unknown_chat    | ok              | ok              | unknown_chat    | ok               | ok
mark          | unknown_chat    | ok              | unknown_chat    | unknown_chat    | ok               | unknown_chat
mark nobody   | bad_request     | bad_request     | bad_request     | bad_request     | bad_request      | bad_request
bump          | ok              | ok              | ok              | ok              | ok               | ok
bump zero     | bad_request     | bad_request     | bad_request     | bad_request     | bad_request      | bad_request
bump broken   | bad_request     | bad_request     | bad_request     | bad_request     | bad_request      | bad_request
touch         | ok              | ok              | ok              | ok              | ok               | ok
touch broken  | bad_request     | bad_request     | bad_request     | bad_request     | bad_request      | bad_request
device        | ok              | ok              | ok              | ok              | ok               | ok
device noname | bad_request     | bad_request     | bad_request     | bad_request     | bad_request      | bad_request
expire        | ok              | ok              | ok              | ok              | ok               | ok
wrong shard   | wrong_shard     | wrong_shard     | wrong_shard     | wrong_shard     | wrong_shard      | wrong_shard
`

// matrixItem is a row of the matrix, for user alice (and bob, her peer).
func matrixItem(name string) peer.Item {
	it := peer.Item{Shard: 1, User: []byte("alice"), Device: []byte("phone"), Seq: 1, Delivered: 1, Read: 1, Limit: 10}
	op, detail, _ := strings.Cut(name, " ")
	it.Op = map[string]peer.Op{"append": peer.OpAppend, "receipt": peer.OpReceipt, "create": peer.OpCreateGroup, "fanned": peer.OpFanoutDone,
		"mark": peer.OpMark, "bump": peer.OpBump, "touch": peer.OpTouch, "device": peer.OpDevice, "expire": peer.OpExpire, "wrong": peer.OpReceipt}[op]
	switch it.Op {
	case peer.OpAppend:
		it.ClientMsgID, it.Body = []byte("new"), []byte("x")
	case peer.OpCreateGroup:
		it.Name, it.List = []byte("name"), peer.AppendBytes(nil, "bob")
	case peer.OpBump, peer.OpTouch:
		it.List = peer.AppendBytes(nil, "alice")
	}
	switch detail {
	case "peer", "reply", "future":
		it.Peer = []byte("bob")
		it.ReplyTo = map[string]wire.Seq{"reply": 1, "future": 2}[detail]
	case "big":
		it.Body = make([]byte, wire.MaxContentCeiling+1)
	case "self":
		it.Peer = it.User
	case "id", "no id":
		it.ClientMsgID = nil
	case "many":
		for i := range wire.MaxMembers {
			it.List = peer.AppendBytes(it.List, []byte{'a' + byte(i%26), 'a' + byte(i/26%26), 'a' + byte(i/676)})
		}
	case "nobody":
		it.User = nil
	case "noname":
		it.Name, it.Device = nil, nil
	case "zero":
		it.Seq = 0
	case "broken":
		it.List = []byte{5, 'a'}
	case "shard":
		it.Shard = 2
	}
	return it
}

func TestMatrix(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(chatMatrix), "\n")
	states := strings.Split(lines[0], "|")[1:]
	ops := map[peer.Op]bool{}
	for _, line := range lines[1:] {
		cells := strings.Split(line, "|")
		op := strings.TrimSpace(cells[0])
		if len(cells) != len(states)+1 {
			t.Fatalf("%s: not every state has a cell", op)
		}
		for i, state := range states {
			it := matrixItem(op)
			ops[it.Op] = true
			w := matrixWorld(t)
			it.Chat = w.chat(map[string]string{"no direct": "alice+bob", "mine": "alice+bob", "theirs": "carol+dave", "no group": "#none",
				"member": "#alice", "stranger": "#carol"}[strings.TrimSpace(state)])
			if strings.TrimSpace(state) == "no direct" {
				w = newWorld(t)
			}
			w.applyEntry(encode(w.now, it))
			got := codeName(w.out.Results[0].Code)
			if want := strings.TrimSpace(cells[i+1]); got != want {
				t.Errorf("%s in state %s: %s, want %s", op, state, got, want)
			}
			if got != "ok" && (len(w.batch.Writes) > 0 || len(w.out.Effects) > 0) {
				t.Errorf("%s in state %s: refused with %s, and yet\n%s", op, state, got, w.answer())
			}
		}
	}
	for op := peer.Op(0); op < 255; op++ {
		if op.IsWrite() && !ops[op] {
			t.Errorf("the matrix does not list %s", op)
		}
	}
}

func codeName(c wire.Code) string {
	switch {
	case c == wire.OK:
		return "ok"
	case c == wire.CodeWrongShard:
		return "wrong_shard"
	}
	return c.SpecOf().Name
}

// matrixWorld holds the conversations of the matrix with one entry each, and
// alice's inbox of hers.
func matrixWorld(t testing.TB) *world {
	w := newWorld(t)
	mine, theirs, group, other := w.chat("alice+bob"), w.chat("carol+dave"), w.chat("#alice"), w.chat("#carol")
	send := func(chat wire.ChatID, a, b string) peer.Item {
		return peer.Item{Op: peer.OpAppend, Shard: 1, Chat: chat, User: []byte(a), Peer: []byte(b), ClientMsgID: []byte("old"), Body: []byte("x")}
	}
	create := func(chat wire.ChatID, a, b string) peer.Item {
		return peer.Item{Op: peer.OpCreateGroup, Shard: 1, Chat: chat, User: []byte(a), Name: []byte("n"), List: peer.AppendBytes(nil, b)}
	}
	bump := func(chat wire.ChatID, p string) peer.Item {
		return peer.Item{Op: peer.OpBump, Shard: 1, Chat: chat, Seq: 1, User: []byte("alice"), Peer: []byte(p), List: peer.AppendBytes(nil, "alice")}
	}
	w.applyEntry(encode(w.now, send(mine, "alice", "bob"), send(theirs, "carol", "dave"), create(group, "alice", "bob"), create(other, "carol", "bob"),
		bump(mine, "bob"), bump(group, "")))
	w.commit()
	return w
}
