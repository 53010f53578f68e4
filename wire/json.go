package wire

import (
	"bytes"
	"encoding/base64"
	"math"
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
// the table. Text that is not UTF-8, which no decoder lets in, gets U+FFFD.
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
			if fd.Type == TypeBytes {
				b = append(append(b, b64Suffix...), `":"`...)
				return append(base64.StdEncoding.AppendEncode(b, s), '"')
			}
			s = bytes.ToValidUTF8(s, []byte("\uFFFD"))
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
// binary decoder it copies: at most two bytes for each byte of b and a few
// hundred more; b may be reused afterwards. Errors are those of DecodeMsgpack.
// CodeBadFrame also covers bytes that are not UTF-8, a `type` that stands twice
// and values that nest deeper than 32; a field that stands twice is
// CodeBadField. Names are case-sensitive.
func DecodeJSON(b []byte, f *Frame) error {
	*f = Frame{}
	var typ []byte
	types := 0
	ok := utf8.Valid(b) && scanObject(b, func(key, value []byte) {
		if rawEqual(key, "type") {
			types, typ = types+1, value
		}
	})
	if !ok || types != 1 || typ[0] != '"' {
		return DecodeError{Code: CodeBadFrame}
	}
	spec := specByRawName(typ[1 : len(typ)-1])
	if spec == nil {
		return DecodeError{Code: CodeUnknownOp}
	}
	f.Op = spec.Op
	var seen, bad uint32 // a bit for each field
	scanObject(b, func(key, value []byte) {
		i, b64 := spec.fieldByRawName(key)
		if i < 0 {
			return
		}
		bit := uint32(1) << i
		if seen&bit != 0 || !f.readJSONField(&spec.Fields[i], value, b64) {
			bad |= bit
		}
		seen |= bit
	})
	for i := range spec.Fields {
		fd := &spec.Fields[i]
		if bit := uint32(1) << i; bad&bit != 0 || fd.Required && seen&bit == 0 {
			return DecodeError{Code: CodeBadField, Op: spec.Op, Field: fd.Name}
		}
	}
	return nil
}

// rawEqual reports whether raw, text between the quotes of a JSON string,
// stands for name, which is ASCII.
func rawEqual(raw []byte, name string) bool {
	if bytes.IndexByte(raw, '\\') < 0 || len(raw) > jsonExpansion*len(name) {
		return string(raw) == name
	}
	var buf [jsonExpansion * MaxID]byte
	s, ok := unquote(buf[:0], raw)
	return ok && string(s) == name
}

func specByRawName(raw []byte) *OpSpec {
	for i := range Ops {
		if rawEqual(raw, Ops[i].Name) {
			return &Ops[i]
		}
	}
	return nil
}

// fieldByRawName returns the index of the field that key names, -1 for none,
// and whether key is the base64 spelling of a TypeBytes.
func (s *OpSpec) fieldByRawName(key []byte) (i int, b64 bool) {
	for i := range s.Fields {
		fd := &s.Fields[i]
		if rawEqual(key, fd.Name) {
			return i, false
		}
		if fd.Type == TypeBytes && rawEqual(key, fd.Name+b64Suffix) {
			return i, true
		}
	}
	return -1, false
}

// readJSONField sets fd to value when it is good.
func (f *Frame) readJSONField(fd *Field, value []byte, b64 bool) bool {
	if string(value) == "null" {
		return !fd.Required
	}
	switch fd.Type {
	case TypeBool:
		f.Retryable = string(value) == "true"
		return f.Retryable || string(value) == "false"
	case TypeUint:
		v, ok := parseUint(value)
		return ok && f.setNumber(fd, v)
	case TypeLimits:
		return f.readJSONLimits(value)
	}
	if value[0] != '"' {
		return false
	}
	raw := value[1 : len(value)-1]
	switch fd.Type {
	case TypeChat:
		return f.readJSONChat(fd, raw)
	case TypeStatus:
		return f.readJSONName(fd, statusNames[:], raw)
	case TypeTyping:
		return f.readJSONName(fd, typingNames[:], raw)
	}
	if uint64(len(raw)) > jsonExpansion*fd.Max {
		return false
	}
	s, ok := unquote(make([]byte, 0, len(raw)), raw)
	if ok && b64 {
		s, ok = decodeBase64(s)
	}
	return ok && f.setBytes(fd, s)
}

// decodeBase64 decodes s into new memory. Line ends are refused here, because
// the library skips them.
func decodeBase64(s []byte) ([]byte, bool) {
	if bytes.ContainsAny(s, "\r\n") {
		return nil, false
	}
	enc := base64.StdEncoding.Strict()
	dst := make([]byte, enc.DecodedLen(len(s)))
	n, err := enc.Decode(dst, s)
	return dst[:n], err == nil
}

// parseUint reads a JSON number that is written as digits only.
func parseUint(s []byte) (v uint64, ok bool) {
	if len(s) > len("9007199254740991") { // MaxSeq
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, true
}

func (f *Frame) readJSONChat(fd *Field, raw []byte) bool {
	if len(raw) == 0 {
		return !fd.Required
	}
	var buf [jsonExpansion * ChatTextLen]byte
	if len(raw) > len(buf) {
		return false
	}
	text, ok := unquote(buf[:0], raw)
	id, err := ParseChatID(text)
	if !ok || err != nil {
		return false
	}
	f.Chat = id
	return true
}

func (f *Frame) readJSONName(fd *Field, names []string, raw []byte) bool {
	for v, name := range names {
		if name != "" && rawEqual(raw, name) {
			return f.setNumber(fd, uint64(v))
		}
	}
	return false
}

// readJSONLimits wants every name it knows and ignores others.
func (f *Frame) readJSONLimits(value []byte) bool {
	var v [len(limitNames)]uint64
	var seen [len(limitNames)]bool
	good := true
	ok := scanObject(value, func(key, value []byte) {
		for i, name := range limitNames {
			if rawEqual(key, name) {
				n, ok := parseUint(value)
				good = good && ok && n <= math.MaxUint32 && !seen[i]
				v[i], seen[i] = n, true
			}
		}
	})
	if !ok || !good || seen != [len(limitNames)]bool{true, true, true} {
		return false
	}
	f.Limits = Limits{Content: uint32(v[0]), Frame: uint32(v[1]), InFlight: uint32(v[2])}
	return true
}
