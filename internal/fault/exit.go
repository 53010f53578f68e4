package fault

import (
	"context"
	"errors"

	"github.com/godwit-im/godwit/wire"
)

// The exit codes of the program. Scripts rely on them; they never change.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2
	ExitConfig      = 3
	ExitBind        = 4
	ExitData        = 5
	ExitUnreachable = 6
	ExitRefused     = 7
	ExitFailIf      = 99
	ExitInterrupted = 130
)

// ExitSpec is the table's row for one exit code.
type ExitSpec struct {
	Exit int
	Text string
}

// Exits is the table of exit codes, for help texts and `godwit explain`.
var Exits = [...]ExitSpec{
	{ExitOK, "done"},
	{ExitFailure, "failed for another reason"},
	{ExitUsage, "the command line cannot be understood"},
	{ExitConfig, "a setting is wrong"},
	{ExitBind, "cannot listen on an address"},
	{ExitData, "cannot use the data directory"},
	{ExitUnreachable, "cannot reach the server"},
	{ExitRefused, "the server refused (E1xxx)"},
	{ExitFailIf, "a --fail-if condition held"},
	{ExitInterrupted, "interrupted"},
}

// Exit returns the exit code for err.
func Exit(err error) int {
	if err == nil {
		return ExitOK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code.Spec().Exit
	}
	var c wire.Code
	if errors.As(err, &c) || numbered(err) {
		return ExitRefused
	}
	if errors.Is(err, context.Canceled) {
		return ExitInterrupted
	}
	return ExitFailure
}
