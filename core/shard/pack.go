package shard

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Ids that clients make up are mostly UUIDs or hex: as text they would be a
// fifth of a short message's bytes on disk. A packed id is one byte of form and
// length, then
//
//	0x00-0x40   the id as it is, so many bytes
//	0x80        a UUID in lower case, 16 bytes
//	0xa0-0xc0   2n lower-case hex digits, n = form - 0xa0 bytes
//
// Unpacking gives back exactly the bytes that were packed.
const (
	packedUUID = 0x80
	packedHex  = 0xa0
)

// uuidDashes are the places of the dashes in a UUID's text.
var uuidDashes = [...]int{8, 13, 18, 23}

const uuidText = 36

// appendPacked appends id, of at most wire.MaxID bytes, in its packed form.
func appendPacked(b, id []byte) []byte {
	if isUUID(id) {
		b = append(b, packedUUID)
		for from, i := 0, 0; i <= len(uuidDashes); i++ {
			to := uuidText
			if i < len(uuidDashes) {
				to = uuidDashes[i]
			}
			b = appendUnhex(b, id[from:to])
			from = to + 1
		}
		return b
	}
	if len(id) >= 4 && len(id)%2 == 0 && isHex(id) {
		return appendUnhex(append(b, packedHex+byte(len(id)/2)), id)
	}
	return append(append(b, byte(len(id))), id...)
}

// packed takes a packed id from the front of r and appends its text to buf.
func (r *reader) packed(buf []byte) []byte {
	form := r.byte()
	switch {
	case form < packedUUID:
		return append(buf, r.take(uint64(form))...)
	case form == packedUUID:
		start := len(buf)
		buf = hex.AppendEncode(buf, r.take(16))
		if r.bad {
			return buf
		}
		buf = append(buf, 0, 0, 0, 0)
		text := buf[start:]
		for i, at := range uuidDashes {
			copy(text[at+1:], text[at:len(text)-len(uuidDashes)+i])
			text[at] = '-'
		}
		return buf
	case form >= packedHex:
		return hex.AppendEncode(buf, r.take(uint64(form-packedHex)))
	}
	r.bad = true
	return buf
}

func isUUID(id []byte) bool {
	if len(id) != uuidText {
		return false
	}
	from := 0
	for _, at := range uuidDashes {
		if id[at] != '-' || !isHex(id[from:at]) {
			return false
		}
		from = at + 1
	}
	return isHex(id[from:])
}

func isHex(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// appendUnhex appends the bytes that the lower-case hex digits in s spell.
func appendUnhex(b, s []byte) []byte {
	for i := 0; i+1 < len(s); i += 2 {
		b = append(b, unhex(s[i])<<4|unhex(s[i+1]))
	}
	return b
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

// reader takes fields from the front of a row. After a field that is not there
// bad is set and everything reads as zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

// bytes takes a field with its length in front.
func (r *reader) bytes() []byte { return r.take(r.uint()) }

// done returns an error that names the row when it did not have the form that
// its table wants.
func (r *reader) done(key []byte) error {
	if r.bad {
		return fmt.Errorf("shard: corrupt row %q; restore this replica from another one or from a backup", key)
	}
	return nil
}

func appendUint[T ~uint64](b []byte, v T) []byte { return binary.AppendUvarint(b, uint64(v)) }

func appendBytes[T ~string | ~[]byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
