package session

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/wire"
)

// frame is a client's frame; its payload is masked.
func frame(op ws.OpCode, fin bool, payload string) []byte {
	return maskFrame(op, fin, []byte(payload))
}

func closeBody(status int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(status))) + reason
}

// edited returns frame b with its first byte or-ed with bits.
func edited(b []byte, bits byte) []byte {
	b[0] |= bits
	return b
}

const (
	text, bin, cont      = ws.OpText, ws.OpBinary, ws.OpContinuation
	cls, ping, pong      = ws.OpClose, ws.OpPing, ws.OpPong
	vectorMax            = 1 << 17
	kosme                = "κόσμε"
	surrogate, truncated = "\xed\xa0\x80", "κ\xcf"
)

// vector is a stream of frames and the events it must lead to.
type vector struct {
	name   string
	format wire.Format
	frames [][]byte
	want   string
}

func frames(f ...[]byte) [][]byte { return f }

// vectors are the essence of Autobahn's cases 1 to 7, 9 and 10.
func vectors() []vector {
	big := strings.Repeat("*", 65536)
	var v []vector
	add := func(name string, f wire.Format, want string, fr ...[]byte) {
		v = append(v, vector{name, f, fr, want})
	}
	// 1: sizes of payload.
	for _, n := range []int{0, 1, 125, 126, 127, 128, 65535, 65536} {
		add(fmt.Sprintf("1.1 text of %d", n), wire.JSON, fmt.Sprintf("message %d", n), frame(text, true, big[:n]))
		add(fmt.Sprintf("1.2 binary of %d", n), wire.Msgpack, fmt.Sprintf("message %d", n), frame(bin, true, strings.Repeat("\xfe", n)))
	}
	// 2: pings and pongs.
	add("2.1 empty ping", wire.JSON, "ping 0", frame(ping, true, ""))
	add("2.3 binary ping", wire.JSON, "ping 4", frame(ping, true, "\x00\xff\xfe\xfd"))
	add("2.4 longest ping", wire.JSON, "ping 125", frame(ping, true, big[:125]))
	add("2.5 ping too long", wire.JSON, "broken 1008", frame(ping, true, big[:126]))
	add("2.7 pong nobody asked for", wire.JSON, "pong 0", frame(pong, true, ""))
	add("2.10 ten pings", wire.JSON, strings.TrimSuffix(strings.Repeat("ping 2; ", 10), "; "), bytes.Repeat(frame(ping, true, "hi"), 10))
	// 3: reserved bits. 4: reserved opcodes.
	for bits := byte(1); bits < 8; bits++ {
		for _, op := range []ws.OpCode{text, ping, cls} {
			add(fmt.Sprintf("3 rsv %d op %d", bits, op), wire.JSON, "broken 1008", edited(frame(op, true, ""), bits<<4))
		}
	}
	for _, op := range []ws.OpCode{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		add(fmt.Sprintf("4 op %d", op), wire.JSON, "message 1; broken 1008", frame(text, true, "a"), frame(op, true, ""))
	}
	// 5: fragments.
	add("5.1 fragmented ping", wire.JSON, "broken 1008", frame(ping, false, "a"), frame(cont, true, "b"))
	add("5.2 fragmented pong", wire.JSON, "broken 1008", frame(pong, false, "a"), frame(cont, true, "b"))
	add("5.3 two fragments", wire.JSON, "message 2", frame(text, false, "a"), frame(cont, true, "b"))
	add("5.6 ping between", wire.JSON, "ping 1; message 2", frame(text, false, "a"), frame(ping, true, "p"), frame(cont, true, "b"))
	add("5.9 continuation of nothing", wire.JSON, "broken 1008", frame(cont, true, "a"))
	add("5.10 continuation after the end", wire.JSON, "message 1; broken 1008", frame(text, true, "a"), frame(cont, true, "b"))
	add("5.12 unfinished continuation of nothing", wire.JSON, "broken 1008", frame(cont, false, "a"))
	add("5.18 message inside a message", wire.JSON, "broken 1008", frame(text, false, "a"), frame(text, true, "b"))
	add("5.19 five fragments and two pings", wire.Msgpack, "ping 1; ping 1; message 5", frame(bin, false, "a"), frame(cont, false, "b"),
		frame(ping, true, "p"), frame(cont, false, "c"), frame(cont, false, "d"), frame(ping, true, "p"), frame(cont, true, "e"))
	add("5.x empty fragments", wire.Msgpack, "message 1; message 0", frame(bin, false, ""), frame(cont, false, ""), frame(cont, true, "a"), frame(bin, true, ""))
	add("5.x close inside a message", wire.JSON, "close 2", frame(text, false, "a"), frame(cls, true, closeBody(1000, "")))
	v = append(v, textVectors()...)
	v = append(v, closeVectors(big)...)
	// 9: large messages, whole and in fragments, up to the bound and beyond.
	add("9.1 as large as may be", wire.Msgpack, fmt.Sprintf("message %d", vectorMax), frame(bin, true, strings.Repeat("x", vectorMax)))
	add("9.x too large", wire.Msgpack, "broken 1002", frame(bin, true, strings.Repeat("x", vectorMax+1)))
	many := frames(frame(bin, false, ""))
	for range vectorMax / 1024 {
		many = append(many, frame(cont, false, big[:1024]))
	}
	add("9.3 in fragments", wire.Msgpack, fmt.Sprintf("message %d", vectorMax), slices.Concat(many, frames(frame(cont, true, "")))...)
	add("9.x too large in fragments", wire.Msgpack, "broken 1002", slices.Concat(many, frames(frame(cont, false, "x")))...)
	add("9.x a length of 2^63-1", wire.Msgpack, "broken 1002", []byte{0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0})
	add("9.x a length of 2^64-1", wire.Msgpack, "broken 1008", []byte{0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0})
	add("10.1 65536 in fragments of 1300", wire.JSON, "message 65536", inFragments(big, 1300)...)
	// And what only a server may do.
	add("not masked", wire.JSON, "broken 1008", []byte{0x81, 1, 'a'})
	add("not masked ping", wire.JSON, "broken 1008", []byte{0x89, 0})
	add("binary where text is spoken", wire.JSON, "broken 1007", frame(bin, true, "a"))
	add("text where binary is spoken", wire.Msgpack, "broken 1007", frame(text, false, "a"))
	return v
}

