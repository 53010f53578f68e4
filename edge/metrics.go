package edge

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/wire"
)

// counters are those of one loop. Each loop writes its own; anybody may read.
type counters struct {
	live        atomic.Int64
	leaving     atomic.Int64 // leavers
	held        atomic.Int64 // bytes that sockets have not taken
	opened      atomic.Uint64
	vanished    atomic.Uint64 // ended without a close from either side
	reads       atomic.Uint64
	writes      atomic.Uint64
	bytesOut    atomic.Uint64
	framesOut   atomic.Uint64
	asked       atomic.Uint64
	batches     atomic.Uint64
	batchDrops  atomic.Uint64
	inboxDrops  atomic.Uint64
	pendingFull atomic.Uint64
	noRoute     atomic.Uint64
	lost        atomic.Uint64
	stale       atomic.Uint64
	badItems    atomic.Uint64
	reopened    atomic.Uint64
}

// serverCounters are those of what happens outside the loops.
type serverCounters struct {
	refused    codeCounter
	callsFull  atomic.Uint64
	cutOffs    atomic.Uint64
	badBatches atomic.Uint64
	badItems   atomic.Uint64
}

// codeCounter counts by code.
type codeCounter struct {
	by [len(wire.Codes)]atomic.Uint64
}

func (c *codeCounter) add(code wire.Code) {
	for i := range wire.Codes {
		if wire.Codes[i].Code == code {
			c.by[i].Add(1)
		}
	}
}

// loopMetric is a row of the table of what loops count: the sum over the loops
// is shown.
type loopMetric struct {
	name, help string
	value      func(l *loop) uint64
}

// loopMetrics is the table. Everything in it only grows.
var loopMetrics = [...]loopMetric{
	{"connections_opened_total", "WebSockets that a loop took over.", func(l *loop) uint64 { return l.n.opened.Load() }},
	{"messages_received_total", "Messages from clients.", func(l *loop) uint64 { return l.shared.Counters.Messages.Load() }},
	{"frames_sent_total", "Frames to clients.", func(l *loop) uint64 { return l.n.framesOut.Load() }},
	{"socket_reads_total", "Reads that brought bytes.", func(l *loop) uint64 { return l.n.reads.Load() }},
	{"socket_writes_total", "Writes to sockets.", func(l *loop) uint64 { return l.n.writes.Load() }},
	{"socket_written_bytes_total", "Bytes written to sockets.", func(l *loop) uint64 { return l.n.bytesOut.Load() }},
	{"core_items_total", "Requests and hints to cores.", func(l *loop) uint64 { return l.n.asked.Load() }},
	{"core_batches_total", "Batches to cores.", func(l *loop) uint64 { return l.n.batches.Load() }},
	{"requests_lost_total", "Requests whose answer will not come.", func(l *loop) uint64 { return l.n.lost.Load() }},
	{"sessions_reopened_total", "Sessions opened again at a new leader.", func(l *loop) uint64 { return l.n.reopened.Load() }},
	{"sends_total", "send_message passed to a core.", func(l *loop) uint64 { return l.shared.Counters.Sends.Load() }},
	{"acks_total", "ack_sent.", func(l *loop) uint64 { return l.shared.Counters.Acked.Load() }},
	{"pushes_total", "Pushes written to clients.", func(l *loop) uint64 { return l.shared.Counters.Pushed.Load() }},
	{"errors_total", "Error frames.", func(l *loop) uint64 { return l.shared.Counters.Refused.Load() }},
	{"too_fast_total", "Operations refused for going too fast.", func(l *loop) uint64 { return l.shared.Counters.TooFast.Load() }},
	{"syncs_total", "Syncs that ended.", func(l *loop) uint64 { return l.shared.Counters.Syncs.Load() }},
	{"resyncs_total", "Syncs that were started again.", func(l *loop) uint64 { return l.shared.Counters.Resyncs.Load() }},
	{"receipt_retries_total", "Receipts and marks asked again.", func(l *loop) uint64 { return l.shared.Counters.AckRetries.Load() }},
}

