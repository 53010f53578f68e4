package core

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counters are what a node has done since it started.
type counters struct {
	items, proposals, unproposed              atomic.Uint64
	pushed, repeats, resyncJump, resyncLate   atomic.Uint64
	queueFull, readsFull, opensFull, storage  atomic.Uint64
	refusedLanes, hintsLost, readsUnconfirmed atomic.Uint64
	outboxCounters
	linkCounters
	reads, elected, failures   atomic.Uint64
	touchesUnread, hintsUnread atomic.Uint64
	groupCounters
}

// linkCounters are what was not sent and not understood.
type linkCounters struct {
	unsent, badBatches, badItems, unknownOps atomic.Uint64
}

// groupCounters are what became of the membership of groups.
type groupCounters struct {
	learnersAdded, promoted, removed, changesFailed     atomic.Uint64
	removalsBlocked, rosterUnread, joined, replicasLost atomic.Uint64
	dropped, dropsFailed, handedOver, handOversFailed   atomic.Uint64
	seatsFull                                           atomic.Uint64
}

// outboxCounters are what was left to the outbox and taken up from it.
type outboxCounters struct {
	leftToOutbox, doneLost, resumed, looksPartial atomic.Uint64
}

// counter is one row of the table of counters.
type counter struct {
	name, label, help string
	get               func(*counters) *atomic.Uint64
}

// Applied returns how many items the replicas of this node have applied since it
// started.
func (n *Node) Applied() uint64 { return n.c.items.Load() }

// table names every counter. Those with a label are one metric with a reason.
func table() []counter {
	const refused, left = "godwit_core_refused_total", "godwit_core_dropped_total"
	const refusedHelp = "Requests answered with a retryable error, by reason."
	const changes, changesHelp = "godwit_core_membership_total", "Rounds of a leader over the membership of its shard, by what became of them."
	const replicas, replicasHelp = "godwit_core_replicas_total", "Replicas that this node took up and gave up, by what happened."
	const hands, handsHelp = "godwit_core_handovers_total", "Leaderships offered to another replica, by whether it took them."
	const leftHelp = "Things not sent or not kept, by reason; what must arrive is repeated."
	return []counter{
		{"godwit_core_items_total", "", "Items applied by the replicas of this node.", func(c *counters) *atomic.Uint64 { return &c.items }},
		{"godwit_core_proposals_total", "", "Raft entries proposed.", func(c *counters) *atomic.Uint64 { return &c.proposals }},
		{"godwit_core_proposals_failed_total", "", "Raft entries whose outcome was not seen.", func(c *counters) *atomic.Uint64 { return &c.unproposed }},
		{"godwit_core_pushes_total", "", "Frames pushed to live sessions.", func(c *counters) *atomic.Uint64 { return &c.pushed }},
		{"godwit_core_repeats_total", "", "Bumps whose frame had been pushed before.", func(c *counters) *atomic.Uint64 { return &c.repeats }},
		{"godwit_core_reads_total", "", "Pages read.", func(c *counters) *atomic.Uint64 { return &c.reads }},
		{"godwit_core_elections_won_total", "", "Times a replica of this node became leader.", func(c *counters) *atomic.Uint64 { return &c.elected }},
		{"godwit_core_failed_replicas_total", "", "Replicas out of service because the store failed.", func(c *counters) *atomic.Uint64 { return &c.failures }},
		{"godwit_core_resumed_total", "", "Conversations taken up again from the outbox.", func(c *counters) *atomic.Uint64 { return &c.resumed }},
		{"godwit_core_partial_looks_total", "", "Looks through the outbox that found more conversations than are followed at a time; the next look goes on.", func(c *counters) *atomic.Uint64 { return &c.looksPartial }},
		{"godwit_core_lane_backoffs_total", "", "Times a lane to another shard was refused and waits.", func(c *counters) *atomic.Uint64 { return &c.refusedLanes }},
		{"godwit_core_resyncs_total", "jump", "Sessions told to sync, by reason.", func(c *counters) *atomic.Uint64 { return &c.resyncJump }},
		{"godwit_core_resyncs_total", "unacknowledged", "Sessions told to sync, by reason.", func(c *counters) *atomic.Uint64 { return &c.resyncLate }},
		{refused, "queue_full", refusedHelp, func(c *counters) *atomic.Uint64 { return &c.queueFull }},
		{refused, "readers_busy", refusedHelp, func(c *counters) *atomic.Uint64 { return &c.readsFull }},
		{refused, "no_quorum", refusedHelp, func(c *counters) *atomic.Uint64 { return &c.readsUnconfirmed }},
		{refused, "opens_waiting", refusedHelp, func(c *counters) *atomic.Uint64 { return &c.opensFull }},
		{refused, "storage", refusedHelp, func(c *counters) *atomic.Uint64 { return &c.storage }},
		{left, "outbox", leftHelp, func(c *counters) *atomic.Uint64 { return &c.leftToOutbox }},
		{left, "fanout_done", leftHelp, func(c *counters) *atomic.Uint64 { return &c.doneLost }},
		{left, "hint_at_follower", leftHelp, func(c *counters) *atomic.Uint64 { return &c.hintsLost }},
		{left, "touch_unread", leftHelp, func(c *counters) *atomic.Uint64 { return &c.touchesUnread }},
		{left, "hint_unread", leftHelp, func(c *counters) *atomic.Uint64 { return &c.hintsUnread }},
		{left, "unsent_batch", leftHelp, func(c *counters) *atomic.Uint64 { return &c.unsent }},
		{left, "bad_batch", leftHelp, func(c *counters) *atomic.Uint64 { return &c.badBatches }},
		{changes, "add_learner", changesHelp, func(c *counters) *atomic.Uint64 { return &c.learnersAdded }},
		{changes, "promote", changesHelp, func(c *counters) *atomic.Uint64 { return &c.promoted }},
		{changes, "remove", changesHelp, func(c *counters) *atomic.Uint64 { return &c.removed }},
		{changes, "failed", changesHelp, func(c *counters) *atomic.Uint64 { return &c.changesFailed }},
		{changes, "blocked_without_majority", changesHelp, func(c *counters) *atomic.Uint64 { return &c.removalsBlocked }},
		{changes, "unread_without_quorum", changesHelp, func(c *counters) *atomic.Uint64 { return &c.rosterUnread }},
		{replicas, "joined", replicasHelp, func(c *counters) *atomic.Uint64 { return &c.joined }},
		{replicas, "dropped", replicasHelp, func(c *counters) *atomic.Uint64 { return &c.dropped }},
		{replicas, "drop_failed", replicasHelp, func(c *counters) *atomic.Uint64 { return &c.dropsFailed }},
		{replicas, "lost", replicasHelp, func(c *counters) *atomic.Uint64 { return &c.replicasLost }},
		{hands, "taken", handsHelp, func(c *counters) *atomic.Uint64 { return &c.handedOver }},
		{hands, "not_taken", handsHelp, func(c *counters) *atomic.Uint64 { return &c.handOversFailed }},
		{left, "seat_answer", leftHelp, func(c *counters) *atomic.Uint64 { return &c.seatsFull }},
		{left, "unknown_op", leftHelp, func(c *counters) *atomic.Uint64 { return &c.unknownOps }},
		{left, "bad_item", leftHelp, func(c *counters) *atomic.Uint64 { return &c.badItems }},
	}
}

