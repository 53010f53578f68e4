// Package wire is the contract between every part of godwit: the identifiers,
// the table of operations a client and an edge exchange, the numbered errors
// and the limits that both sides enforce.
//
// The table in op.go is the single source. The binary codec (msgpack.go and
// reader.go), the text codec (json.go and jsonscan.go), docs/PROTOCOL.md, the
// fuzz seeds and the JavaScript types all derive from it, or are checked
// against it by a test; `go test ./wire -update` writes what is made from it.
//
// A decoder allocates nothing for the binary form but the error it returns, and
// at most two bytes for each byte of the text form. What it accepts encodes and
// decodes to the same again, in both forms.
//
// The package is pure: no network, file, clock, random source or goroutine.
// Everything here is safe for concurrent use unless it says otherwise; a Frame
// belongs to whoever decodes into it.
//
// Slices inside a decoded Frame are views of the bytes that were decoded. They
// are valid for as long as the caller keeps those bytes untouched: on an edge,
// until the handler of the read returns. Copy what must live longer.
package wire
