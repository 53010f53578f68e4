package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

// ClientConfig says how to reach control.
type ClientConfig struct {
	Addrs  []string    // API addresses, host:port, at least one
	Secret string      // the join secret; space around it does not count
	TLS    *tls.Config // nil: plain HTTP
}

// Client calls the control member that leads, wherever that is. Every call
// tries all addresses, follows to the leader, and goes on with growing pauses
// until somebody answers or its context ends: give it a deadline. A refusal is
// a *Problem and a *fault.Error (E33xx); when nobody answered it is
// fault.NoControl. Methods are safe for concurrent use.
type Client struct {
	http   *http.Client
	scheme string
	secret string

	mu struct {
		sync.Mutex
		addrs  []string
		next   int    // in addrs
		leader string // who answered last, or is said to lead; empty: not known
	}
}

// Times of a client. An attempt is cut short so that a member that is stopped
// or cut off costs a second and not the call.
const (
	dialWithin    = time.Second
	answerWithin  = 3 * time.Second
	idleFor       = time.Minute
	maxAddrs      = 16
	maxHeader     = 32 << 10
	maxProblem    = 64 << 10
	idlePerMember = 2
)

// NewClient returns a client; it connects when it is first used.
func NewClient(cfg ClientConfig) *Client {
	c := &Client{scheme: "http", secret: strings.TrimSpace(cfg.Secret)}
	if cfg.TLS != nil {
		c.scheme = "https"
	}
	c.http = &http.Client{
		Transport: &http.Transport{ // no proxy: control is a neighbour
			DialContext:            (&net.Dialer{Timeout: dialWithin}).DialContext,
			TLSClientConfig:        cfg.TLS,
			TLSHandshakeTimeout:    answerWithin,
			MaxIdleConnsPerHost:    idlePerMember,
			IdleConnTimeout:        idleFor,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.Learn(cfg.Addrs)
	return c
}

// Learn adds addresses to those that are tried, behind the ones that are
// known, 16 in all. Empty and repeated ones are left out.
func (c *Client) Learn(addrs []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
next:
	for _, a := range addrs {
		if a == "" || len(c.mu.addrs) == maxAddrs {
			continue
		}
		for _, known := range c.mu.addrs {
			if known == a {
				continue next
			}
		}
		c.mu.addrs = append(c.mu.addrs, a)
	}
}

// Addrs returns the addresses that are tried.
func (c *Client) Addrs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.mu.addrs...)
}

// Close ends idle connections. Calls under way end with their contexts.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Join asks for a place in the fleet.
func (c *Client) Join(ctx context.Context, r JoinRequest) (JoinAnswer, error) {
	var a JoinAnswer
	return a, c.post(ctx, PathJoin, r, &a)
}

// Report reports.
func (c *Client) Report(ctx context.Context, r fleet.Report) (ReportAnswer, error) {
	var a ReportAnswer
	return a, c.post(ctx, PathReport, r, &a)
}

// Leave says that the process ends in good order.
func (c *Client) Leave(ctx context.Context, r LeaveRequest) error {
	return c.post(ctx, PathLeave, r, nil)
}

// Map returns the first map with an epoch above after, waiting for it at most
// wait, at most MaxWait; nil when there is none by then. A map that is not
// newer is never returned.
func (c *Client) Map(ctx context.Context, after uint64, wait time.Duration) (*shardmap.Map, error) {
	wait = min(max(wait, 0), MaxWait)
	q := url.Values{"after": {strconv.FormatUint(after, 10)}, "wait": {wait.String()}}
	b, err := c.do(ctx, call{method: http.MethodGet, path: PathMap + "?" + q.Encode(), limit: shardmap.MaxEncoded, within: wait + answerWithin})
	if err != nil || b == nil {
		return nil, err
	}
	m, err := shardmap.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("control sent a shard map that cannot be used: %w", err)
	}
	if m.Epoch() <= after {
		return nil, nil
	}
	return m, nil
}

// Fleet returns all there is to see.
func (c *Client) Fleet(ctx context.Context) (*Fleet, error) {
	b, err := c.do(ctx, call{method: http.MethodGet, path: PathFleet, limit: MaxFleet, within: answerWithin})
	if err != nil {
		return nil, err
	}
	f := new(Fleet)
	return f, decode(b, f)
}

// Plan looks at, makes or changes the plan.
func (c *Client) Plan(ctx context.Context, r PlanRequest) (PlanAnswer, error) {
	var a PlanAnswer
	return a, c.post(ctx, PathPlan, r, &a)
}

// Wish says what is to become of a node, named by id or name.
func (c *Client) Wish(ctx context.Context, node string, r WishRequest) (WishAnswer, error) {
	var a WishAnswer
	return a, c.post(ctx, PathNodes+url.PathEscape(node), r, &a)
}

// Forget removes a node that holds nothing and does not report, named by id or
// name.
func (c *Client) Forget(ctx context.Context, node string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: PathNodes + url.PathEscape(node), limit: MaxBody, within: answerWithin})
	return err
}

// post sends question and reads answer, which may be nil.
func (c *Client) post(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	b, err := c.do(ctx, call{method: http.MethodPost, path: path, body: body, limit: MaxBody, within: answerWithin})
	if err != nil || answer == nil {
		return err
	}
	return decode(b, answer)
}

func decode(b []byte, into any) error {
	if err := json.Unmarshal(b, into); err != nil {
		return fault.New(fault.BadControlCall, "its answer cannot be read: %w", err)
	}
	return nil
}
