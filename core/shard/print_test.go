package shard

import (
	"fmt"
	"strings"
	"time"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

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
