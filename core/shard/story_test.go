package shard

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playStory(t, file) })
	}
}

func playStory(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	var got strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
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
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(text) {
		t.Errorf("%s went another way; look at the difference after go test -run TestStories -update\n%s", file, firstDifference(got.String(), string(text)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return "one is longer"
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

// answer prints the results, effects and writes of the last entry.
func (w *world) answer() string {
	var b strings.Builder
	for i := range w.out.Results {
		w.printResult(&b, &w.out.Results[i])
	}
	for i := range w.out.Effects {
		w.printEffect(&b, &w.out.Effects[i])
	}
	for _, wr := range w.batch.Writes[w.from:] {
		if wr.Deleted {
			fmt.Fprintf(&b, "delete %s\n", w.printKey(wr.Key))
		} else {
			fmt.Fprintf(&b, "set    %s: %s\n", w.printKey(wr.Key), w.printRow(wr.Key, wr.Value))
		}
	}
	return b.String()
}

// fields prints name=value pairs, leaving out what is zero or empty.
func fields(b *strings.Builder, kv ...any) {
	for i := 0; i < len(kv); i += 2 {
		if v := fmt.Sprintf("%s", kv[i+1]); v != "" && v != "0" {
			fmt.Fprintf(b, " %s=%s", kv[i], strings.ReplaceAll(v, " ", "_"))
		}
	}
	b.WriteString("\n")
}

func num[T ~uint64 | ~uint8 | ~int](v T) string { return fmt.Sprint(uint64(v)) }

func ago(at wire.Millis) string {
	if at == 0 {
		return ""
	}
	return "+" + (time.Duration(at-storyStart) * time.Millisecond).String()
}

func (w *world) printResult(b *strings.Builder, r *Result) {
	b.WriteString("result")
	if r.Code != wire.OK {
		fmt.Fprintf(b, " %s\n", r.Code)
		return
	}
	flags := ""
	if r.Flags&peer.FlagNew != 0 {
		flags = "new"
	}
	if r.Flags&peer.FlagMore != 0 {
		flags = "more"
	}
	fields(b, "flags", flags, "seq", num(r.Seq), "at", ago(r.At), "stamp", num(r.Stamp), "after", num(r.After))
}

var effectNames = [...]string{Appended: "appended", CursorMoved: "cursor_moved", Marked: "marked", Bumped: "bumped", Touched: "touched"}

func (w *world) printEffect(b *strings.Builder, e *Effect) {
	fmt.Fprintf(b, "effect %s of item %d", effectNames[e.Kind], e.Item)
	fields(b, "chat", w.nameOf(e.Chat), "seq", num(e.Seq), "at", ago(e.At), "user", e.User, "device", e.Device, "session", num(e.Session), "peer", e.Peer,
		"id", e.ClientMsgID, "kind", e.ContentKind, "reply", num(e.ReplyTo), "content", e.Content,
		"delivered", num(e.Delivered), "read", num(e.Read), "stamp", num(e.Stamp))
}

func (w *world) printKey(key string) string {
	table, rest := key[0], key[1:]
	chatAt := func(s string) string { return w.nameOf(wire.ChatID([]byte(s))) }
	switch table {
	case tableChat:
		return "chat " + chatAt(rest)
	case tableOutbox:
		return "outbox " + chatAt(rest)
	case tableMember:
		return "member " + chatAt(rest) + " " + rest[16:]
	case tableLog:
		return fmt.Sprintf("log %s %d", chatAt(rest), lastNumber([]byte(rest)))
	case tableDedupe:
		return fmt.Sprintf("dedupe %s %x", chatAt(rest), rest[16:])
	case tableUser:
		return "user " + rest
	case tableInbox:
		return "inbox " + rest[1:1+rest[0]] + " " + chatAt(rest[1+rest[0]:])
	case tableStamp:
		return fmt.Sprintf("stamp %s %d", rest[1:1+rest[0]], lastNumber([]byte(rest)))
	case tableExpire:
		return "expire"
	}
	return fmt.Sprintf("unknown table %q", key)
}

func (w *world) printRow(key, value string) string {
	var err error
	k, v := []byte(key), []byte(value)
	defer func() {
		if err != nil {
			w.t.Errorf("row %s cannot be read: %v", w.printKey(key), err)
		}
	}()
	r := reader{b: v}
	switch key[0] {
	case tableChat:
		c := chat{id: wire.ChatID(k[1:])}
		err = c.decode(k, v)
		s := fmt.Sprintf("last %d at %s kept %d", c.last, ago(c.at), c.kept)
		if c.id.Kind() == wire.Group {
			return fmt.Sprintf("%s members %d creator %s name %s", s, c.members, c.creator, c.name)
		}
		for _, p := range c.pair {
			s += fmt.Sprintf(", %s delivered %d read %d", p.user, p.delivered, p.read)
		}
		return s
	case tableOutbox:
		return fmt.Sprintf("fanned %d", r.uint())
	case tableMember:
		var m member
		err = m.decode(k, v)
		return fmt.Sprintf("joined %d delivered %d read %d", m.joined, m.delivered, m.read)
	case tableLog:
		return fmt.Sprintf("%q", value)
	case tableDedupe:
		s := fmt.Sprintf("seq %d", r.uint())
		for len(r.b) > 0 {
			s += fmt.Sprintf(" %d", r.uint())
		}
		return s
	case tableUser:
		var u user
		err = u.decode(k, v)
		s := fmt.Sprintf("next %d", u.next)
		for _, d := range u.devices {
			s += fmt.Sprintf(", %s #%d cursor %d created %s", d.id, d.number, d.cursor, ago(d.created))
		}
		return s
	case tableInbox:
		var x inbox
		err = x.decode(k, v)
		s := fmt.Sprintf("last %d at %s stamp %d read %d delivered %d peer %q", x.last, ago(x.at), x.stamp, x.read, x.delivered, x.peer)
		for _, m := range x.marks {
			s += fmt.Sprintf(", #%d has %d", m.device, m.delivered)
		}
		return s
	case tableStamp, tableExpire:
		return w.nameOf(wire.ChatID(v))
	}
	return fmt.Sprintf("%q", value)
}

// read carries out a read on what is committed.
func (w *world) read(name string, a args) string {
	var b strings.Builder
	check := func(err error) {
		if err != nil {
			fmt.Fprintf(&b, "error %v\n", err)
		}
	}
	switch name {
	case "changes":
		p, err := Changes(w.store, a.bytes("user"), a.bytes("device"), wire.Cursor(a.num("after")), a.limit(), nil)
		check(err)
		w.printPage(&b, p)
	case "chats":
		p, err := Chats(w.store, a.bytes("user"), wire.Cursor(a.num("before")), a.limit(), nil)
		check(err)
		w.printPage(&b, p)
	case "range":
		_, desc := a.m["desc"]
		q := RangeQuery{Chat: w.chat(a.m["chat"]), User: a.bytes("user"), After: wire.Seq(a.num("after")), Upto: wire.Seq(a.num("upto")), Limit: a.limit(), Desc: desc}
		var p RangePage
		check(Range(w.store, &q, &p))
		w.printRange(&b, &p)
	case "members":
		list, more, err := Members(w.store, w.chat(a.m["chat"]), a.bytes("after"), a.limit(), nil)
		check(err)
		eachID(list, func(u []byte) { fmt.Fprintf(&b, "%s\n", u) })
		fmt.Fprintf(&b, "more %t\n", more)
	case "outbox":
		check(OutboxScan(w.store, func(o *Owed) bool {
			fmt.Fprintf(&b, "%s fanned %d last %d at %s from %s peer %q\n", w.nameOf(o.Chat), o.Fanned, o.Last, ago(o.At), o.From, o.Peer)
			return true
		}))
		b.WriteString("end\n")
	case "device":
		d, err := Device(w.store, a.bytes("user"), a.bytes("device"))
		check(err)
		fmt.Fprintf(&b, "known %t cursor %d created %s head %d\n", d.Known, d.Cursor, ago(d.Created), d.Head)
	case "info":
		i, ok, err := ChatInfo(w.store, w.chat(a.m["chat"]))
		check(err)
		fmt.Fprintf(&b, "exists %t last %d at %s members %d name %q users %q\n", ok, i.Last, ago(i.At), i.Members, i.Name, i.Users)
	default:
		w.t.Fatalf("no such command: %q", name)
	}
	return b.String()
}

func (w *world) printPage(b *strings.Builder, p Page) {
	for list := p.List; len(list) > 0; {
		r, rest, ok := peer.NextRow(list)
		if !ok {
			w.t.Fatal("broken row list")
		}
		list = rest
		fmt.Fprintf(b, "%s last %d at %s read %d delivered %d stamp %d peer %q\n", w.nameOf(r.Chat), r.Last, ago(r.At), r.Read, r.Delivered, r.Stamp, r.Peer)
	}
	fmt.Fprintf(b, "stamp %d more %t\n", p.Stamp, p.More)
}

func (w *world) printRange(b *strings.Builder, p *RangePage) {
	if p.Code != wire.OK {
		fmt.Fprintf(b, "%s\n", p.Code)
		return
	}
	for list := p.List; len(list) > 0; {
		frame, rest, _ := peer.NextBytes(list)
		list = rest
		var f wire.Frame
		if err := wire.DecodeMsgpack(frame, &f); err != nil {
			w.t.Fatalf("a page holds a frame that no client can read: %v", err)
		}
		b.WriteString("frame")
		fields(b, "seq", num(f.Seq), "sender", f.User, "at", ago(f.At), "id", f.ClientMsgID, "kind", f.Kind, "reply", num(f.ReplyTo), "content", f.Content)
	}
	for list := p.Cursors; len(list) > 0; {
		c, rest, _ := peer.NextCursor(list)
		list = rest
		fmt.Fprintf(b, "cursor %s delivered %d read %d\n", c.User, c.Delivered, c.Read)
	}
	fmt.Fprintf(b, "last %d more %t name %q\n", p.Last, p.More, p.Name)
}

// TestRowsReadBack writes rows with every field at odd values and reads them.
func TestRowsReadBack(t *testing.T) {
	c := chat{id: wire.NewChatID(wire.Group, [32]byte{1})}
	direct := chat{id: wire.NewChatID(wire.Direct, [32]byte{1}), pair: [2]member{{user: []byte("a")}, {user: []byte("b")}}}
	ids := []string{"x", "abcd", "abc", "0123456789abcdef", "9f1c2d3e-0011-4a5b-8c9d-aabbccddeeff", "9F1C2D3E-0011-4a5b-8c9d-aabbccddeeff",
		"9f1c2d3e-0011-4a5b-8c9d_aabbccddeeff", strings.Repeat("ab", 32), strings.Repeat("z", 64), "ümlaut"}
	for _, id := range ids {
		for _, chat := range []*chat{&c, &direct} {
			e := logEntry{at: 1_800_000_000_000, sender: []byte(id), cmid: []byte(id), kind: []byte("image"), replyTo: 3, content: []byte("hello")}
			if chat == &direct {
				e.sender = []byte("b")
			}
			row := append(e.appendHead(nil, chat, 9), e.content...)
			var got logEntry
			if _, err := got.decode(nil, row, chat, 9, nil); err != nil {
				t.Fatalf("%q: %v", id, err)
			}
			if !bytes.Equal(got.sender, e.sender) || !bytes.Equal(got.cmid, e.cmid) || !bytes.Equal(got.kind, e.kind) ||
				got.replyTo != 3 || got.at != e.at || !bytes.Equal(got.content, e.content) {
				t.Errorf("%q came back as %+v", id, got)
			}
		}
	}
	x := inbox{last: 90, read: 3, delivered: 80, at: 5, stamp: 7, peer: []byte("p"), marks: []mark{{1, 90}, {300, 0}}}
	var y inbox
	if err := y.decode(nil, x.append(nil)); err != nil || y.last != 90 || y.read != 3 || y.delivered != 80 || !slices.Equal(x.marks, y.marks) {
		t.Errorf("inbox row came back as %+v, %v", y, err)
	}
}
