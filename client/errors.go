package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Error is an error with a number from the server's table. Find it with
// errors.As, or compare with errors.Is(err, wire.CodeNotMember).
type Error struct {
	Code       Code
	Message    string        // what is wrong, from the server, for a person
	Advice     string        // what to do about it; "" when the server said nothing
	Op         string        // the operation that was refused, such as "ack_read"; "" when none was to blame, or on REST
	ChatID     ChatID        // the conversation that it named; zero when it named none, or on REST
	Retryable  bool          // the same call may succeed later
	RetryAfter time.Duration // not before this, 0 when unknown
}

// Error returns "E1203: what is wrong; what to do". The table completes what
// the server left out.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code.Error()
	}
	text := fmt.Sprintf("E%d: %s", uint16(e.Code), e.Message)
	if e.Advice != "" {
		return text + "; " + e.Advice
	}
	if spec := e.Code.SpecOf(); spec != nil {
		return text + "; " + spec.Do
	}
	return text
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
