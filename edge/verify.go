package edge

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/edge/auth"
	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/wire"
)

// verifyJob is a token to verify for a connection.
type verifyJob struct {
	loop  *loop
	h     handle
	token []byte
}

// verifyTimeout bounds one verification, which may have to fetch keys.
const verifyTimeout = 6 * time.Second

// verifier verifies tokens on a few goroutines of its own.
type verifier struct {
	auth    *auth.Verifier
	log     *slog.Logger
	jobs    chan verifyJob
	full    atomic.Uint64                       // tokens that found the queue full
	refused [len(tokenChecks) + 1]atomic.Uint64 // by what failed, the last for anything else
}

// tokenChecks are what auth.Error.Check may say, as the labels of a metric.
var tokenChecks = [...]string{"present", "length", "form", "algorithm", "critical", "key", "keys", "signature",
	"exp", "nbf", "iat", "iss", "aud", "sub", "device"}

// submit hands a job over; false when too many wait.
func (v *verifier) submit(j verifyJob) bool {
	select {
	case v.jobs <- j:
		return true
	default:
		v.full.Add(1)
		return false
	}
}

// run verifies tokens until ctx ends.
func (v *verifier) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-v.jobs:
			who, code := v.identify(ctx, j.token)
			j.loop.post(work{kind: workVerdict, h: j.h, who: who, code: code})
		}
	}
}

// identify verifies one token within verifyTimeout. It may take long when
// keys have to be fetched.
func (v *verifier) identify(ctx context.Context, token []byte) (session.Identity, wire.Code) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	id, err := v.auth.Verify(ctx, token)
	if err != nil {
		v.note(err)
		return session.Identity{}, auth.CodeOf(err)
	}
	return session.Identity{User: id.User, Device: id.Device, Expires: wire.Millis(id.Expires.UnixMilli())}, wire.OK
}

// note leaves a trace of a refusal for operators: a clock that is off, or an
// issuer that has changed its key, looks like strangers otherwise.
func (v *verifier) note(err error) {
	check := ""
	var e *auth.Error
	if errors.As(err, &e) {
		check = e.Check
	}
	i := slices.Index(tokenChecks[:], check)
	if i < 0 {
		i = len(tokenChecks)
	}
	v.refused[i].Add(1)
	v.log.Debug("edge: a token was refused", "check", check, "error", err) // the error holds nothing of the token
}
