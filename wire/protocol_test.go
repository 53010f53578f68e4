package wire

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"text/template"
)

const protocolFile = "../docs/PROTOCOL.md"

//go:embed protocol.tmpl.md
var protocolTemplate string

// TestProtocolDoc compares docs/PROTOCOL.md with the prose of protocol.tmpl.md
// and the tables.
func TestProtocolDoc(t *testing.T) {
	tmpl, err := template.New("protocol").Funcs(template.FuncMap{
		"name": docName, "http": docHTTP, "types": docTypes, "ops": docOps, "fields": docFields, "codes": docCodes, "limits": docLimits, "kinds": docKinds,
		"example": docExample, "json": docJSON,
	}).Parse(protocolTemplate)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, map[string]any{
		"Version": Version, "SubprotocolMsgpack": SubprotocolMsgpack, "SubprotocolJSON": SubprotocolJSON,
		"MaxFields": MaxFields, "FrameOverhead": FrameOverhead,
		"DedupeDays": int(DedupeWindow.Hours() / 24), "TypingEvery": TypingEvery, "TypingShown": TypingShown,
	}); err != nil {
		t.Fatal(err)
	}
	compareFile(t, protocolFile, []byte(b.String()))
}

// docName prints the error called name as String does.
func docName(name string) (string, error) {
	for i := range Codes {
		if Codes[i].Name == name {
			return Codes[i].Code.String(), nil
		}
	}
	return "", fmt.Errorf("there is no error %q", name)
}

// docKinds lists the reserved kinds.
func docKinds() string {
	var list []string
	for _, k := range ReservedKinds {
		list = append(list, fmt.Sprintf("  `%s` (%s)", k.Prefix, k.Doc))
	}
	return strings.Join(list, ",\n") + "."
}

// docHTTP prints an error that answers an upgrade.
func docHTTP(name string) (string, error) {
	for i := range Codes {
		if Codes[i].Name == name {
			return fmt.Sprintf("HTTP %d and %s", Codes[i].HTTP, Codes[i].Code.String()), nil
		}
	}
	return "", fmt.Errorf("there is no error %q", name)
}

func docTypes() string {
	var b strings.Builder
	for typ, row := range typeDocs {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", typeNames[typ], row[0], row[1], row[2])
	}
	return b.String()
}

// typeDocs are meaning, msgpack form and JSON form of each type.
var typeDocs = [...][3]string{
	TypeText:   {"text", "str", "string"},
	TypeID:     {fmt.Sprintf("1 to %d bytes of UTF-8 without control characters", MaxID), "str", "string"},
	TypeBytes:  {"bytes that the server does not look into", "bin", "string, or base64 under NAME`_b64`"},
	TypeChat:   {"a conversation", "bin of 16 bytes", "text form, 25 characters"},
	TypeUint:   {"a number from 0 to 2^53-1", "uint", "number"},
	TypeBool:   {"true or false", "bool", "true, false"},
	TypeStatus: {"how far a message has come", enumDoc(statusNames[:]), nameDoc(statusNames[:])},
	TypeTyping: {"whether somebody types", enumDoc(typingNames[:]), nameDoc(typingNames[:])},
	TypeLimits: {"what an edge enforces", "array of uint, in this order", "object: " + nameDoc(limitNames[:])},
}

func enumDoc(names []string) string {
	var list []string
	for v, n := range names {
		if n != "" {
			list = append(list, fmt.Sprintf("%d %s", v, n))
		}
	}
	return "uint: " + strings.Join(list, ", ")
}

func nameDoc(names []string) string {
	var list []string
	for _, n := range names {
		if n != "" {
			list = append(list, "`"+n+"`")
		}
	}
	return strings.Join(list, ", ")
}

var directions = map[Direction]string{ToEdge: "client to edge", ToClient: "edge to client", Both: "both ways"}

func docOps() string {
	var b strings.Builder
	for i := range Ops {
		s := &Ops[i]
		droppable := "no"
		if s.Droppable {
			droppable = "yes"
		}
		fmt.Fprintf(&b, "| %d | [`%s`](#%s) | %s | %s | %d | %s |\n", s.Op, s.Name, s.Name, directions[s.Dir], droppable, s.Since, s.Doc)
	}
	return b.String()
}

func docFields() string {
	var b strings.Builder
	for i := range Ops {
		s := &Ops[i]
		fmt.Fprintf(&b, "\n### %s\n\nOp %d, %s: %s.\n\n", s.Name, s.Op, directions[s.Dir], s.Doc)
		if len(s.Fields) == 0 {
			b.WriteString("No fields.\n")
			continue
		}
		b.WriteString("| Place | Field | Type | Bounds | |\n|---|---|---|---|---|\n")
		for j := range s.Fields {
			fd := &s.Fields[j]
			star := ""
			if fd.Required {
				star = "\\*"
			}
			fmt.Fprintf(&b, "| %d | `%s`%s | %s | %s | %s |\n", j+1, fd.Name, star, typeNames[fd.Type], boundsDoc(fd), fd.Doc)
		}
	}
	return b.String()
}

