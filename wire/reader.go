package wire

// reader consumes msgpack from the front of b. A false from any method leaves
// it in an undefined place; the frame is then refused as a whole.
type reader struct{ b []byte }

// take returns the next n bytes if they are there.
func (r *reader) take(n uint64) ([]byte, bool) {
	if n > uint64(len(r.b)) {
		return nil, false
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s, true
}

// be reads an n-byte big-endian number.
func (r *reader) be(n uint64) (uint64, bool) {
	s, ok := r.take(n)
	var v uint64
	for _, c := range s {
		v = v<<8 | uint64(c)
	}
	return v, ok
}

func (r *reader) lead() (byte, bool) {
	s, ok := r.take(1)
	if !ok {
		return 0, false
	}
	return s[0], true
}

func (r *reader) skipNil() bool {
	if len(r.b) > 0 && r.b[0] == mpNil {
		r.b = r.b[1:]
		return true
	}
	return false
}

func (r *reader) arrayLen() (int, bool) {
	c, ok := r.lead()
	switch {
	case ok && c&0xf0 == 0x90:
		return int(c & 0x0f), true
	case ok && c == mpArray16:
		n, ok := r.be(2)
		return int(n), ok
	}
	return 0, false
}

// uint reads a number from zero. Signed forms are taken as well, because
// libraries for some languages write them for positive numbers.
func (r *reader) uint() (uint64, bool) {
	c, ok := r.lead()
	switch {
	case !ok:
		return 0, false
	case c < 0x80:
		return uint64(c), true
	case c >= mpUint8 && c <= mpUint64:
		return r.be(1 << (c - mpUint8))
	case c >= mpInt8 && c <= mpInt64:
		size := uint64(1) << (c - mpInt8)
		v, ok := r.be(size)
		return v, ok && v>>(8*size-1) == 0
	}
	return 0, false
}

func (r *reader) bool() (v, ok bool) {
	c, ok := r.lead()
	return c == mpTrue, ok && (c == mpTrue || c == mpFalse)
}

// bytes reads a str or a bin, as bin says. Both are accepted for a bin field,
// because libraries for some languages write strings for either.
func (r *reader) bytes(bin bool) ([]byte, bool) {
	c, ok := r.lead()
	if !ok {
		return nil, false
	}
	var n uint64
	switch {
	case c&0xe0 == 0xa0:
		n = uint64(c & 0x1f)
	case c >= mpStr8 && c <= mpStr32:
		n, ok = r.be(1 << (c - mpStr8))
	case bin && c >= mpBin8 && c <= mpBin32:
		n, ok = r.be(1 << (c - mpBin8))
	default:
		return nil, false
	}
	if !ok {
		return nil, false
	}
	return r.take(n)
}

// skip passes over one element of any type. It counts what is still to be
// read instead of recursing, so nesting costs a number and no stack; every
// element takes at least one byte, so the count ends with the input.
func (r *reader) skip() bool {
	for left := uint64(1); left > 0; left-- {
		c, ok := r.lead()
		if !ok {
			return false
		}
		elems, ok := r.skipBody(c)
		if !ok || elems > uint64(len(r.b)) {
			return false
		}
		left += elems
	}
	return true
}

// skipBody passes over the rest of an element that starts with c and returns
// how many elements follow inside it.
func (r *reader) skipBody(c byte) (elems uint64, ok bool) {
	var body uint64
	switch {
	case c < 0x80 || c >= 0xe0 || c == mpNil || c == mpFalse || c == mpTrue:
		return 0, true
	case c&0xf0 == 0x80: // fixmap
		return 2 * uint64(c&0x0f), true
	case c&0xf0 == 0x90: // fixarray
		return uint64(c & 0x0f), true
	case c&0xe0 == 0xa0: // fixstr
		body, ok = uint64(c&0x1f), true
	case c >= mpBin8 && c <= mpBin32:
		body, ok = r.be(1 << (c - mpBin8))
	case c >= 0xc7 && c <= 0xc9: // ext: length, then one byte of type
		body, ok = r.be(1 << (c - 0xc7))
		body++
	case c == 0xca || c == 0xcb: // float32, float64
		body, ok = 4<<(c-0xca), true
	case c >= mpUint8 && c <= mpUint64:
		body, ok = 1<<(c-mpUint8), true
	case c >= mpInt8 && c <= mpInt64:
		body, ok = 1<<(c-mpInt8), true
	case c >= 0xd4 && c <= 0xd8: // fixext: one byte of type
		body, ok = 1+1<<(c-0xd4), true
	case c >= mpStr8 && c <= mpStr32:
		body, ok = r.be(1 << (c - mpStr8))
	case c == mpArray16 || c == 0xdd:
		elems, ok = r.be(2 << (c - mpArray16))
		return elems, ok
	case c == 0xde || c == 0xdf: // map
		elems, ok = r.be(2 << (c - 0xde))
		return 2 * elems, ok
	}
	if !ok {
		return 0, false
	}
	_, ok = r.take(body)
	return 0, ok
}
