package shard

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/wire"
)

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
