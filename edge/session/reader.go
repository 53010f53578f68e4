package session

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/wire"
)

// Event is what Reader.Next found.
type Event uint8

// The events.
const (
	NeedMore   Event = iota // nothing complete; Need says how many bytes to wait for
	GotMessage              // payload is a message
	GotPing                 // payload is what to answer
	GotPong
	GotClose // payload is the body: empty, or a status and a reason, both checked
	GotNone  // a fragment was taken; call again
	GotEmpty // a fragment without a byte was taken; call again
	Broken   // the stream is to be failed with Reader.Err; nothing behind is read
)

// Reader cuts the bytes that a client sends into WebSocket messages, as
// strictly as RFC 6455 allows: masked frames, no reserved bits or opcodes,
// short whole control frames, fragments in order, UTF-8 in text, known close
// codes, one message type. It allocates only to gather the fragments of a
// message, and never more than the bytes that came.
type Reader struct {
	gathered *fragments // nil between fragmented messages
	max      uint32     // bytes of a message
	need     uint32     // bytes of the window before the next step; 0: a header
	format   wire.Format
	err      wire.Code
}

// fragments is a message of which not all is here.
type fragments struct {
	data    []byte
	checked int // bytes of data known to be UTF-8
}

// NewReader returns a reader for messages of format f with at most max bytes.
func NewReader(f wire.Format, max int) Reader {
	return Reader{format: f, max: uint32(max)}
}

// Need returns how many bytes of window Next needs to get any further.
func (r *Reader) Need() int { return int(max(r.need, ws.MinHeaderSize)) }

// Err returns why the stream is Broken: CodeProtocol, CodeFrameTooBig,
// CodeWrongMessageType, or CodeBadFrame for text that is not UTF-8.
func (r *Reader) Err() wire.Code { return r.err }

// Next takes one frame from the front of window, unmasking it in place, and
// returns how many bytes it took. payload is a view of window, or of the
// gathered fragments; it is valid until the next call and as long as window.
func (r *Reader) Next(window []byte) (ev Event, payload []byte, n int) {
	if r.err != wire.OK {
		return Broken, nil, 0
	}
	h, size, ok := parseHeader(window)
	if !ok {
		return r.wait(size)
	}
	if code := r.judge(&h); code != wire.OK {
		return r.fail(code)
	}
	end := size + int(h.Length) // judge has bounded it
	if len(window) < end {
		return r.wait(end)
	}
	r.need = 0
	payload = window[size:end:end]
	ws.Cipher(payload, h.Mask, 0)
	if h.OpCode.IsControl() {
		ev, code := control(h.OpCode, payload)
		if code != wire.OK {
			return r.fail(code)
		}
		return ev, payload, end
	}
	ev, payload, code := r.data(&h, payload)
	if code != wire.OK {
		return r.fail(code)
	}
	return ev, payload, end
}

func (r *Reader) wait(need int) (Event, []byte, int) {
	r.need = uint32(need)
	return NeedMore, nil, 0
}

func (r *Reader) fail(code wire.Code) (Event, []byte, int) {
	r.err, r.gathered = code, nil
	return Broken, nil, 0
}

// judge decides on the header alone, before any byte of payload is there.
func (r *Reader) judge(h *ws.Header) wire.Code {
	state := ws.StateServerSide
	if r.gathered != nil {
		state = state.Set(ws.StateFragmented)
	}
	if h.Length < 0 || ws.CheckHeader(*h, state) != nil {
		return wire.CodeProtocol
	}
	if h.OpCode.IsControl() {
		return wire.OK
	}
	if h.OpCode != ws.OpContinuation && (h.OpCode == ws.OpText) != (r.format == wire.JSON) {
		return wire.CodeWrongMessageType
	}
	room := int64(r.max)
	if r.gathered != nil {
		room -= int64(len(r.gathered.data))
	}
	if h.Length > room {
		return wire.CodeFrameTooBig
	}
	return wire.OK
}

// data takes the payload of a data frame: a whole message, which is passed on
// where it lies, or a fragment.
func (r *Reader) data(h *ws.Header, payload []byte) (Event, []byte, wire.Code) {
	g := r.gathered
	if g == nil && h.Fin {
		if r.format == wire.JSON && !utf8.Valid(payload) {
			return 0, nil, wire.CodeBadFrame
		}
		return GotMessage, payload, wire.OK
	}
	if g == nil {
		g = new(fragments)
		r.gathered = g
	}
	g.data = append(g.data, payload...)
	if r.format == wire.JSON && !g.checkText(h.Fin) {
		return 0, nil, wire.CodeBadFrame
	}
	if !h.Fin && len(payload) == 0 {
		return GotEmpty, nil, wire.OK
	}
	if !h.Fin {
		return GotNone, nil, wire.OK
	}
	r.gathered = nil
	return GotMessage, g.data, wire.OK
}

// checkText checks what has come since the last time. A character that is cut
// by the end of a fragment waits for its rest, unless the message ends there.
func (g *fragments) checkText(fin bool) bool {
	end := len(g.data)
	if !fin {
		end = wholeRunes(g.data, g.checked)
	}
	ok := utf8.Valid(g.data[g.checked:end])
	g.checked = end
	return ok
}

// wholeRunes returns where the last character of b starts when it lacks bytes,
// else len(b). It looks no further back than from.
func wholeRunes(b []byte, from int) int {
	for i := len(b) - 1; i >= from && i > len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				break
			}
			return i
		}
	}
	return len(b)
}

// control judges a control frame.
func control(op ws.OpCode, payload []byte) (Event, wire.Code) {
	switch op {
	case ws.OpPing:
		return GotPing, wire.OK
	case ws.OpPong:
		return GotPong, wire.OK
	}
	if len(payload) == 0 {
		return GotClose, wire.OK
	}
	if len(payload) == 1 {
		return 0, wire.CodeProtocol
	}
	status := ws.StatusCode(binary.BigEndian.Uint16(payload))
	if !utf8.Valid(payload[2:]) {
		return 0, wire.CodeBadFrame
	}
	if status > ws.StatusRangePrivate.Max || ws.CheckCloseFrameData(status, "") != nil && !registered(status) {
		return 0, wire.CodeProtocol
	}
	return GotClose, wire.OK
}

// registered reports whether status is one of the three that IANA lists and
// gobwas/ws does not know: service restart, try again later, bad gateway.
func registered(status ws.StatusCode) bool { return status >= 1012 && status <= 1014 }

// parseHeader reads a frame header from the front of b. When it is not all
// there, ok is false and size is how many bytes are needed to know more. A
// length with the top bit set, which RFC 6455 forbids, comes out negative.
func parseHeader(b []byte) (h ws.Header, size int, ok bool) {
	size = ws.MinHeaderSize
	if len(b) < size {
		return h, size, false
	}
	h.Fin = b[0]&0x80 != 0
	h.Rsv = b[0] >> 4 & 7
	h.OpCode = ws.OpCode(b[0] & 0x0f)
	h.Masked = b[1]&0x80 != 0
	h.Length = int64(b[1] & 0x7f)
	ext := 0
	switch h.Length {
	case 126:
		ext = 2
	case 127:
		ext = 8
	}
	size += ext
	if h.Masked {
		size += len(h.Mask)
	}
	if len(b) < size {
		return h, size, false
	}
	switch ext {
	case 2:
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
	case 8:
		h.Length = int64(binary.BigEndian.Uint64(b[2:]))
	}
	if h.Masked {
		copy(h.Mask[:], b[2+ext:])
	}
	return h, size, true
}
