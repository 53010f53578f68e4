package report_test

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/internal/story"
	"github.com/godwit-im/godwit/loadgen/check"
	"github.com/godwit-im/godwit/loadgen/report"
	"github.com/godwit-im/godwit/loadgen/swarm"
)

var update = flag.Bool("update", false, "rewrite testdata")

func clean() report.Result {
	return report.Result{
		Pairs: 200, Size: 100, Offered: 1000, Achieved: 999.6, Seconds: 30, Sent: 30000, GeneratorCPU: 0.21,
		Ack:     swarm.Quantiles{Count: 30000, P50: 0.8, P90: 1.1, P99: 2.25, P999: 4, Max: 12.5},
		Receive: swarm.Quantiles{Count: 30000, P50: 1, P90: 1.5, P99: 3, P999: 6, Max: 14},
		Verdict: check.Verdict{Acked: 30000, Seen: 30000},
	}
}

func broken() report.Result {
	r := clean()
	r.Offered, r.Resent, r.HeldBack, r.Disconnects = 0, 12, 3, 400
	r.Errors = map[string]uint64{"read: connection reset by peer": 400, "dial: connection refused": 7}
	r.Verdict = check.Verdict{Acked: 29990, Seen: 29989, Unanswered: 10, Redelivered: 5, Lost: 1, Violations: []check.Violation{{
		Kind: check.Lost, Chat: "pair 4", K: 17, Seq: 18, User: "run-4b", Detail: "acknowledged, never seen by this member",
	}}}
	return r
}

func groups() report.Result {
	r := clean()
	r.Groups, r.Members, r.Interrupted = 20, 8, true
	r.Verdict.GroupAcked, r.Verdict.GroupSeen = 2727, 2726
	return r
}

func TestTable(t *testing.T) {
	for name, r := range map[string]report.Result{"clean": clean(), "broken": broken(), "groups": groups()} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := r.WriteTable(&got); err != nil {
				t.Fatal(err)
			}
			story.Golden(t, "testdata/"+name+".txt", got.String(), *update)
		})
	}
}

func TestConditionHolds(t *testing.T) {
	tests := []struct {
		cond string
		want string // empty: it does not hold
	}{
		{"p99>5", ""},
		{"p99>3", ""}, // equal is not more
		{"p99 > 2.5", "p99>2.5: it is 3"},
		{"ack_p99>1e0", "ack_p99>1: it is 2.25"},
		{"rate<1000", "rate<1000: it is 999.6"},
		{"rate<999", ""},
		{"lost>0", "lost>0: it is 1"},
		{"broken>0", "broken>0: it is 1"},
		{"unanswered>10", ""},
		{"disconnects>399", "disconnects>399: it is 400"},
	}
	r := broken()
	for _, tt := range tests {
		c, err := report.ParseCondition(tt.cond)
		if err != nil {
			t.Errorf("%s: %v", tt.cond, err)
			continue
		}
		text, holds := c.Holds(&r)
		if holds != (tt.want != "") || holds && text != tt.want {
			t.Errorf("%s: holds %v, %q; want %q", tt.cond, holds, text, tt.want)
		}
	}
}

// A gate on a latency must not open because nothing arrived.
func TestUnmeasuredLatencyHolds(t *testing.T) {
	r := report.Result{}
	for _, cond := range []string{"p99>5", "max<5", "ack_p50>1"} {
		c, err := report.ParseCondition(cond)
		if err != nil {
			t.Fatal(err)
		}
		if text, holds := c.Holds(&r); !holds || !strings.Contains(text, "no message was measured") {
			t.Errorf("%s on an empty run: holds %v, %q", cond, holds, text)
		}
	}
}

func TestBadConditionsSayWhatIsWanted(t *testing.T) {
	for cond, want := range map[string]string{
		"p99":       "want NAME>NUMBER",
		"p98>5":     "known are ack_p50,",
		"p99>":      "is not a number",
		"p99>5s":    "without a unit", // it would mean 5 ms
		"p99>=5":    "is not a number",
		"p99>nan":   "is not a number", // it would never hold
		"":          "want NAME>NUMBER",
		"p99=5":     "want NAME>NUMBER",
		"server>1 ": "unknown name",
	} {
		_, err := report.ParseCondition(cond)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", cond, err, want)
		}
	}
}
