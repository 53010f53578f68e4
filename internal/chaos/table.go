package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// line is what a run says of a trial when it is over.
func (t *Trial) line() string {
	verdict := "ok"
	if !t.OK() {
		var parts []string
		for _, c := range slices.Sorted(maps.Keys(t.Broken)) {
			parts = append(parts, fmt.Sprintf("%s %d", c, t.Broken[c]))
		}
		verdict = "BROKEN: " + strings.Join(parts, ", ")
	}
	text := fmt.Sprintf("%3d  %-34s %6d acked  %s  %4.0f s  %s  (%s)", t.Number, t.Fault, t.Acked, t.Recovery, t.Took.Seconds(), verdict, t.What)
	for _, finding := range t.Findings {
		text += "\n       " + strings.ReplaceAll(strings.TrimSpace(finding), "\n", "\n         ")
	}
	return text
}

// String returns how many conversations waited, and how long.
func (r recovery) String() string {
	if r.Stalled == 0 {
		return "nobody waited"
	}
	return fmt.Sprintf("%d waited, p50 %s, p99 %s", r.Stalled, short(r.P50), short(r.P99))
}

func short(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// Table returns the report as a table of faults and checks for people: in each
// cell how often the check failed.
func (r *Report) Table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "fault\ttrials\tacked\t%s\twaited\tp50\tp99\n", strings.Join(Checks(), "\t"))
	var rows []string
	byFault := map[string][]*Trial{}
	for i := range r.Trials {
		t := &r.Trials[i]
		if byFault[t.Fault] == nil {
			rows = append(rows, t.Fault)
		}
		byFault[t.Fault] = append(byFault[t.Fault], t)
	}
	var all []*Trial
	for _, name := range rows {
		writeRow(w, name, byFault[name])
		all = append(all, byFault[name]...)
	}
	writeRow(w, "all", all)
	_ = w.Flush() // a strings.Builder takes everything
	for _, check := range slices.Sorted(maps.Keys(r.Known)) {
		fmt.Fprintf(&b, "known to fail: %s: %s\n", check, r.Known[check])
	}
	for _, text := range r.LeftOut {
		fmt.Fprintf(&b, "left out: %s\n", text)
	}
	return b.String()
}

func writeRow(w *tabwriter.Writer, name string, trials []*Trial) {
	var acked uint64
	broken := map[string]uint64{}
	worst := recovery{}
	for _, t := range trials {
		acked += t.Acked
		for c, n := range t.Broken {
			broken[c] += n
		}
		worst.Stalled += t.Recovery.Stalled
		worst.P50, worst.P99 = max(worst.P50, t.Recovery.P50), max(worst.P99, t.Recovery.P99)
	}
	fmt.Fprintf(w, "%s\t%d\t%d", name, len(trials), acked)
	for _, c := range Checks() {
		fmt.Fprintf(w, "\t%d", broken[c])
	}
	fmt.Fprintf(w, "\t%d\t%s\t%s\n", worst.Stalled, short(worst.P50), short(worst.P99))
}
