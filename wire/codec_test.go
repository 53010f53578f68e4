package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

func TestRoundTrip(t *testing.T) {
	for _, format := range []Format{Msgpack, JSON} {
		rapid.Check(t, func(t *rapid.T) {
			want := genFrame().Draw(t, "frame")
			prefix := []byte("kept")
			b := Append(prefix, &want, format)
			if !bytes.HasPrefix(b, prefix) {
				t.Fatal("Append overwrote what was there")
			}
			b = b[len(prefix):]
			got := Frame{Op: OpError, Token: []byte("left over"), Seq: 9}
			if err := Decode(b, &got, format); err != nil {
				t.Fatalf("%v in %q", err, b)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got  %+v\nwant %+v\nfrom %q", got, want, b)
			}
			if len(b) > MaxFrame(format, len(want.Content)) {
				t.Fatalf("%d bytes are more than MaxFrame leaves room for", len(b))
			}
		})
	}
}

// TestLongestFrame spells every frame as long as it gets in each form: what
// the decoder takes must fit what the edge lets in.
func TestLongestFrame(t *testing.T) {
	for i := range Ops {
		f := Frame{Op: Ops[i].Op, Chat: gardeners, Limits: Limits{1<<32 - 1, 1<<32 - 1, 1<<32 - 1}}
		for j := range Ops[i].Fields {
			fd := &Ops[i].Fields[j]
			switch fd.Type {
			case TypeText, TypeBytes, TypeID:
				n := int(fd.Max)
				if fd.Type == TypeBytes {
					n = MaxContent
				}
				c := []byte{'"'} // two bytes in JSON, as long as an id gets
				if fd.Type == TypeBytes {
					c[0] = 1 // six
				}
				*f.view(fd.member) = bytes.Repeat(c, n)
			case TypeUint, TypeStatus, TypeTyping:
				f.setNum(fd.member, fd.Max)
			}
		}
		if f.Token != nil {
			f.Token = bytes.Repeat([]byte("t"), MaxToken)
		}
		for _, format := range []Format{Msgpack, JSON} {
			b := Append(nil, &f, format)
			if len(b) > MaxFrame(format, MaxContent) {
				t.Errorf("%s is up to %d bytes long in format %d, MaxFrame is %d", f.Op, len(b), format, MaxFrame(format, MaxContent))
			}
			var got Frame
			if err := Decode(b, &got, format); err != nil {
				t.Errorf("%s: %v", f.Op, err)
			}
		}
	}
}

// TestTruncated cuts a frame at every length: none decodes, and all are the
// kind of error that a broken frame is.
func TestTruncated(t *testing.T) {
	for _, c := range goldenFrames() {
		for _, format := range []Format{Msgpack, JSON} {
			whole := Append(nil, &c.frame, format)
			for n := range whole {
				var f Frame
				err := Decode(whole[:n:n], &f, format)
				if de, ok := err.(DecodeError); !ok || de.Code != CodeBadFrame {
					t.Fatalf("%s cut to %d bytes: %v", c.name, n, err)
				}
			}
		}
	}
}

// TestMissingField leaves out each required field of each op.
func TestMissingField(t *testing.T) {
	for _, c := range goldenFrames() {
		spec := Spec(c.frame.Op)
		for i := range spec.Fields {
			fd := &spec.Fields[i]
			if !fd.Required {
				continue
			}
			elems := generic(&c.frame)
			elems[i+1] = nil
			b, err := msgpack.Marshal(elems)
			if err != nil {
				t.Fatal(err)
			}
			wantBadField(t, b, Msgpack, fd)

			obj := map[string]any{}
			if err := json.Unmarshal(AppendJSON(nil, &c.frame), &obj); err != nil {
				t.Fatal(err)
			}
			delete(obj, fd.Name)
			delete(obj, fd.Name+b64Suffix)
			if b, err = json.Marshal(obj); err != nil {
				t.Fatal(err)
			}
			wantBadField(t, b, JSON, fd)
		}
	}
}

func wantBadField(t *testing.T, b []byte, format Format, fd *Field) {
	t.Helper()
	var f Frame
	err := Decode(b, &f, format)
	if de, ok := err.(DecodeError); !ok || de.Code != CodeBadField || de.Field != fd.Name || de.Op != f.Op {
		t.Errorf("without %s: %v", fd.Name, err)
	}
}

