package wire

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth bounds how deep the values of unknown names may nest. What the
// table defines nests twice.
const maxJSONDepth = 32

// scanner walks RFC 8259 text from the front of b and allocates nothing. The
// caller has checked that b is UTF-8. A false from any method leaves it in an
// undefined place; the frame is then refused as a whole.
//
// encoding/json is not used to read: it keeps the last of two equal names,
// puts U+FFFD where the text is broken, and takes some twenty bytes of memory
// for each byte of a hostile object.
type scanner struct{ b []byte }

// scanObject calls member for every member of the one object that b is, with
// the key's raw text between its quotes and the raw value. It is false when b
// is anything else.
func scanObject(b []byte, member func(key, value []byte)) bool {
	s := scanner{b: b}
	s.space()
	if !s.object(maxJSONDepth, member) {
		return false
	}
	s.space()
	return len(s.b) == 0
}

func (s *scanner) space() {
	for len(s.b) > 0 && (s.b[0] == ' ' || s.b[0] == '\t' || s.b[0] == '\n' || s.b[0] == '\r') {
		s.b = s.b[1:]
	}
}

// next consumes c, after white space, when it is there.
func (s *scanner) next(c byte) bool {
	s.space()
	if len(s.b) == 0 || s.b[0] != c {
		return false
	}
	s.b = s.b[1:]
	return true
}

func (s *scanner) object(depth int, member func(key, value []byte)) bool {
	if depth == 0 || !s.next('{') {
		return false
	}
	if s.next('}') {
		return true
	}
	for {
		s.space()
		key, ok := s.str()
		if !ok || !s.next(':') {
			return false
		}
		value, ok := s.value(depth)
		if !ok {
			return false
		}
		if member != nil {
			member(key, value)
		}
		if !s.next(',') {
			return s.next('}')
		}
	}
}

func (s *scanner) array(depth int) bool {
	if depth == 0 || !s.next('[') {
		return false
	}
	if s.next(']') {
		return true
	}
	for {
		if _, ok := s.value(depth); !ok {
			return false
		}
		if !s.next(',') {
			return s.next(']')
		}
	}
}

// value passes over one value and returns its text.
func (s *scanner) value(depth int) (text []byte, ok bool) {
	s.space()
	if len(s.b) == 0 {
		return nil, false
	}
	start := s.b
	switch s.b[0] {
	case '"':
		_, ok = s.str()
	case '{':
		ok = s.object(depth-1, nil)
	case '[':
		ok = s.array(depth - 1)
	case 't':
		ok = s.literal("true")
	case 'f':
		ok = s.literal("false")
	case 'n':
		ok = s.literal("null")
	default:
		ok = s.number()
	}
	return start[:len(start)-len(s.b)], ok
}

func (s *scanner) literal(word string) bool {
	rest, ok := bytes.CutPrefix(s.b, []byte(word))
	s.b = rest
	return ok
}

// number passes over -? int frac? exp?.
func (s *scanner) number() bool {
	s.anyOf("-")
	if !s.anyOf("0") && !s.digits() {
		return false
	}
	if s.anyOf(".") && !s.digits() {
		return false
	}
	if s.anyOf("eE") {
		s.anyOf("+-")
		return s.digits()
	}
	return true
}

func (s *scanner) anyOf(set string) bool {
	if len(s.b) == 0 || bytes.IndexByte([]byte(set), s.b[0]) < 0 {
		return false
	}
	s.b = s.b[1:]
	return true
}

func (s *scanner) digits() bool {
	n := 0
	for n < len(s.b) && s.b[n] >= '0' && s.b[n] <= '9' {
		n++
	}
	s.b = s.b[n:]
	return n > 0
}

// str passes over a string and returns what stands between its quotes, escapes
// as they are.
func (s *scanner) str() (raw []byte, ok bool) {
	if len(s.b) == 0 || s.b[0] != '"' {
		return nil, false
	}
	for i := 1; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			raw, s.b = s.b[1:i], s.b[i+1:]
			return raw, true
		case c < 0x20:
			return nil, false
		case c == '\\':
			n := escapeLen(s.b[i:])
			if n == 0 {
				return nil, false
			}
			i += n - 1
		}
	}
	return nil, false
}

// escapeLen returns the length of the escape that b starts with, 0 when it is
// none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] == 'u' {
		if _, ok := hex4(b); ok {
			return 6
		}
		return 0
	}
	if unescaped(b[1]) != 0 {
		return 2
	}
	return 0
}

// unescaped returns what a backslash and c stand for, 0 when for nothing.
func unescaped(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// hex4 reads the \uXXXX that b starts with.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unquote appends the text of raw, which str returned, to dst: never more
// bytes than raw has. It is false for half of a surrogate pair, which stands
// for no character.
func unquote(dst, raw []byte) ([]byte, bool) {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...), true
		}
		dst, raw = append(dst, raw[:i]...), raw[i:]
		if raw[1] != 'u' {
			dst, raw = append(dst, unescaped(raw[1])), raw[2:]
			continue
		}
		r, _ := hex4(raw)
		raw = raw[6:]
		if utf16.IsSurrogate(r) {
			low, _ := hex4(raw)
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return dst, false
			}
			raw = raw[6:]
		}
		dst = utf8.AppendRune(dst, r)
	}
}
