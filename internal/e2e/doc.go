// Package e2e tests the real binary from outside: processes, signals, files
// and sockets, nothing of its inside. It has no code of its own beside tests.
package e2e
