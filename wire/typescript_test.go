package wire

import (
	"fmt"
	"strings"
	"testing"
)

const typescriptFile = "../web/src/wire.gen.ts"

// TestTypeScript compares the types of the browser client with the table.
func TestTypeScript(t *testing.T) {
	var b strings.Builder
	b.WriteString("// Code generated from wire/op.go and wire/code.go by `go test ./wire -update`. DO NOT EDIT.\n\n")
	tsConstants(&b)
	tsTypes(&b)
	tsFrames(&b)
	tsOps(&b)
	tsCodes(&b)
	compareFile(t, typescriptFile, []byte(b.String()))
}

func tsConstants(b *strings.Builder) {
	fmt.Fprintf(b, "/** The protocol version that these tables describe. */\nexport const VERSION = %d;\n", Version)
	fmt.Fprintf(b, "export const SUBPROTOCOL_MSGPACK = %q;\nexport const SUBPROTOCOL_JSON = %q;\n\n", SubprotocolMsgpack, SubprotocolJSON)
	b.WriteString("/** The numbers both ends enforce: bytes, unless the name says otherwise. */\nexport const LIMITS = {\n")
	for _, l := range []struct {
		name  string
		value int
	}{
		{"id", MaxID}, {"kind", MaxKind}, {"name", MaxName}, {"token", MaxToken}, {"content", MaxContent},
		{"members", MaxMembers}, {"errorText", MaxErrorText}, {"fields", MaxFields},
		{"historyPage", HistoryPage}, {"maxHistoryPage", MaxHistoryPage}, {"chatText", ChatTextLen},
		{"seq", MaxSeq}, {"heartbeatMs", int(Heartbeat.Milliseconds())},
		{"typingEveryMs", int(TypingEvery.Milliseconds())}, {"typingShownMs", int(TypingShown.Milliseconds())},
	} {
		fmt.Fprintf(b, "  %s: %d,\n", l.name, l.value)
	}
	b.WriteString("} as const;\n\n")
}

func tsTypes(b *strings.Builder) {
	b.WriteString("/** The forms of fields, as PROTOCOL.md describes them. */\nexport type FieldType =")
	for _, tn := range typeNames {
		fmt.Fprintf(b, "\n  | %q", tn)
	}
	b.WriteString(";\n\n")
	tsEnum(b, "STATUS", "Status", statusNames[:])
	tsEnum(b, "TYPING", "TypingState", typingNames[:])
	b.WriteString("/** The names of the elements of `limits`, in the order of the binary form. */\nexport const LIMIT_NAMES = [")
	for i, n := range limitNames {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(b, "%q", n)
	}
	b.WriteString("] as const;\nexport type Limits = Record<(typeof LIMIT_NAMES)[number], number>;\n\n")
}

func tsEnum(b *strings.Builder, table, typ string, names []string) {
	fmt.Fprintf(b, "export const %s = {\n", table)
	for v, n := range names {
		if n != "" {
			fmt.Fprintf(b, "  %s: %d,\n", n, v)
		}
	}
	fmt.Fprintf(b, "} as const;\nexport type %s = keyof typeof %s;\n\n", typ, table)
}

// tsFrames writes one interface for each operation and their unions.
func tsFrames(b *strings.Builder) {
	union := map[Direction][]string{}
	for i := range Ops {
		s := &Ops[i]
		name := camel(s.Name) + "Frame"
		for _, d := range []Direction{ToEdge, ToClient} {
			if s.Dir&d != 0 {
				union[d] = append(union[d], name)
			}
		}
		fmt.Fprintf(b, "/** %s */\nexport interface %s {\n  type: %q;\n", s.Doc, name, s.Name)
		for j := range s.Fields {
			fd := &s.Fields[j]
			optional := "?"
			if fd.Required {
				optional = ""
			}
			fmt.Fprintf(b, "  /** %s */\n  %s%s: %s;\n", fd.Doc, fd.Name, optional, tsType(fd.Type))
		}
		b.WriteString("}\n\n")
	}
	fmt.Fprintf(b, "/** What a client may send. */\nexport type FrameToEdge =\n  | %s;\n\n", strings.Join(union[ToEdge], "\n  | "))
	fmt.Fprintf(b, "/** What a client may receive. */\nexport type FrameToClient =\n  | %s;\n\n", strings.Join(union[ToClient], "\n  | "))
	b.WriteString("export type Frame = FrameToEdge | FrameToClient;\nexport type OpName = Frame[\"type\"];\n\n")
}

