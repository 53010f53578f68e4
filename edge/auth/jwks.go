package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"

	"github.com/godwit-im/godwit/wire"
)

// The numbers of fetching keys.
const (
	// JWKSTimeout bounds one fetch, and how long a token waits for its turn to
	// cause one.
	JWKSTimeout = 3 * time.Second
	// JWKSEvery is how often the keys are fetched without being asked for; a
	// key that was withdrawn is believed for as long.
	JWKSEvery = 10 * time.Minute
	// JWKSUnknown is how often a token with an unknown key id may cause a
	// fetch. Anybody can make up key ids.
	JWKSUnknown = 30 * time.Second
	// maxJWKS bounds what is read of an answer: some hundred keys.
	maxJWKS = 512 << 10
	// maxKeyID bounds a token's key id.
	maxKeyID = 256
)

// jwks is a set of public keys behind an address.
type jwks struct {
	address string
	keys    keyfunc.Keyfunc
	stop    context.CancelFunc
	failed  atomic.Bool // the last fetch
	why     atomic.Pointer[string]
}

func newJWKS(ctx context.Context, address string, client *http.Client) (*jwks, error) {
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	if client == nil {
		client = &http.Client{Timeout: JWKSTimeout}
	}
	j := &jwks{address: address}
	bounded := *client
	bounded.Transport = boundedBodies{next: client.Transport, failed: &j.failed}
	bounded.CheckRedirect = func(*http.Request, []*http.Request) error {
		return errors.New("auth: the JWKS address redirects; configure where it leads to")
	}
	ctx, j.stop = context.WithCancel(ctx)
	var err error
	j.keys, err = keyfunc.NewDefaultOverrideCtx(ctx, []string{address}, keyfunc.Override{
		Client:                  &bounded,
		HTTPTimeout:             JWKSTimeout,
		RateLimitWaitMax:        JWKSTimeout,
		RefreshInterval:         JWKSEvery,
		RefreshUnknownKID:       rate.NewLimiter(rate.Every(JWKSUnknown), 1),
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) { return j.fetchFailed },
	})
	if err != nil {
		j.stop()
		return nil, fmt.Errorf("auth: JWKS address: %w", err)
	}
	if !j.have(ctx) {
		go j.retry(ctx)
	}
	return j, nil
}

// have reports whether there is a key.
func (j *jwks) have(ctx context.Context) bool {
	all, err := j.keys.Storage().KeyReadAll(ctx)
	return err == nil && len(all) > 0
}

// retry fetches again, no more often than tokens may cause it, until there are
// keys: nobody brings a token to an edge that is not ready.
func (j *jwks) retry(ctx context.Context) {
	tick := time.NewTicker(JWKSUnknown)
	defer tick.Stop()
	for !j.have(ctx) {
		select {
		case <-tick.C:
			_, _ = j.keys.Storage().KeyRead(ctx, "") // an id that is not there has the keys fetched
		case <-ctx.Done():
			return
		}
	}
}

// trouble is Verifier.Trouble.
func (j *jwks) trouble() (none bool, err error) {
	none = !j.have(context.Background())
	if !none && !j.failed.Load() {
		return false, nil
	}
	why := "it has no keys"
	if said := j.why.Load(); j.failed.Load() && said != nil {
		why = *said
	}
	return none, fmt.Errorf("the keys at %s cannot be fetched: %s; tokens that need them are refused with E%d", j.address, why, wire.CodeUnavailable)
}

// checkAddress keeps keys from travelling where anybody could exchange them.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("auth: JWKS address %q is not a URL such as https://issuer.example/.well-known/jwks.json", address)
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback) {
		return fmt.Errorf("auth: JWKS address %q: use https; http is for loopback hosts only", address)
	}
	return nil
}

func (j *jwks) fetchFailed(_ context.Context, err error) {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next // the last is short: the others repeat the address
	}
	why := err.Error()
	j.why.Store(&why)
	j.failed.Store(true)
}

// keyfunc returns the function that finds a token's key: by its key id, or all
// of them when it has none. Only public keys of the token's algorithm count.
func (j *jwks) keyfunc(ctx context.Context) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		if kid, ok := t.Header["kid"].(string); ok && len(kid) > maxKeyID {
			return nil, refused("key")
		}
		got, err := j.keys.KeyfuncCtx(ctx)(t)
		if err != nil {
			return nil, j.notFound(err)
		}
		candidates := []any{got}
		if set, ok := got.(jwt.VerificationKeySet); ok {
			candidates = candidates[:0]
			for _, k := range set.Keys {
				candidates = append(candidates, k)
			}
		}
		usable := candidates[:0]
		for _, k := range candidates {
			if alg, err := algOf(k); err == nil && alg == t.Method.Alg() && len(usable) < MaxKeys {
				usable = append(usable, k)
			}
		}
		if len(usable) == 0 {
			return nil, j.notFound(jwkset.ErrKeyNotFound)
		}
		return keySet(usable)
	}
}

// notFound says why there is no key: because there is none, or because it
// could not be asked for.
func (j *jwks) notFound(err error) *Error {
	if j.failed.Load() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &Error{Code: wire.CodeUnavailable, Check: "keys"}
	}
	return refused("key")
}

// boundedBodies reads no more of an answer than maxJWKS, and notes answers.
type boundedBodies struct {
	next   http.RoundTripper
	failed *atomic.Bool
}

// RoundTrip implements http.RoundTripper.
func (b boundedBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	b.failed.Store(false) // an answer that cannot be read sets it again
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxJWKS), resp.Body}
	return resp, nil
}
