package shard

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/story"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

var update = flag.Bool("update", false, "rewrite the stories in testdata")

// TestStories plays testdata/*.txt. A story is commands, each answered behind
// ----, with blank lines between. Commands:
//
//	apply            the items on the lines below, one entry; then commit
//	apply hold       without the commit
//	commit           of what was held
//	reset            the machine forgets its caches, as after a restart
//	at TIME          the leaders' clock, e.g. 3s or 31d
//	changes, chats, range, members, outbox, device, info     reads
//
// Conversations are written alice+bob, or #name for a group.
func TestStories(t *testing.T) { story.Play(t, "testdata/*.txt", *update, playStory) }

func playStory(t *testing.T, text string) string {
	w := newWorld(t)
	var got strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			got.WriteString("\n")
		}
		if strings.HasPrefix(block, "# ") {
			got.WriteString(block + "\n")
			continue
		}
		command, _, _ := strings.Cut(block, "\n----")
		fmt.Fprintf(&got, "%s\n----\n%s", command, w.run(command))
	}
	return got.String()
}

// run carries out one command and returns its answer, ending in a newline.
func (w *world) run(block string) string {
	lines := strings.Split(block, "\n")
	name, rest, _ := strings.Cut(lines[0], " ")
	a := parseArgs(w, rest)
	switch name {
	case "apply":
		var items [][]byte
		for _, line := range lines[1:] {
			op, rest, _ := strings.Cut(line, " ")
			items = append(items, w.item(op, parseArgs(w, rest)))
		}
		w.apply(items...)
		answer := w.answer()
		if rest != "hold" {
			w.commit()
		}
		return answer
	case "commit":
		w.commit()
	case "reset":
		w.machine.Reset()
	case "at":
		w.now = storyStart + wire.Millis(storyTime(w.t, rest).Milliseconds())
	default:
		return w.read(name, a)
	}
	return "ok\n"
}

const storyStart = 1_800_000_000_000

func storyTime(t testing.TB, s string) time.Duration {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(n) * 24 * time.Hour
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// args is the key=value words of a command.
type args struct {
	w *world
	m map[string]string
}

func parseArgs(w *world, s string) args {
	a := args{w, map[string]string{}}
	for _, word := range strings.Fields(s) {
		k, v, _ := strings.Cut(word, "=")
		a.m[k] = v
	}
	return a
}

func (a args) bytes(k string) []byte { return []byte(strings.ReplaceAll(a.m[k], "_", " ")) }

func (a args) num(k string) uint64 {
	if a.m[k] == "" {
		return 0
	}
	n, err := strconv.ParseUint(a.m[k], 10, 64)
	if err != nil {
		a.w.t.Fatalf("%s: %v", k, err)
	}
	return n
}

func (a args) limit() int {
	if _, ok := a.m["limit"]; ok {
		return int(a.num("limit"))
	}
	return 10
}

func (a args) list(k string) (list []byte) {
	for _, id := range strings.Split(a.m[k], ",") {
		if id != "" {
			list = peer.AppendBytes(list, id)
		}
	}
	return list
}

// chat turns alice+bob or #name into an id and remembers its name.
func (w *world) chat(name string) (id wire.ChatID) {
	switch {
	case name == "":
		return id
	case strings.HasPrefix(name, "#"):
		id = wire.NewChatID(wire.Group, sha256.Sum256([]byte(name)))
	default:
		x, y, _ := strings.Cut(name, "+")
		id = wire.DirectChat(wire.UserID(x), wire.UserID(y))
	}
	w.names[id] = name
	return id
}

func (w *world) nameOf(id wire.ChatID) string {
	if n, ok := w.names[id]; ok {
		return n
	}
	return id.String()
}

var storyOps = map[string]peer.Op{"append": peer.OpAppend, "receipt": peer.OpReceipt, "mark": peer.OpMark, "bump": peer.OpBump,
	"touch": peer.OpTouch, "create_group": peer.OpCreateGroup, "fanout_done": peer.OpFanoutDone, "device": peer.OpDevice, "expire": peer.OpExpire}

func (w *world) item(name string, a args) []byte {
	op, ok := storyOps[name]
	if !ok {
		w.t.Fatalf("no such item: %q", name)
	}
	it := peer.Item{Op: op, Shard: 1, Chat: w.chat(a.m["chat"]), User: a.bytes("user"), Device: a.bytes("device"), Peer: a.bytes("peer"),
		ClientMsgID: a.bytes("id"), Kind: a.bytes("kind"), Name: a.bytes("name"), Body: a.bytes("body"), List: a.list("to"),
		Seq: wire.Seq(a.num("seq")), ReplyTo: wire.Seq(a.num("reply")), Delivered: wire.Seq(a.num("delivered")), Read: wire.Seq(a.num("read")),
		Stamp: wire.Cursor(a.num("stamp")), Limit: uint32(a.num("limit")), Session: wire.SessionID(a.num("session")), At: w.now}
	if a.m["shard"] != "" {
		it.Shard = wire.ShardID(a.num("shard"))
	}
	return peer.Append(nil, &it)
}
