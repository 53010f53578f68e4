// Package tidy holds the rules of this repository that a compiler does not
// know, as one fast test: who may import whom, how large things may get, where
// goroutines start and the clock is read, what may live in a package variable,
// and that documents point at what exists.
//
// Each rule is a function from the parsed repository to findings, and has a
// reason that a failure prints. Exceptions stand in exceptions_test.go with
// their own reasons; one that is no longer needed is a failure too, so that the
// list stays short. The table of imports is the one in ARCHITECTURE.md.
//
// The package has no code outside of its tests.
package tidy
