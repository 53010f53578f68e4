package wire

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// The binary form: one msgpack array [op, field, field, ...] in the table's
// order. Absent fields are nil; absent fields at the end may be left out. An
// empty string or a zero in an optional field is the same as nil, except for
// cursor, where zero means "from the beginning". A reader skips elements beyond
// those it knows, so later versions may append fields. See https://github.com/msgpack/msgpack/blob/master/spec.md.
//
// The decoder is bounds-first: a declared length is compared with the bytes
// that are there and with the field's own limit before anything else happens.
// It never allocates and never recurses.

// msgpack type bytes that the protocol uses.
const (
	mpNil     = 0xc0
	mpFalse   = 0xc2
	mpTrue    = 0xc3
	mpBin8    = 0xc4
	mpBin16   = 0xc5
	mpBin32   = 0xc6
	mpUint8   = 0xcc
	mpUint16  = 0xcd
	mpUint32  = 0xce
	mpUint64  = 0xcf
	mpInt8    = 0xd0
	mpInt64   = 0xd3
	mpStr8    = 0xd9
	mpStr16   = 0xda
	mpStr32   = 0xdb
	mpArray16 = 0xdc
)

// AppendMsgpack appends the binary form of f to b. It panics when f.Op is not
// in the table: that is a bug of the caller, never input.
func AppendMsgpack(b []byte, f *Frame) []byte {
	spec := Spec(f.Op)
	n := len(spec.Fields)
	for n > 0 && !spec.Fields[n-1].Required && f.absent(&spec.Fields[n-1]) {
		n--
	}
	b = append(b, 0x90|byte(n+1), byte(f.Op))
	for i := range spec.Fields[:n] {
		b = f.appendField(b, &spec.Fields[i])
	}
	return b
}

// absent reports whether the field holds its zero value.
func (f *Frame) absent(fd *Field) bool {
	switch fd.Type {
	case TypeText, TypeID, TypeBytes:
		return len(*f.view(fd.member)) == 0
	case TypeChat:
		return f.Chat.IsZero()
	case TypeLimits:
		return f.Limits == Limits{}
	}
	_, present := f.num(fd.member)
	return !present
}

func (f *Frame) appendField(b []byte, fd *Field) []byte {
	if !fd.Required && f.absent(fd) {
		return append(b, mpNil)
	}
	switch fd.Type {
	case TypeText, TypeID:
		return appendStr(b, *f.view(fd.member))
	case TypeBytes:
		return appendBin(b, *f.view(fd.member))
	case TypeChat:
		return append(append(b, mpBin8, byte(len(f.Chat))), f.Chat[:]...)
	case TypeLimits:
		b = appendUint(append(b, 0x93), uint64(f.Limits.Content))
		b = appendUint(b, uint64(f.Limits.Frame))
		return appendUint(b, uint64(f.Limits.InFlight))
	case TypeBool:
		if f.Retryable {
			return append(b, mpTrue)
		}
		return append(b, mpFalse)
	}
	v, _ := f.num(fd.member)
	return appendUint(b, v)
}

func appendUint(b []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(b, byte(v))
	case v < 1<<8:
		return append(b, mpUint8, byte(v))
	case v < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, mpUint16), uint16(v))
	case v < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, mpUint32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, mpUint64), v)
}

func appendStr(b, s []byte) []byte {
	switch {
	case len(s) < 32:
		b = append(b, 0xa0|byte(len(s)))
	case len(s) < 1<<8:
		b = append(b, mpStr8, byte(len(s)))
	case len(s) < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mpStr16), uint16(len(s)))
	default:
		b = binary.BigEndian.AppendUint32(append(b, mpStr32), uint32(len(s)))
	}
	return append(b, s...)
}

func appendBin(b, s []byte) []byte {
	switch {
	case len(s) < 1<<8:
		b = append(b, mpBin8, byte(len(s)))
	case len(s) < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mpBin16), uint16(len(s)))
	default:
		b = binary.BigEndian.AppendUint32(append(b, mpBin32), uint32(len(s)))
	}
	return append(b, s...)
}

