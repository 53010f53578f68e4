package wire

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// The text form: one JSON object with `type` and the table's field names. It
// is for people, browsers and debugging: correct and bounded, not fast. A
// decoder ignores names it does not know. Content that is not UTF-8 travels
// base64-coded (RFC 4648, section 4) as content_b64.

const b64Suffix = "_b64"

var (
	statusNames = [...]string{StatusStored: "stored", StatusDelivered: "delivered", StatusRead: "read", StatusFailed: "failed"}
	typingNames = [...]string{TypingStart: "start", TypingStop: "stop"}
	limitNames  = [...]string{"content_bytes", "frame_bytes", "sends_in_flight"}
)

// String returns the JSON name.
func (s Status) String() string { return nameOf(statusNames[:], uint64(s)) }

// String returns the JSON name.
func (t TypingState) String() string { return nameOf(typingNames[:], uint64(t)) }

func nameOf(names []string, v uint64) string {
	if v < uint64(len(names)) {
		return names[v]
	}
	return ""
}

// Append appends f to b in the given format.
func Append(b []byte, f *Frame, format Format) []byte {
	if format == JSON {
		return AppendJSON(b, f)
	}
	return AppendMsgpack(b, f)
}

// Decode reads b in the given format into f; see DecodeMsgpack and DecodeJSON.
func Decode(b []byte, f *Frame, format Format) error {
	if format == JSON {
		return DecodeJSON(b, f)
	}
	return DecodeMsgpack(b, f)
}

// AppendJSON appends the text form of f to b. It panics when f.Op is not in
// the table.
func AppendJSON(b []byte, f *Frame) []byte {
	spec := Spec(f.Op)
	b = append(b, `{"type":"`...)
	b = append(append(b, spec.Name...), '"')
	for i := range spec.Fields {
		if fd := &spec.Fields[i]; fd.Required || !f.absent(fd) {
			b = f.appendJSONField(b, fd)
		}
	}
	return append(b, '}')
}

func (f *Frame) appendJSONField(b []byte, fd *Field) []byte {
	b = append(append(b, `,"`...), fd.Name...)
	switch fd.Type {
	case TypeText, TypeID, TypeBytes:
		s := *f.view(fd.member)
		if !utf8.Valid(s) {
			b = append(append(b, b64Suffix...), `":"`...)
			return append(base64.StdEncoding.AppendEncode(b, s), '"')
		}
		return AppendJSONString(append(b, `":`...), s)
	case TypeChat:
		return append(f.Chat.AppendText(append(b, `":"`...)), '"')
	}
	b = append(b, `":`...)
	v, _ := f.num(fd.member)
	switch fd.Type {
	case TypeBool:
		return strconv.AppendBool(b, v != 0)
	case TypeStatus:
		return strconv.AppendQuote(b, Status(v).String())
	case TypeTyping:
		return strconv.AppendQuote(b, TypingState(v).String())
	case TypeLimits:
		for i, n := range f.Limits.list() {
			b = append(b, "{,,"[i])
			b = strconv.AppendUint(append(strconv.AppendQuote(b, limitNames[i]), ':'), uint64(n), 10)
		}
		return append(b, '}')
	}
	return strconv.AppendUint(b, v, 10)
}

func (l *Limits) list() [3]uint32 { return [3]uint32{l.Content, l.Frame, l.InFlight} }

// AppendJSONString appends s, which must be valid UTF-8, as a JSON string.
func AppendJSONString(b, s []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i, c := range s {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\t':
			b = append(b, `\t`...)
		case '\r':
			b = append(b, `\r`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(b, s[start:]...), '"')
}

// DecodeJSON reads the text form in b into f, which it overwrites. Unlike the
// binary decoder it allocates, a small multiple of len(b) at most; b may be
// reused afterwards. Errors are those of DecodeMsgpack.
func DecodeJSON(b []byte, f *Frame) error {
	*f = Frame{}
	var obj map[string]json.RawMessage
	if err := json.Unmarshal(b, &obj); err != nil || obj == nil {
		return DecodeError{Code: CodeBadFrame}
	}
	var name string
	if json.Unmarshal(obj["type"], &name) != nil {
		return DecodeError{Code: CodeBadFrame}
	}
	spec := SpecByName(name)
	if spec == nil {
		return DecodeError{Code: CodeUnknownOp}
	}
	f.Op = spec.Op
	for i := range spec.Fields {
		if fd := &spec.Fields[i]; !f.readJSONField(obj, fd) {
			return DecodeError{Code: CodeBadField, Op: spec.Op, Field: fd.Name}
		}
	}
	return nil
}

func (f *Frame) readJSONField(obj map[string]json.RawMessage, fd *Field) bool {
	raw, present := obj[fd.Name]
	if fd.Type == TypeBytes && !present {
		if raw, present = obj[fd.Name+b64Suffix]; present {
			var s []byte
			ok := json.Unmarshal(raw, &s) == nil && fd.holds(s)
			*f.view(fd.member) = s
			return ok
		}
	}
	if !present || string(raw) == "null" {
		return !fd.Required
	}
	switch fd.Type {
	case TypeText, TypeID, TypeBytes, TypeChat, TypeStatus, TypeTyping:
		var s string
		return json.Unmarshal(raw, &s) == nil && f.setJSONText(fd, s)
	case TypeBool:
		return json.Unmarshal(raw, &f.Retryable) == nil
	case TypeLimits:
		return f.readJSONLimits(raw)
	}
	var v uint64
	if json.Unmarshal(raw, &v) != nil || v > fd.maxNum() {
		return false
	}
	f.setNum(fd.member, v)
	return true
}

func (f *Frame) setJSONText(fd *Field, s string) bool {
	switch fd.Type {
	case TypeChat:
		id, err := ParseChatID([]byte(s))
		f.Chat = id
		return err == nil
	case TypeStatus:
		return f.setName(fd, statusNames[:], s)
	case TypeTyping:
		return f.setName(fd, typingNames[:], s)
	}
	*f.view(fd.member) = []byte(s)
	return fd.holds([]byte(s))
}

func (f *Frame) setName(fd *Field, names []string, s string) bool {
	for v, name := range names {
		if name != "" && name == s {
			f.setNum(fd.member, uint64(v))
			return true
		}
	}
	return false
}

func (f *Frame) readJSONLimits(raw json.RawMessage) bool {
	var m map[string]uint32
	if json.Unmarshal(raw, &m) != nil {
		return false
	}
	f.Limits = Limits{Content: m[limitNames[0]], Frame: m[limitNames[1]], InFlight: m[limitNames[2]]}
	return true
}
