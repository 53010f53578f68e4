package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"runtime"
	"testing"
)

// The fuzz targets assert what holds for any bytes. Seeds are the golden
// vectors, so `go test` runs every target over all of them.

// A decoder may allocate this much: the error it returns, and for the text
// form two copies of what it keeps.
const (
	binaryBytesPerByte = 0
	textBytesPerByte   = 2
	anyInputBytes      = 512
)

func FuzzDecodeMsgpack(f *testing.F) {
	addSeeds(f, Msgpack)
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzDecode(t, b, Msgpack, binaryBytesPerByte)
	})
}

func FuzzDecodeJSON(f *testing.F) {
	addSeeds(f, JSON)
	f.Fuzz(func(t *testing.T, b []byte) {
		accepted := fuzzDecode(t, b, JSON, textBytesPerByte)
		if accepted && !json.Valid(b) {
			t.Errorf("accepted what is not JSON: %q", b)
		}
	})
}

func addSeeds(f *testing.F, format Format) {
	for _, c := range goldenFrames() {
		f.Add(Append(nil, &c.frame, format))
	}
	for _, v := range append(lenientVectors(), badVectors()...) {
		if v.format() == format {
			f.Add(v.bytes(f, format))
		}
	}
}

// fuzzDecode decodes b and checks everything that a reader of DecodeMsgpack's
// and DecodeJSON's documentation may rely on.
func fuzzDecode(t *testing.T, b []byte, format Format, perByte int) (accepted bool) {
	before := bytes.Clone(b)
	var f Frame
	var err error
	spent := allocated(func() { err = Decode(b, &f, format) })
	if limit := uint64(perByte*len(b) + anyInputBytes); spent > limit {
		t.Errorf("%d bytes made the decoder allocate %d, want at most %d", len(b), spent, limit)
	}
	if !bytes.Equal(b, before) {
		t.Error("the input was changed")
	}
	if err != nil {
		de, ok := err.(DecodeError)
		if !ok || de.Code != CodeBadFrame && de.Code != CodeUnknownOp && de.Code != CodeBadField {
			t.Errorf("undocumented error %v", err)
		}
		if (de.Code == CodeBadField) != (de.Field != "") {
			t.Errorf("bad_field and only bad_field names a field: %+v", de)
		}
		return false
	}
	if format == Msgpack {
		checkViews(t, b, &f)
	}
	checkAccepted(t, &f)
	return true
}

// checkAccepted checks that f is within the table's bounds and survives both
// forms.
func checkAccepted(t *testing.T, f *Frame) {
	spec := Spec(f.Op)
	for i := range spec.Fields {
		fd := &spec.Fields[i]
		if fd.Required && fd.Min > 0 && f.absent(fd) {
			t.Errorf("%s was accepted without %s", f.Op, fd.Name)
		}
		if v := f.view(fd.member); v != nil && uint64(len(*v)) > fd.Max {
			t.Errorf("%s.%s has %d bytes", f.Op, fd.Name, len(*v))
		}
		if v, _ := f.num(fd.member); fd.Type == TypeUint && v > fd.Max {
			t.Errorf("%s.%s is %d", f.Op, fd.Name, v)
		}
	}
	for _, format := range []Format{Msgpack, JSON} {
		var again Frame
		b := Append(nil, f, format)
		if err := Decode(b, &again, format); err != nil || !reflect.DeepEqual(*f, again) {
			t.Errorf("format %d: %q decodes to %+v, %v\nwant %+v", format, b, again, err, *f)
		}
	}
}

// allocated returns how many bytes of heap fn took. Other goroutines allocate
// too, so the least of a few runs counts.
func allocated(fn func()) uint64 {
	least := ^uint64(0)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fn()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
		if least <= anyInputBytes {
			break
		}
	}
	return least
}

func FuzzParseChatID(f *testing.F) {
	for _, s := range []string{aliceBob.String(), gardeners.String(), "", "d", "daaaaaaaaaaaaaaaaaaaaaaaa", "xaaaaaaaaaaaaaaaaaaaaaaaa",
		"daaaaaaaaaaaaaaaa\n\n\n\n\n\n\n\n", "daaaaaaaaaaaaaaaaaaaaaaa1", "daaaaaaaaaaaaaaaaaaaaaaa8", "dAAAAAAAAAAAAAAAAAAAAAAAA", "daaaaaaaaaaaaaaaaaaaaaaa=", "g777777777777777777777777"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		id, err := ParseChatID(s)
		if err != nil {
			if err != ErrChatID || !id.IsZero() {
				t.Errorf("got %v, %v", id, err)
			}
			return
		}
		if id.String() != string(s) {
			t.Errorf("%q is a second spelling of %s", s, id)
		}
		if k := id.Kind(); k != Direct && k != Group {
			t.Errorf("kind %q", k)
		}
	})
}

// TestHostileSizes feeds the largest inputs an edge lets in to the decoders:
// what they cost follows the bytes that are there.
func TestHostileSizes(t *testing.T) {
	size := MaxFrame(Msgpack, MaxContent)
	nested := append([]byte{0x92, 0x0a}, bytes.Repeat([]byte{0x91}, size)...)
	wide := append([]byte{0x92, 0x0a}, bytes.Repeat([]byte{0xdd, 0x00, 0x00, 0xff, 0xff}, size/5)...)
	members := append([]byte(`{"type":"ping"`), bytes.Repeat([]byte(`,"":0`), size/5)...)
	b64 := append([]byte(`{"type":"send_message","to":"b","client_msg_id":"m","content_b64":"`), bytes.Repeat([]byte("AAAA"), size/4)...)
	for _, c := range []struct {
		name    string
		b       []byte
		format  Format
		perByte int
	}{
		{"nested arrays", nested, Msgpack, binaryBytesPerByte},
		{"arrays that promise more", wide, Msgpack, binaryBytesPerByte},
		{"nested JSON arrays", append([]byte(`{"type":`), bytes.Repeat([]byte("["), size)...), JSON, 0},
		{"equal members", append(members, '}'), JSON, 0},
		{"content as base64", append(b64, `"}`...), JSON, textBytesPerByte},
	} {
		t.Run(c.name, func(t *testing.T) {
			fuzzDecode(t, c.b, c.format, c.perByte)
		})
	}
}
