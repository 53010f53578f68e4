// Package report turns a finished run into what people and scripts read: a
// table, JSON, and the answer to `--fail-if`. It is pure; a Result is a value.
package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/godwit-im/godwit/loadgen/check"
	"github.com/godwit-im/godwit/loadgen/swarm"
)

// Result is one run of the load generator.
type Result struct {
	Server   string  `json:"server"`
	Pairs    int     `json:"pairs"`
	Groups   int     `json:"groups,omitempty"`
	Members  int     `json:"group_size,omitempty"`
	Idle     int     `json:"idle,omitempty"`
	Size     int     `json:"content_bytes"`
	Offered  float64 `json:"offered_per_s"` // 0: closed loop
	Achieved float64 `json:"achieved_per_s"`
	Seconds  float64 `json:"seconds"`
	// Interrupted: somebody ended the run before its time. The verdict is
	// about what was sent until then.
	Interrupted bool `json:"interrupted,omitempty"`

	Sent        uint64 `json:"sent"`
	Resent      uint64 `json:"resent"`
	HeldBack    uint64 `json:"held_back"`
	Connects    uint64 `json:"connects"`
	Disconnects uint64 `json:"disconnects"`

	Ack     swarm.Quantiles   `json:"ack"`
	Receive swarm.Quantiles   `json:"receive"`
	Errors  map[string]uint64 `json:"errors,omitempty"`

	// GeneratorCPU is how much of one core this process used while sending; a
	// generator close to the machine's cores measures itself.
	GeneratorCPU float64       `json:"generator_cpu"`
	Verdict      check.Verdict `json:"verdict"`
}

// Of reads the figures of a finished run.
func Of(s *swarm.Swarm, opt swarm.Options, took time.Duration, v check.Verdict) Result {
	c := &s.Count
	return Result{
		Server: opt.URL, Pairs: opt.Work.Pairs, Groups: opt.Work.Groups, Members: opt.Work.GroupSize, Idle: opt.Idle, Size: opt.Work.Size,
		Offered: opt.Work.Rate, Achieved: float64(v.Acked) / took.Seconds(), Seconds: took.Seconds(),
		Sent: c.Sent.Load(), Resent: c.Resent.Load(), HeldBack: c.HeldBack.Load(),
		Connects: c.Connects.Load(), Disconnects: c.Disconnects.Load(),
		Ack: s.Lat.Ack.Quantiles(), Receive: s.Lat.Receive.Quantiles(),
		Errors: s.Errs.Counts(), Verdict: v,
	}
}

// WriteTable writes the result for a person.
func (r *Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	loop := "closed loop"
	if r.Offered > 0 {
		loop = fmt.Sprintf("%.0f msg/s offered", r.Offered)
	}
	who := fmt.Sprintf("%d pairs", r.Pairs)
	if r.Groups > 0 {
		who += fmt.Sprintf(", %d groups of %d", r.Groups, r.Members)
	}
	fmt.Fprintf(t, "load\t%s, %s, %d-byte contents, %.1f s\n", who, loop, r.Size, r.Seconds)
	if r.Interrupted {
		fmt.Fprintf(t, "\tinterrupted: what follows is about the messages until then\n")
	}
	fmt.Fprintf(t, "messages\t%d sent, %d acknowledged, %d seen, %.0f msg/s\n", r.Sent, r.Verdict.Acked, r.Verdict.Seen, r.Achieved)
	if r.Groups > 0 {
		fmt.Fprintf(t, "in groups\t%d acknowledged, %d seen by every other member\n", r.Verdict.GroupAcked, r.Verdict.GroupSeen)
	}
	if r.Resent+r.HeldBack+r.Disconnects+r.Verdict.Redelivered > 0 {
		fmt.Fprintf(t, "repeats\t%d resent, %d redelivered, %d held back, %d disconnects\n", r.Resent, r.Verdict.Redelivered, r.HeldBack, r.Disconnects)
	}
	fmt.Fprintf(t, "generator\t%.2f cores\n", r.GeneratorCPU)
	t.Flush()
	fmt.Fprintln(w)
	fmt.Fprintf(t, "latency, ms\tp50\tp90\tp99\tp99.9\tmax\n")
	for _, row := range []struct {
		name string
		q    swarm.Quantiles
	}{{"due to ack_sent", r.Ack}, {"due to new_message", r.Receive}} {
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\n", row.name, row.q.P50, row.q.P90, row.q.P99, row.q.P999, row.q.Max)
	}
	t.Flush()
	for _, text := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(w, "%6d x %s\n", r.Errors[text], text)
	}
	return r.writeVerdict(w)
}