// TestBadFieldKeepsTheRest: an answer to a bad send names the message.
func TestBadFieldKeepsTheRest(t *testing.T) {
	f := Frame{Op: OpSendMessage, To: []byte("b\x00b"), Content: []byte("hi"), ClientMsgID: []byte("m-1")}
	for _, format := range []Format{Msgpack, JSON} {
		var got Frame
		err := Decode(Append(nil, &f, format), &got, format)
		if de, ok := err.(DecodeError); !ok || de.Field != "to" {
			t.Errorf("format %d: %v", format, err)
		}
		if string(got.ClientMsgID) != "m-1" || got.To != nil {
			t.Errorf("format %d: got %+v", format, got)
		}
	}
}

// generic returns the elements of f's binary form as Go values.
func generic(f *Frame) []any {
	spec := Spec(f.Op)
	elems := []any{uint64(f.Op)}
	for i := range spec.Fields {
		fd := &spec.Fields[i]
		v, _ := f.num(fd.member)
		switch {
		case !fd.Required && f.absent(fd):
			elems = append(elems, nil)
		case fd.Type == TypeText, fd.Type == TypeID:
			elems = append(elems, string(*f.view(fd.member)))
		case fd.Type == TypeBytes:
			elems = append(elems, bytes.Clone(*f.view(fd.member)))
		case fd.Type == TypeChat:
			elems = append(elems, f.Chat[:])
		case fd.Type == TypeBool:
			elems = append(elems, f.Retryable)
		case fd.Type == TypeLimits:
			l := f.Limits.list()
			elems = append(elems, []any{uint64(l[0]), uint64(l[1]), uint64(l[2])})
		default:
			elems = append(elems, v)
		}
	}
	return elems
}

// TestSecondOpinion shows that the bytes are ordinary msgpack: an independent
// library reads ours to the same values, and we read its own.
func TestSecondOpinion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := genFrame().Draw(t, "frame")
		want := generic(&f)

		var theirs []any
		if err := msgpack.Unmarshal(AppendMsgpack(nil, &f), &theirs); err != nil {
			t.Fatal(err)
		}
		for len(theirs) < len(want) {
			theirs = append(theirs, nil) // left out at the end
		}
		if got, want := fmt.Sprintf("%#v", unsign(theirs)), fmt.Sprintf("%#v", unsign(want)); got != want {
			t.Fatalf("they read %s\nwe wrote  %s", got, want)
		}

		for _, compact := range []bool{true, false} {
			var b bytes.Buffer
			enc := msgpack.NewEncoder(&b)
			enc.UseCompactInts(compact)
			if err := enc.Encode(signAll(want)); err != nil {
				t.Fatal(err)
			}
			var got Frame
			if err := DecodeMsgpack(b.Bytes(), &got); err != nil || !reflect.DeepEqual(got, f) {
				t.Fatalf("we read %+v, %v\nthey wrote %+v", got, err, f)
			}
		}
	})
}

// unsign turns every number into a uint64.
func unsign(list []any) []any {
	out := make([]any, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case int8, int16, int32, int64:
			out[i] = uint64(reflect.ValueOf(v).Int())
		case uint8, uint16, uint32:
			out[i] = reflect.ValueOf(v).Uint()
		case []any:
			out[i] = unsign(v)
		default:
			out[i] = v
		}
	}
	return out
}

// signAll turns every number into an int64, which libraries write differently.
func signAll(list []any) []any {
	out := make([]any, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case uint64:
			out[i] = int64(v)
		case []any:
			out[i] = signAll(v)
		default:
			out[i] = v
		}
	}
	return out
}

// TestSecondOpinionJSON does the same for the text form with encoding/json.
func TestSecondOpinionJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := genFrame().Draw(t, "frame")
		ours := AppendJSON(nil, &f)
		dec := json.NewDecoder(bytes.NewReader(ours))
		dec.UseNumber()
		var obj map[string]any
		if err := dec.Decode(&obj); err != nil {
			t.Fatalf("%v in %s", err, ours)
		}
		theirs, err := json.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		var got Frame
		if err := DecodeJSON(theirs, &got); err != nil || !reflect.DeepEqual(got, f) {
			t.Fatalf("we read %+v, %v\nthey wrote %s", got, err, theirs)
		}
	})
}