// DecodeMsgpack reads the binary form in b into f, which it overwrites. The
// views in f alias b. The error is a DecodeError: CodeBadFrame when b is not
// one msgpack array and nothing else, CodeUnknownOp or CodeBadField when it is.
// f.Op is set when it was readable; with CodeBadField so are the fields that
// were good, so that an answer can name the client_msg_id.
func DecodeMsgpack(b []byte, f *Frame) error {
	*f = Frame{}
	r := reader{b: b}
	n, ok := r.arrayLen()
	if !ok || n == 0 || n > MaxFields {
		return DecodeError{Code: CodeBadFrame}
	}
	op, ok := r.uint()
	if !ok {
		return DecodeError{Code: CodeBadFrame}
	}
	var fields []Field
	bad := DecodeError{Code: CodeUnknownOp}
	if spec := Spec(Op(op)); spec != nil && op <= 0xff {
		f.Op, fields, bad = spec.Op, spec.Fields, DecodeError{Op: spec.Op}
	}
	ok = f.readFields(&r, fields, n-1, &bad)
	for i := len(fields); ok && i < n-1; i++ {
		ok = r.skip()
	}
	if !ok || len(r.b) != 0 {
		return DecodeError{Code: CodeBadFrame, Op: f.Op}
	}
	if bad.Code != OK {
		return bad
	}
	return nil
}

// readFields reads the fields of which n elements are there and puts the first
// that is missing or wrong into bad. It is false when the bytes are not
// msgpack.
func (f *Frame) readFields(r *reader, fields []Field, n int, bad *DecodeError) bool {
	for i := range fields {
		fd := &fields[i]
		good := !fd.Required
		if i < n && !r.skipNil() {
			start := r.b
			if good = f.readField(r, fd); !good {
				r.b = start
				if !r.skip() {
					return false
				}
			}
		}
		if !good && bad.Code == OK {
			bad.Code, bad.Field = CodeBadField, fd.Name
		}
	}
	return true
}

// readField reads fd and sets it when it is good.
func (f *Frame) readField(r *reader, fd *Field) bool {
	switch fd.Type {
	case TypeText, TypeID, TypeBytes:
		s, ok := r.bytes(fd.Type == TypeBytes)
		return ok && f.setBytes(fd, s)
	case TypeChat:
		s, ok := r.bytes(true)
		if !ok || len(s) == 0 {
			return ok && !fd.Required
		}
		if len(s) != len(f.Chat) || !ChatKind(s[0]).known() {
			return false
		}
		f.Chat = ChatID(s)
		return true
	case TypeLimits:
		return f.readLimits(r)
	case TypeBool:
		v, ok := r.bool()
		f.Retryable = v
		return ok
	}
	v, ok := r.uint()
	return ok && f.setNumber(fd, v)
}

// setBytes sets fd to s when it may hold it.
func (f *Frame) setBytes(fd *Field, s []byte) bool {
	if len(s) == 0 {
		return !fd.Required
	}
	switch {
	case uint64(len(s)) > fd.Max,
		fd.Type == TypeID && !ValidID(s),
		fd.Type == TypeText && !utf8.Valid(s):
		return false
	}
	*f.view(fd.member) = s
	return true
}

// setNumber sets fd to v when it may hold it.
func (f *Frame) setNumber(fd *Field, v uint64) bool {
	if v > fd.Max || fd.Required && v < fd.Min {
		return false
	}
	f.setNum(fd.member, v)
	return true
}

func (f *Frame) readLimits(r *reader) bool {
	n, ok := r.arrayLen()
	if !ok || n < 3 || n > MaxFields {
		return false
	}
	var v [3]uint64
	for i := range v {
		if v[i], ok = r.uint(); !ok || v[i] > math.MaxUint32 {
			return false
		}
	}
	for i := 3; i < n; i++ {
		if !r.skip() {
			return false
		}
	}
	f.Limits = Limits{Content: uint32(v[0]), Frame: uint32(v[1]), InFlight: uint32(v[2])}
	return true
}