func (r *Result) writeVerdict(w io.Writer) error {
	v := &r.Verdict
	verdict, but := "verdict: OK", "but"
	if !v.OK() {
		verdict, but = "verdict: BROKEN", "and"
	}
	if v.Unanswered > 0 {
		verdict += fmt.Sprintf(", %s %d sends were never answered", but, v.Unanswered)
	}
	_, err := fmt.Fprintf(w, "\n%s: %d lost, %d duplicated, %d out of order, %d phantom, %d gaps, %d receipts back\n",
		verdict, v.Lost, v.Duplicated, v.OutOfOrder, v.Phantom, v.Gap, v.Backwards)
	for _, x := range v.Violations {
		fmt.Fprintf(w, "  %s: %s, %s message %d, message_id %d: %s\n", x.Kind, x.User, x.Chat, x.K, x.Seq, x.Detail)
	}
	return err
}

// metrics are the names that --fail-if knows. What was not measured is NaN.
func (r *Result) metrics() map[string]float64 {
	v, ack, receive := &r.Verdict, orNaN(r.Ack), orNaN(r.Receive)
	return map[string]float64{
		"lost": float64(v.Lost), "duplicated": float64(v.Duplicated), "out_of_order": float64(v.OutOfOrder),
		"phantom": float64(v.Phantom), "unanswered": float64(v.Unanswered), "broken": float64(v.Broken()), "rate": r.Achieved,
		"ack_p50": ack.P50, "ack_p99": ack.P99, "ack_p999": ack.P999,
		"p50": receive.P50, "p99": receive.P99, "p999": receive.P999, "max": receive.Max,
		"disconnects": float64(r.Disconnects),
	}
}

// orNaN returns q, or NaNs when no message is behind it.
func orNaN(q swarm.Quantiles) swarm.Quantiles {
	if q.Count > 0 {
		return q
	}
	nan := math.NaN()
	return swarm.Quantiles{P50: nan, P90: nan, P99: nan, P999: nan, Max: nan}
}

// Condition is one --fail-if condition, such as p99>5 or rate<1000.
type Condition struct {
	Name  string
	Less  bool
	Bound float64
}

// ParseCondition reads NAME>NUMBER or NAME<NUMBER; latencies are in
// milliseconds.
func ParseCondition(s string) (Condition, error) {
	var c Condition
	i := strings.IndexAny(s, "<>")
	if i < 0 {
		return c, fmt.Errorf("--fail-if %q: want NAME>NUMBER or NAME<NUMBER, such as p99>5", s)
	}
	c.Name, c.Less = strings.TrimSpace(s[:i]), s[i] == '<'
	names := (&Result{}).metrics()
	if _, ok := names[c.Name]; !ok {
		return c, fmt.Errorf("--fail-if %q: unknown name %q; known are %s", s, c.Name, strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	}
	var err error
	if c.Bound, err = strconv.ParseFloat(strings.TrimSpace(s[i+1:]), 64); err != nil || math.IsNaN(c.Bound) {
		return c, fmt.Errorf("--fail-if %q: %q is not a number; latencies are in milliseconds, without a unit", s, s[i+1:])
	}
	return c, nil
}

// Holds reports whether the condition holds for r, with its text. One about a
// latency that no message was measured for holds: it must not pass for good.
func (c Condition) Holds(r *Result) (string, bool) {
	v := r.metrics()[c.Name]
	op, holds := ">", v > c.Bound
	if c.Less {
		op, holds = "<", v < c.Bound
	}
	if math.IsNaN(v) {
		return fmt.Sprintf("%s%s%g: no message was measured", c.Name, op, c.Bound), true
	}
	return fmt.Sprintf("%s%s%g: it is %g", c.Name, op, c.Bound, v), holds
}