// loopDrops is the same for what was dropped or refused, each with its reason.
var loopDrops = [...]loopMetric{
	{"inbox_full", "", func(l *loop) uint64 { return l.n.inboxDrops.Load() }},
	{"link_refused_batch", "", func(l *loop) uint64 { return l.n.batchDrops.Load() }},
	{"requests_full", "", func(l *loop) uint64 { return l.n.pendingFull.Load() }},
	{"no_route", "", func(l *loop) uint64 { return l.n.noRoute.Load() }},
	{"session_gone", "", func(l *loop) uint64 { return l.n.stale.Load() }},
	{"bad_item", "", func(l *loop) uint64 { return l.n.badItems.Load() }},
	{"status_old", "", func(l *loop) uint64 { return l.shared.Counters.OldStatuses.Load() }},
	{"typing_slow_reader", "", func(l *loop) uint64 { return l.shared.Counters.ShedTyping.Load() }},
	{"push_slow_reader", "", func(l *loop) uint64 { return l.shared.Counters.ShedPush.Load() }},
	{"slow_reader_loop_full", "", func(l *loop) uint64 { return l.shared.Counters.ShedTight.Load() }},
	{"push_before_live", "", func(l *loop) uint64 { return l.shared.Counters.ShedEarly.Load() }},
	{"typing_too_fast", "", func(l *loop) uint64 { return l.shared.Counters.TypingTooFast.Load() }},
	{"receipt_after_close", "", func(l *loop) uint64 { return l.shared.Counters.AcksGivenUp.Load() }},
	{"answer_unexpected", "", func(l *loop) uint64 { return l.shared.Counters.StaleReplies.Load() }},
}

// serverDrops is the same for what happens outside the loops.
var serverDrops = [...]struct {
	reason string
	value  func(s *Server) uint64
}{
	{"verify_queue_full", func(s *Server) uint64 { return s.verify.full.Load() }},
	{"rest_calls_full", func(s *Server) uint64 { return s.n.callsFull.Load() }},
	{"http_made_room", func(s *Server) uint64 { return s.gate.madeRoom.Load() }},
	{"bad_batch", func(s *Server) uint64 { return s.n.badBatches.Load() }},
	{"unknown_item", func(s *Server) uint64 { return s.n.badItems.Load() }},
}

// Messages returns how many messages clients have sent here.
func (s *Server) Messages() (n uint64) {
	for _, l := range s.loops {
		n += l.shared.Counters.Messages.Load()
	}
	return n
}

const metricPrefix = "godwit_edge_"

func metricDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (s *Server) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, ch) }

// Collect implements prometheus.Collector. It stops nobody: counters are read
// one by one.
func (s *Server) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(name, help string, v int) {
		ch <- prometheus.MustNewConstMetric(metricDesc(name, help), prometheus.GaugeValue, float64(v))
	}
	gauge("connections", "WebSockets that are open.", s.Connections())
	gauge("connections_max", "How many may be.", s.cfg.MaxConnections)
	gauge("outbound_held_bytes", "Bytes that sockets have not taken.", int(s.sum(func(l *loop) uint64 { return uint64(l.n.held.Load()) })))
	counter(metricDesc("cut_offs_total", "Times that clients were sent away because no core was connected."), s.n.cutOffs.Load())
	for _, m := range loopMetrics {
		counter(metricDesc(m.name, m.help), s.sum(m.value))
	}
	drops := metricDesc("drops_total", "What was dropped or refused, by reason.", "reason")
	for _, m := range loopDrops {
		counter(drops, s.sum(m.value), m.name)
	}
	for _, m := range serverDrops {
		counter(drops, m.value(s), m.reason)
	}
	tokens := metricDesc("tokens_refused_total", "Tokens refused, by the check that failed; keys when the issuer's could not be fetched.", "check")
	for i := range s.verify.refused {
		check := "other"
		if i < len(tokenChecks) {
			check = tokenChecks[i]
		}
		counter(tokens, s.verify.refused[i].Load(), check)
	}
	closes := metricDesc("closes_total", "Connections that ended, by the name of the error; client when the client closed, vanished when nobody did.", "error")
	counter(closes, s.sum(func(l *loop) uint64 { return l.shared.Counters.Closes[0].Load() }), "client")
	counter(closes, s.sum(func(l *loop) uint64 { return l.n.vanished.Load() }), "vanished")
	refused := metricDesc("upgrades_refused_total", "Upgrades refused, by the name of the error.", "error")
	for i := range wire.Codes {
		name := wire.Codes[i].Name
		if n := s.sum(func(l *loop) uint64 { return l.shared.Counters.Closes[i+1].Load() }); n > 0 {
			counter(closes, n, name)
		}
		if n := s.n.refused.by[i].Load(); n > 0 {
			counter(refused, n, name)
		}
	}
}

// sum adds a value up over the loops.
func (s *Server) sum(value func(*loop) uint64) (total uint64) {
	for _, l := range s.loops {
		total += value(l)
	}
	return total
}