func tsType(t Type) string {
	switch t {
	case TypeBytes:
		return "Uint8Array"
	case TypeUint:
		return "number"
	case TypeBool:
		return "boolean"
	case TypeStatus:
		return "Status"
	case TypeTyping:
		return "TypingState"
	case TypeLimits:
		return "Limits"
	}
	return "string"
}

func tsOps(b *strings.Builder) {
	b.WriteString(`/** One field; its place in OpSpec.fields plus one is its place in the binary array. */
export interface FieldSpec {
  readonly name: string;
  readonly type: FieldType;
  readonly required: boolean;
  /** Least value of a required number. */
  readonly min: number;
  /** Most bytes, or greatest value of a number; 0 where the type is the bound. */
  readonly max: number;
}

export interface OpSpec {
  readonly op: number;
  readonly name: OpName;
  readonly dir: "to_edge" | "to_client" | "both";
  readonly droppable: boolean;
  readonly since: number;
  readonly fields: readonly FieldSpec[];
}

/** The codes: the first element of a binary frame. */
export const OP = {
`)
	for i := range Ops {
		fmt.Fprintf(b, "  %s: %d,\n", Ops[i].Name, Ops[i].Op)
	}
	b.WriteString("} as const satisfies Record<OpName, number>;\n\n/** The table of operations, ordered by code. */\nexport const OPS: readonly OpSpec[] = [\n")
	dirs := map[Direction]string{ToEdge: "to_edge", ToClient: "to_client", Both: "both"}
	for i := range Ops {
		s := &Ops[i]
		fmt.Fprintf(b, "  {\n    op: %d,\n    name: %q,\n    dir: %q,\n    droppable: %t,\n    since: %d,\n    fields: [", s.Op, s.Name, dirs[s.Dir], s.Droppable, s.Since)
		for j := range s.Fields {
			fd := &s.Fields[j]
			fmt.Fprintf(b, "\n      { name: %q, type: %q, required: %t, min: %d, max: %d },", fd.Name, typeNames[fd.Type], fd.Required, fd.Min, fd.Max)
		}
		if len(s.Fields) > 0 {
			b.WriteString("\n    ")
		}
		b.WriteString("],\n  },\n")
	}
	b.WriteString("];\n\n")
}

func tsCodes(b *strings.Builder) {
	b.WriteString(`export interface CodeSpec {
  readonly code: number;
  readonly name: CodeName;
  /** The WebSocket close code when the error ends the connection, else 0. */
  readonly close: number;
  /** The status of the same error on REST or at the upgrade. */
  readonly http: number;
  readonly retryable: boolean;
  readonly text: string;
  readonly todo: string;
}

export const CODE = {
`)
	for i := range Codes {
		fmt.Fprintf(b, "  %s: %d,\n", Codes[i].Name, Codes[i].Code)
	}
	b.WriteString("} as const;\nexport type CodeName = keyof typeof CODE;\n\n/** The table of errors, ordered by code. */\nexport const CODES: readonly CodeSpec[] = [\n")
	for i := range Codes {
		c := &Codes[i]
		fmt.Fprintf(b, "  {\n    code: %d,\n    name: %q,\n    close: %d,\n    http: %d,\n    retryable: %t,\n    text: %q,\n    todo: %q,\n  },\n",
			c.Code, c.Name, c.Close, c.HTTP, c.Retryable, c.Text, c.Do)
	}
	b.WriteString("];\n")
}

// typeNames are how PROTOCOL.md and the TypeScript table call the types.
var typeNames = [...]string{
	TypeText: "text", TypeID: "id", TypeBytes: "bytes", TypeChat: "chat", TypeUint: "uint",
	TypeBool: "bool", TypeStatus: "status", TypeTyping: "typing", TypeLimits: "limits",
}

// camel turns send_message into SendMessage.
func camel(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
