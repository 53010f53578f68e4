package api

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

// ClientConfig says how to reach control.
type ClientConfig struct {
	Addrs  []string    // API addresses, host:port, at least one
	Secret string      // the join secret
	TLS    *tls.Config // nil: plain HTTP
}

// Client calls the control member that leads, wherever that is.
type Client struct{ cfg ClientConfig }

// NewClient returns a client; it connects when it is first used.
func NewClient(cfg ClientConfig) *Client { return &Client{cfg} }

// Join asks for a place in the fleet.
func (c *Client) Join(ctx context.Context, r JoinRequest) (JoinAnswer, error) { panic("signature") }

// Report reports.
func (c *Client) Report(ctx context.Context, r fleet.Report) (ReportAnswer, error) {
	panic("signature")
}

// Map returns the first map with an epoch above after, waiting for it at most
// wait, at most MaxWait; nil when there is none.
func (c *Client) Map(ctx context.Context, after uint64, wait time.Duration) (*shardmap.Map, error) {
	panic("signature")
}

// Fleet returns all there is to see.
func (c *Client) Fleet(ctx context.Context) (*Fleet, error) { panic("signature") }

// Plan looks at, makes or changes the plan.
func (c *Client) Plan(ctx context.Context, r PlanRequest) (PlanAnswer, error) { panic("signature") }

// Wish says what is to become of a node, named by id or name.
func (c *Client) Wish(ctx context.Context, node string, r WishRequest) (WishAnswer, error) {
	panic("signature")
}

// Forget removes a node that holds nothing and does not report.
func (c *Client) Forget(ctx context.Context, node string) error { panic("signature") }

// Close ends idle connections.
func (c *Client) Close() {}