func inFragments(s string, size int) (out [][]byte) {
	op := text
	for len(s) > size {
		out = append(out, frame(op, false, s[:size]))
		s, op = s[size:], cont
	}
	return append(out, frame(op, true, s))
}

// textVectors are case 6: UTF-8.
func textVectors() (v []vector) {
	for name, s := range map[string]string{
		"6.2 greek": kosme, "6.5 last of each length": "\x7f\u07ff\uffff\U0010ffff", "6.22 noncharacters": "\ufffe\uffff\U0001fffe",
	} {
		v = append(v, vector{name, wire.JSON, frames(frame(text, true, s)), fmt.Sprintf("message %d", len(s))})
		var each [][]byte
		op := text
		for i := range len(s) {
			each = append(each, frame(op, false, s[i:i+1]))
			op = cont
		}
		v = append(v, vector{name + ", a byte a fragment", wire.JSON, append(each, frame(cont, true, "")), fmt.Sprintf("message %d", len(s))})
	}
	for name, s := range map[string]string{
		"6.3 surrogate inside": kosme + surrogate + "edited", "6.6 cut character": truncated, "6.10 four bytes too high": "\xf4\x90\x80\x80",
		"6.11 five bytes": "\xf8\x88\x80\x80\x80", "6.13 lone continuation": "\x80", "6.18 overlong slash": "\xc0\xaf", "6.20 overlong nul": "\xe0\x80\x80", "6.21 ff": "\xff",
	} {
		v = append(v, vector{name, wire.JSON, frames(frame(text, true, s)), "broken 1001"},
			vector{name + ", in two", wire.JSON, frames(frame(text, false, s[:1]), frame(cont, true, s[1:])), "broken 1001"},
			vector{name + " as binary", wire.Msgpack, frames(frame(bin, true, s)), fmt.Sprintf("message %d", len(s))})
	}
	// 6.4: told at the fragment that breaks it, not at the end.
	return append(v, vector{"6.4 fails fast", wire.JSON, frames(frame(text, false, "ok"), frame(cont, false, surrogate), frame(cont, false, "more")), "broken 1001"})
}

// closeVectors are case 7: closing.
func closeVectors(big string) (v []vector) {
	add := func(name, want string, fr ...[]byte) { v = append(v, vector{name, wire.JSON, fr, want}) }
	add("7.1 message, close, message", "message 1; close 2", frame(text, true, "a"), frame(cls, true, closeBody(1000, "")), frame(text, true, "b"))
	add("7.3.1 no body", "close 0", frame(cls, true, ""))
	add("7.3.2 half a status", "broken 1008", frame(cls, true, "\x03"))
	add("7.3.5 longest reason", "close 125", frame(cls, true, closeBody(1000, big[:123])))
	add("7.3.6 reason too long", "broken 1008", frame(cls, true, closeBody(1000, big[:124])))
	add("7.5.1 reason not UTF-8", "broken 1001", frame(cls, true, closeBody(1000, kosme+surrogate)))
	add("7.x fragmented close", "broken 1008", frame(cls, false, closeBody(1000, "")))
	for _, s := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		add(fmt.Sprintf("7.7 status %d", s), "close 2", frame(cls, true, closeBody(s, "")))
	}
	for _, s := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		add(fmt.Sprintf("7.9 status %d", s), "broken 1008", frame(cls, true, closeBody(s, "")))
	}
	return v
}