func boundsDoc(fd *Field) string {
	switch fd.Type {
	case TypeText, TypeID, TypeBytes:
		if fd.Type == TypeBytes {
			return fmt.Sprintf("1 to `limits.content_bytes`, never over %d", fd.Max)
		}
		if !fd.Required {
			return fmt.Sprintf("at most %d", fd.Max)
		}
		return fmt.Sprintf("1 to %d", fd.Max)
	case TypeUint:
		if fd.Max == MaxSeq {
			return fmt.Sprintf("%d to 2^53-1", fd.Min)
		}
		return fmt.Sprintf("%d to %d", fd.Min, fd.Max)
	}
	return ""
}

func docCodes() string {
	var b strings.Builder
	for i := range Codes {
		c := &Codes[i]
		end, retry := "", "no"
		if c.Close != 0 {
			end = strconv.Itoa(int(c.Close))
		}
		if c.Retryable {
			retry = "yes"
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %d | %s | %s | %s |\n", c.Code, c.Name, end, c.HTTP, retry, c.Text, c.Do)
	}
	return b.String()
}

func docLimits() string {
	var b strings.Builder
	for _, l := range []struct {
		what, limit, why string
	}{
		{"user, device and client message ids", bytesDoc(MaxID), "a UUID, an e-mail address or \"issuer\\|subject\""},
		{"content", bytesDoc(MaxContent), fmt.Sprintf("the default; an operator may raise it to %s", bytesDoc(MaxContentCeiling))},
		{"kind", bytesDoc(MaxKind), ""},
		{"name of a group", bytesDoc(MaxName), ""},
		{"token", bytesDoc(MaxToken), "checked before anything parses it"},
		{"message and advice of an error, each", bytesDoc(MaxErrorText), ""},
		{"binary frame", bytesDoc(MaxFrame(Msgpack, MaxContent)), fmt.Sprintf("content and %d", FrameOverhead)},
		{"text frame", bytesDoc(MaxFrame(JSON, MaxContent)), fmt.Sprintf("every byte of content may be spelt `\\u00xx`: six times content and %d", FrameOverhead)},
		{"members of a group", strconv.Itoa(MaxMembers), "the default"},
		{"page of history", fmt.Sprintf("%d messages", HistoryPage), fmt.Sprintf("the default; at most %d", MaxHistoryPage)},
		{"heartbeat", Heartbeat.String(), "the default; welcome says what holds"},
	} {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", l.what, l.limit, l.why)
	}
	return b.String()
}

func bytesDoc(n int) string { return fmt.Sprintf("%d bytes", n) }

func goldenByName(name string) (*Frame, error) {
	for _, c := range goldenFrames() {
		if c.name == name {
			return &c.frame, nil
		}
	}
	return nil, fmt.Errorf("there is no golden frame %q", name)
}

// docExample draws a golden frame in both forms, one element a line.
func docExample(name string) (string, error) {
	f, err := goldenByName(name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "```\n%s\n\n", AppendJSON(nil, f))
	msg := AppendMsgpack(nil, f)
	elems := splitElements(msg)
	spec := Spec(f.Op)
	lines := []string{fmt.Sprintf("array of %d", len(elems)), "op: " + spec.Name}
	for i := range elems[1:] {
		fd := &spec.Fields[i]
		lines = append(lines, fd.Name+": "+valueDoc(f, fd))
	}
	elems = append([][]byte{msg[:1]}, elems...)
	for i, e := range elems {
		hexed := fmt.Sprintf("% x", e)
		for len(hexed) > 47 { // sixteen bytes a line
			fmt.Fprintf(&b, "%s\n", hexed[:47])
			hexed = hexed[48:]
		}
		fmt.Fprintf(&b, "%-47s  %s\n", hexed, lines[i])
	}
	b.WriteString("```\n")
	return b.String(), nil
}

func docJSON(name string) (string, error) {
	f, err := goldenByName(name)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("```\n%s\n```", AppendJSON(nil, f)), nil
}

// splitElements returns the elements of a msgpack array of fewer than sixteen.
func splitElements(b []byte) [][]byte {
	r := reader{b: b[1:]}
	var elems [][]byte
	for len(r.b) > 0 {
		start := r.b
		if !r.skip() {
			panic("a golden frame is not msgpack")
		}
		elems = append(elems, start[:len(start)-len(r.b)])
	}
	return elems
}

func valueDoc(f *Frame, fd *Field) string {
	if !fd.Required && f.absent(fd) {
		return "absent"
	}
	switch fd.Type {
	case TypeText, TypeID, TypeBytes:
		return strconv.Quote(string(*f.view(fd.member)))
	case TypeChat:
		return f.Chat.String()
	}
	v, _ := f.num(fd.member)
	return strconv.FormatUint(v, 10)
}
