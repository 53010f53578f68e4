package wire

import (
	"pgregory.net/rapid"
)

// Generators of whatever the table allows, for the property tests.

// idRunes are characters of one to four bytes that an id may have.
var idRunes = []rune{'a', 'Z', '0', ' ', '"', '\\', '/', '<', '~', 'ü', 'ß', 'Ω', '\u2028', '漢', '🪿'}

func genID() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		return []byte(rapid.StringOfN(rapid.SampledFrom(idRunes), 1, MaxID, MaxID).Draw(t, "id"))
	})
}

func genText(maxLen int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		return []byte(rapid.StringN(1, maxLen, maxLen).Draw(t, "text"))
	})
}

// genContent prefers the lengths around which msgpack changes its form.
func genContent() *rapid.Generator[[]byte] {
	return rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 1, 40),
		genText(80),
		rapid.Custom(func(t *rapid.T) []byte {
			n := rapid.SampledFrom([]int{31, 32, 255, 256, 257, 65535, 65536}).Draw(t, "length")
			return make([]byte, n)
		}),
	)
}

func genNumber(least, most uint64) *rapid.Generator[uint64] {
	edges := []uint64{least, most}
	for _, v := range []uint64{1, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32} {
		if v >= least && v <= most {
			edges = append(edges, v)
		}
	}
	return rapid.OneOf(rapid.SampledFrom(edges), rapid.Uint64Range(least, most))
}

func genChat() *rapid.Generator[ChatID] {
	return rapid.Custom(func(t *rapid.T) ChatID {
		var seed [32]byte
		copy(seed[:], rapid.SliceOfN(rapid.Byte(), 15, 15).Draw(t, "seed"))
		return NewChatID(rapid.SampledFrom([]ChatKind{Direct, Group}).Draw(t, "kind"), seed)
	})
}

// genFrame draws a frame of any operation that both ends accept. As after
// decoding, what is absent is nil and what must be there is.
func genFrame() *rapid.Generator[Frame] {
	return rapid.Custom(func(t *rapid.T) Frame {
		spec := &Ops[rapid.IntRange(0, len(Ops)-1).Draw(t, "op")]
		f := Frame{Op: spec.Op}
		for i := range spec.Fields {
			if fd := &spec.Fields[i]; fd.Required || rapid.Bool().Draw(t, fd.Name+" present") {
				genField(t, &f, fd)
			}
		}
		return f
	})
}

func genField(t *rapid.T, f *Frame, fd *Field) {
	switch fd.Type {
	case TypeID:
		*f.view(fd.member) = genID().Draw(t, fd.Name)
	case TypeText:
		*f.view(fd.member) = genText(int(fd.Max)).Draw(t, fd.Name)
	case TypeBytes:
		*f.view(fd.member) = genContent().Draw(t, fd.Name)
	case TypeChat:
		f.Chat = genChat().Draw(t, fd.Name)
	case TypeBool:
		f.Retryable = rapid.Bool().Draw(t, fd.Name)
	case TypeLimits:
		n := func(label string) uint32 { return uint32(genNumber(0, 1<<32-1).Draw(t, label)) }
		f.Limits = Limits{Content: n("content"), Frame: n("frame"), InFlight: n("in flight")}
	default:
		f.setNum(fd.member, genNumber(fd.Min, fd.Max).Draw(t, fd.Name))
	}
}