// read runs stream through a reader that sees at most chunk more bytes each
// time, and returns the events as text and the payloads of the messages.
func read(t *testing.T, v *vector, chunk int) (events string, messages []byte) {
	t.Helper()
	stream := bytes.Join(v.frames, nil)
	r := NewReader(v.format, vectorMax)
	var got []string
	for from, upto := 0, 0; ; {
		ev, payload, n := r.Next(stream[from:upto:upto])
		from += n
		switch ev {
		case NeedMore:
			if n != 0 || r.Need() <= upto-from {
				t.Fatalf("%s: needs more, but took %d bytes and wants %d of %d", v.name, n, r.Need(), upto-from)
			}
			if upto == len(stream) {
				return strings.Join(got, "; "), messages
			}
			upto = min(upto+chunk, len(stream))
		case GotMessage:
			got = append(got, fmt.Sprintf("message %d", len(payload)))
			messages = append(messages, payload...)
		case GotPing:
			got = append(got, fmt.Sprintf("ping %d", len(payload)))
		case GotPong:
			got = append(got, fmt.Sprintf("pong %d", len(payload)))
		case GotClose:
			return strings.Join(append(got, fmt.Sprintf("close %d", len(payload))), "; "), messages
		case Broken:
			if ev, _, n := r.Next(stream[from:upto]); ev != Broken || n != 0 {
				t.Errorf("%s: a broken reader read on", v.name)
			}
			return strings.Join(append(got, fmt.Sprintf("broken %d", r.Err())), "; "), messages
		}
	}
}

// TestVectors runs every vector whole, in chunks and byte by byte.
func TestVectors(t *testing.T) {
	for _, v := range vectors() {
		for _, chunk := range []int{1 << 30, 1, 7, 1000} {
			got, messages := read(t, &v, chunk)
			if got != v.want {
				t.Errorf("%s in chunks of %d: got %q, want %q", v.name, chunk, got, v.want)
			}
			if strings.HasPrefix(v.name, "6.2 ") && string(messages) != kosme {
				t.Errorf("%s in chunks of %d: unmasked to %q", v.name, chunk, messages)
			}
		}
	}
}

// TestNoBelief: a header that declares a lot is judged before a byte of it is
// there, and nothing is allocated for it.
func TestNoBelief(t *testing.T) {
	r := NewReader(wire.Msgpack, vectorMax)
	declared := frame(bin, true, strings.Repeat("x", vectorMax))[:20]
	if n := testing.AllocsPerRun(100, func() { r.Next(declared) }); n != 0 {
		t.Errorf("%v allocations for bytes that are not there", n)
	}
	if ev, _, _ := r.Next(declared); ev != NeedMore || r.Need() != vectorMax+14 {
		t.Errorf("got %v, need %d", ev, r.Need())
	}
}

// TestHeaders compares what is written with gobwas/ws.
func TestHeaders(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		for f, op := range map[wire.Format]ws.OpCode{wire.JSON: text, wire.Msgpack: bin} {
			h, err := ws.ReadHeader(bytes.NewReader(AppendHeader(nil, f, n)))
			if want := (ws.Header{Fin: true, OpCode: op, Length: int64(n)}); err != nil || h != want {
				t.Errorf("%d bytes: got %+v, %v; want %+v", n, h, err, want)
			}
		}
	}
	for want, got := range map[string][]byte{
		string(ws.MustCompileFrame(ws.NewPongFrame([]byte("hi")))):                               AppendPong(nil, []byte("hi")),
		string(ws.MustCompileFrame(ws.NewCloseFrame(nil))):                                       AppendClose(nil, 0, wire.OK),
		string(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(4302, "slow_reader")))): AppendClose(nil, 4302, wire.CodeSlowReader),
	} {
		if string(got) != want {
			t.Errorf("got %x, want %x", got, want)
		}
	}
}

// FuzzHeader compares the header parser with the one of gobwas/ws.
func FuzzHeader(f *testing.F) {
	for _, v := range vectors() {
		f.Add(v.frames[0][:min(14, len(v.frames[0]))])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, size, ok := parseHeader(b)
		want, err := ws.ReadHeader(bytes.NewReader(b))
		if err == ws.ErrHeaderLengthMSB {
			if h.Length >= 0 {
				t.Fatalf("a length with the top bit came out as %d", h.Length)
			}
			return
		}
		if ok != (err == nil) || ok && (h != want || size > len(b)) {
			t.Fatalf("%x: got %+v %v, want %+v %v", b, h, ok, want, err)
		}
	})
}