func (c *counter) desc() *prometheus.Desc {
	if c.label == "" {
		return prometheus.NewDesc(c.name, c.help, nil, nil)
	}
	return prometheus.NewDesc(c.name, c.help, []string{"reason"}, nil)
}

// gauge is one row of the table of gauges.
type gauge struct {
	name, help string
	labels     []string
}

// The gauges, in the order in which Collect sends them.
func gauges() []gauge {
	return []gauge{
		{"godwit_core_leading", "1 when this node leads the shard.", []string{"shard"}},
		{"godwit_core_sessions", "Live sessions known to this node.", nil},
		{"godwit_core_fanout_items", "Bumps and touches that wait for an answer.", nil},
		{"godwit_core_fanout_bytes", "Bytes of bumps and touches that wait for an answer.", nil},
		{"godwit_core_untracked_pushes", "Pushes without room in the unacknowledged guard.", nil},
		{"godwit_core_disk_full", "1 when writes are refused for want of disk space.", nil},
		{"godwit_core_store_bytes", "Bytes of the store on disk.", nil},
		{"godwit_core_store_cache_bytes", "Bytes of the store's block cache.", nil},
		{"godwit_core_store_memtable_bytes", "Bytes of the store not yet in tables.", nil},
	}
}

func (g *gauge) desc() *prometheus.Desc { return prometheus.NewDesc(g.name, g.help, g.labels, nil) }

// Describe makes a Node a prometheus.Collector.
func (n *Node) Describe(ch chan<- *prometheus.Desc) {
	last := ""
	for _, c := range table() {
		if c.name != last {
			ch <- c.desc()
		}
		last = c.name
	}
	for _, g := range gauges() {
		ch <- g.desc()
	}
}

// Collect sends the node's metrics. Labels name shards and reasons, never
// users.
func (n *Node) Collect(ch chan<- prometheus.Metric) {
	for _, c := range table() {
		var labels []string
		if c.label != "" {
			labels = []string{c.label}
		}
		ch <- prometheus.MustNewConstMetric(c.desc(), prometheus.CounterValue, float64(c.get(&n.c).Load()), labels...)
	}
	g := gauges()
	send := func(i int, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(g[i].desc(), prometheus.GaugeValue, v, labels...)
	}
	sessions, items, bytes, untracked := 0, 0, 0, uint64(0)
	for id, r := range n.all() {
		r.mu.Lock()
		sessions += r.mu.live.Len()
		untracked += r.mu.live.Untracked
		i, b := r.mu.fan.Waiting()
		r.mu.Unlock()
		items, bytes = items+i, bytes+b
		send(0, truth(r.leads.Load()), strconv.FormatUint(uint64(id), 10))
	}
	send(1, float64(sessions))
	send(2, float64(items))
	send(3, float64(bytes))
	send(4, float64(untracked))
	send(5, truth(n.full.Load()))
	m := n.store.Metrics()
	send(6, float64(m.DiskSpaceUsage()))
	send(7, float64(m.BlockCache.Size))
	send(8, float64(m.MemTable.Size))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
