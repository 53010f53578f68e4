package client

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Error is an error with a number from the server's table. Find it with
// errors.As, or compare with errors.Is(err, wire.CodeNotMember).
type Error struct {
	Code       Code
	Message    string        // from the server, for a person
	Retryable  bool          // the same call may succeed later
	RetryAfter time.Duration // not before this, 0 when unknown
}

// Error returns "E1203: what is wrong; what to do". A server's message says
// both; the table's advice completes one that says only what is wrong.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code.Error()
	}
	spec := e.Code.SpecOf()
	if spec == nil || strings.Contains(e.Message, "; ") {
		return fmt.Sprintf("E%d: %s", uint16(e.Code), e.Message)
	}
	return fmt.Sprintf("E%d: %s; %s", uint16(e.Code), e.Message, spec.Do)
}

// Unwrap returns the code, which is an error too.
func (e *Error) Unwrap() error { return e.Code }

// WireCode returns the code.
func (e *Error) WireCode() wire.Code { return e.Code }

// Errors without a number: they arise on this side.
var (
	// ErrClosed answers calls on a client that is closed.
	ErrClosed = errors.New("client: closed")
	// ErrOutboxFull answers Send when as many messages as the outbox holds
	// wait for their acknowledgement.
	ErrOutboxFull = errors.New("client: the outbox is full; wait for acknowledgements, or raise Config.Outbox")
	// ErrDuplicateID answers Send when a message with the same id waits.
	ErrDuplicateID = errors.New("client: a message with this id is already being sent")
	// ErrHeartbeat ends a connection on which nothing was heard for two
	// heartbeats.
	ErrHeartbeat = errors.New("client: nothing heard for two heartbeats")
	// ErrWelcome ends a connection on which hello was not answered in time.
	ErrWelcome = errors.New("client: the server did not answer hello in time")
)

// ConnectError says that a server could not be reached. Unwrap gives the
// cause; an answer of the server that refuses is an *Error instead.
type ConnectError struct {
	URL string
	Err error
}

// Error names the address and the cause.
func (e *ConnectError) Error() string { return fmt.Sprintf("client: connect to %s: %v", e.URL, e.Err) }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }
