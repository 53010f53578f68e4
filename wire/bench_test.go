package wire

import (
	"fmt"
	"testing"
)

func BenchmarkAppendMsgpack(b *testing.B) {
	for name, f := range hotFrames() {
		b.Run(name, func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendMsgpack(buf[:0], &f)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, f := range hotFrames() {
		for _, format := range []Format{Msgpack, JSON} {
			b.Run(fmt.Sprintf("%s/%s", [...]string{"msgpack", "json"}[format], name), func(b *testing.B) {
				buf := Append(nil, &f, format)
				var got Frame
				b.SetBytes(int64(len(buf)))
				b.ReportAllocs()
				for b.Loop() {
					if err := Decode(buf, &got, format); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
