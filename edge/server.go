package edge

import (
	"context"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/prometheus/client_golang/prometheus"
)

// Server is a running edge. Its methods may be called from any goroutine.
type Server struct {
	cfg Config
}

var _ prometheus.Collector = (*Server)(nil)

// Open binds the public address and starts the loops. The edge refuses
// upgrades with CodeUnavailable until Attach gave it a link.
func Open(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg}, nil
}

// Events is what the link that this edge will be attached to must call.
func (s *Server) Events() link.Events { return link.Events{} }

// Attach gives the edge its way to the cores. It is called once; the caller
// keeps the link and closes it after the edge.
func (s *Server) Attach(l link.Link) {}

// Addr returns the public address that was bound, host:port.
func (s *Server) Addr() string { return "" }

// Connections returns how many WebSockets are open.
func (s *Server) Connections() int { return 0 }

// Ready says whether the edge can serve: nil, or what it waits for. It is
// what /readyz asks.
func (s *Server) Ready() error { return nil }

// Shutdown says going_away to every client, closes with 1001 and returns when
// all have left or ctx is done, at the latest after Config.DrainFor and a
// moment. Then it closes the edge.
func (s *Server) Shutdown(ctx context.Context) error { return s.Close() }

// Close ends everything at once: listeners, connections and loops. It returns
// when no goroutine of the edge is left.
func (s *Server) Close() error { return nil }

// Describe implements prometheus.Collector.
func (s *Server) Describe(ch chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *Server) Collect(ch chan<- prometheus.Metric) {}
