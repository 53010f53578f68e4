package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden.json, PROTOCOL.md and wire.gen.ts from the table")

const goldenFile = "testdata/golden.json"

// goldenVectors is the form of testdata/golden.json, which the tests of the
// JavaScript client read too.
type goldenVectors struct {
	// Vectors are canonical: both forms decode to Fields and encode to
	// themselves.
	Vectors []vector `json:"vectors"`
	// Lenient are other spellings that decode to Fields.
	Lenient []vector `json:"lenient"`
	// Bad are refused with Code.
	Bad []vector `json:"bad"`
}

// vector is one frame. Fields holds the table's names and values as JSON, with
// `type`; bytes are hex under NAME_hex, and what is absent is left out.
type vector struct {
	Name    string         `json:"name"`
	JSON    string         `json:"json,omitempty"`
	Msgpack string         `json:"msgpack_hex,omitempty"`
	Fields  map[string]any `json:"fields,omitempty"`
	Code    Code           `json:"code,omitempty"`
}

// TestGoldenVectors encodes every golden frame and compares the bytes with the
// file, and decodes the file's bytes in both forms.
func TestGoldenVectors(t *testing.T) {
	want := goldenVectors{Lenient: lenientVectors(), Bad: badVectors()}
	covered := map[Op]bool{}
	for _, c := range goldenFrames() {
		f := c.frame
		want.Vectors = append(want.Vectors, vector{
			Name:    c.name,
			JSON:    string(AppendJSON(nil, &f)),
			Msgpack: hex.EncodeToString(AppendMsgpack(nil, &f)),
			Fields:  fieldsOf(&f),
		})
		covered[f.Op] = true
	}
	for i := range Ops {
		if !covered[Ops[i].Op] {
			t.Errorf("no golden vector of %s", Ops[i].Name)
		}
	}
	compareFile(t, goldenFile, indented(t, want))

	for i, c := range goldenFrames() {
		t.Run(c.name, func(t *testing.T) {
			v := want.Vectors[i]
			for _, format := range []Format{Msgpack, JSON} {
				var got Frame
				if err := Decode(v.bytes(t, format), &got, format); err != nil {
					t.Fatalf("format %d: %v", format, err)
				}
				if !reflect.DeepEqual(got, c.frame) {
					t.Errorf("format %d decodes to\n%+v\nwant\n%+v", format, got, c.frame)
				}
			}
		})
	}
}

func TestLenientVectors(t *testing.T) {
	for _, v := range lenientVectors() {
		t.Run(v.Name, func(t *testing.T) {
			var f Frame
			if err := Decode(v.bytes(t, v.format()), &f, v.format()); err != nil {
				t.Fatal(err)
			}
			if got, want := indented(t, fieldsOf(&f)), indented(t, v.Fields); !bytes.Equal(got, want) {
				t.Errorf("decodes to %s want %s", got, want)
			}
		})
	}
}

func TestBadVectors(t *testing.T) {
	for _, v := range badVectors() {
		t.Run(v.Name, func(t *testing.T) {
			var f Frame
			err := Decode(v.bytes(t, v.format()), &f, v.format())
			de, ok := err.(DecodeError)
			if !ok || de.Code != v.Code {
				t.Errorf("got %v, want %v", err, v.Code)
			}
		})
	}
}

func (v *vector) format() Format {
	if v.JSON != "" {
		return JSON
	}
	return Msgpack
}

func (v *vector) bytes(t testing.TB, format Format) []byte {
	if format == JSON {
		return []byte(v.JSON)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(v.Msgpack, " ", ""))
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return b
}

// fieldsOf lists what f holds by the names of the table.
func fieldsOf(f *Frame) map[string]any {
	spec := Spec(f.Op)
	m := map[string]any{"type": spec.Name}
	for i := range spec.Fields {
		fd := &spec.Fields[i]
		if !fd.Required && f.absent(fd) {
			continue
		}
		v, _ := f.num(fd.member)
		switch fd.Type {
		case TypeText, TypeID:
			m[fd.Name] = string(*f.view(fd.member))
		case TypeBytes:
			m[fd.Name+"_hex"] = hex.EncodeToString(*f.view(fd.member))
		case TypeChat:
			m[fd.Name] = f.Chat.String()
		case TypeUint:
			m[fd.Name] = v
		case TypeBool:
			m[fd.Name] = v != 0
		case TypeStatus:
			m[fd.Name] = f.Status.String()
		case TypeTyping:
			m[fd.Name] = f.Typing.String()
		case TypeLimits:
			l := map[string]any{}
			for i, n := range f.Limits.list() {
				l[limitNames[i]] = n
			}
			m[fd.Name] = l
		default:
			panic(fmt.Sprintf("fieldsOf does not know type %d", fd.Type))
		}
	}
	return m
}

func indented(t testing.TB, v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// compareFile compares a generated file with what it should hold; -update
// writes it.
func compareFile(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v; run: go test ./wire -update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s does not say what the table says; when the table is right, run: go test ./wire -update\n%s",
			name, firstDifference(got, want))
	}
}

// firstDifference names the first line that is not the same.
func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d is   %s\n   should be %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("it has %d lines and should have %d", len(g), len(w))
}
