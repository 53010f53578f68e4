package session

import (
	"encoding/binary"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/wire"
)

// HeaderMax is the most bytes that AppendHeader appends.
const HeaderMax = 10

const fin = 0x80

// AppendHeader appends the header of an unfragmented data message with n bytes
// of payload: text for wire.JSON, binary for wire.Msgpack.
func AppendHeader(b []byte, f wire.Format, n int) []byte {
	op := ws.OpBinary
	if f == wire.JSON {
		op = ws.OpText
	}
	b = append(b, fin|byte(op))
	switch {
	case n < 126:
		return append(b, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
}

// AppendPong appends a whole pong frame. Of payload, the first 125 bytes count.
func AppendPong(b, payload []byte) []byte {
	payload = payload[:min(len(payload), ws.MaxControlFramePayloadSize)]
	b = append(b, fin|byte(ws.OpPong), byte(len(payload)))
	return append(b, payload...)
}

// AppendClose appends a whole close frame. Status 0 makes an empty one; the
// name of why is the reason.
func AppendClose(b []byte, status uint16, why wire.Code) []byte {
	if status == 0 {
		return append(b, fin|byte(ws.OpClose), 0)
	}
	reason := ""
	if spec := why.SpecOf(); spec != nil {
		reason = spec.Name[:min(len(spec.Name), ReasonMax)]
	}
	b = append(b, fin|byte(ws.OpClose), byte(2+len(reason)))
	return append(binary.BigEndian.AppendUint16(b, status), reason...)
}