// TestNotUTF8: text frames that are not UTF-8, which golden.json cannot hold.
func TestNotUTF8(t *testing.T) {
	for _, s := range []string{
		"{\"type\":\"ping\",\"x\":\"caf\xe9\"}",
		"{\"type\":\"ping\",\"\xff\":1}",
		"{\"type\":\"typing\",\"state\":\"start\xc0\x80\"}",
		"{\"type\":\"send_message\",\"to\":\"bob\",\"client_msg_id\":\"m\",\"content\":\"\xed\xa0\x80\"}",
	} {
		var f Frame
		if err := DecodeJSON([]byte(s), &f); err != (DecodeError{Code: CodeBadFrame}) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// hotFrames are those of which an edge handles one or more per message.
func hotFrames() map[string]Frame {
	return map[string]Frame{
		"send_message":  {Op: OpSendMessage, Chat: aliceBob, Content: []byte("Hello, Bob!"), ClientMsgID: []byte("01JD9Z8"), Kind: []byte("text"), ReplyTo: 7},
		"new_message":   {Op: OpNewMessage, Chat: aliceBob, Seq: 42, User: []byte("jörg and more than thirty-two bytes of him"), Content: []byte("Hello, Bob!"), At: someTime, ClientMsgID: []byte("01JD9Z8")},
		"ack_sent":      {Op: OpAckSent, ClientMsgID: []byte("01JD9Z8"), Chat: aliceBob, Seq: 42, At: someTime},
		"ack_delivered": {Op: OpAckDelivered, Chat: aliceBob, Seq: 42},
		"ack_read":      {Op: OpAckRead, Chat: aliceBob, Seq: 42},
		"status_update": {Op: OpStatusUpdate, Chat: aliceBob, Seq: 42, User: []byte("bob"), Status: StatusRead},
		"ping":          {Op: OpPing},
	}
}

func TestNoAllocations(t *testing.T) {
	for name, f := range hotFrames() {
		b := AppendMsgpack(nil, &f)
		buf := make([]byte, 0, 2*len(b))
		if n := testing.AllocsPerRun(100, func() { buf = AppendMsgpack(buf[:0], &f) }); n != 0 {
			t.Errorf("AppendMsgpack of %s allocates %v times", name, n)
		}
		var got Frame
		if n := testing.AllocsPerRun(100, func() {
			if DecodeMsgpack(b, &got) != nil {
				t.Fatal("refused")
			}
		}); n != 0 {
			t.Errorf("DecodeMsgpack of %s allocates %v times", name, n)
		}
	}
}

// TestViews: what is decoded from the binary form lies inside the input and
// cannot be appended to into what follows; the text form keeps nothing of it.
func TestViews(t *testing.T) {
	for _, c := range goldenFrames() {
		b := AppendMsgpack(nil, &c.frame)
		var f Frame
		if err := DecodeMsgpack(b, &f); err != nil {
			t.Fatal(err)
		}
		checkViews(t, b, &f)

		b = AppendJSON(nil, &c.frame)
		if err := DecodeJSON(b, &f); err != nil {
			t.Fatal(err)
		}
		clear(b)
		if !reflect.DeepEqual(f, c.frame) {
			t.Errorf("%s changed with the bytes it was decoded from", c.name)
		}
	}
}

func checkViews(t testing.TB, b []byte, f *Frame) {
	t.Helper()
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for m := mToken; m <= mRetryAfter; m++ {
		v := f.view(m)
		if v == nil || len(*v) == 0 {
			continue
		}
		at := uintptr(unsafe.Pointer(unsafe.SliceData(*v)))
		if at < start || at+uintptr(len(*v)) > start+uintptr(len(b)) {
			t.Errorf("member %d of %s is outside of the input", m, f.Op)
		}
		if cap(*v) != len(*v) {
			t.Errorf("appending to member %d of %s would overwrite what follows", m, f.Op)
		}
	}
}

// TestUnencodable: text that no decoder lets in still makes valid frames.
func TestUnencodable(t *testing.T) {
	f := Frame{Op: OpError, Code: CodeInternal, Message: []byte("caf\xe9")}
	if got, want := string(AppendJSON(nil, &f)), `{"type":"error","code":1901,"message":"caf`+"\uFFFD"+`"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	f.Message = bytes.Repeat([]byte("x"), 70000)
	var theirs []any
	if err := msgpack.Unmarshal(AppendMsgpack(nil, &f), &theirs); err != nil || theirs[2] != string(f.Message) {
		t.Errorf("a text over 64 KiB does not survive: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("an op without a row must panic: it is a bug of the caller")
		}
	}()
	AppendMsgpack(nil, &Frame{Op: 200})
}
