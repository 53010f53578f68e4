package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// control answers as one member of a group would.
func control(t *testing.T, answer http.HandlerFunc) (addr string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), asked
}

func client(t *testing.T, addrs ...string) *api.Client {
	t.Helper()
	c := api.NewClient(api.ClientConfig{Addrs: addrs, Secret: "sesame"})
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func says(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) }
}

func sends(p *api.Problem) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { p.Write(w) }
}

// nobody is an address that refuses connections.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestFindsTheLeader(t *testing.T) {
	leader, asked := control(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			t.Errorf("authorization: %q", r.Header.Get("Authorization"))
		}
		says(api.ReportAnswer{Epoch: 7, Wish: fleet.Drain})(w, r)
	})
	other := api.ProblemOf(fault.New(fault.NotControlLeader, ""))
	other.Leader = leader
	follower, askedFollower := control(t, sends(other))
	c := client(t, nobody(t), follower)
	for range 3 {
		a, err := c.Report(within(t, 10*time.Second), fleet.Report{ID: 3})
		if err != nil || a.Epoch != 7 || a.Wish != fleet.Drain {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if asked.Load() != 3 || askedFollower.Load() != 1 {
		t.Fatalf("3 calls asked the leader %d times and the follower %d: it should remember who leads", asked.Load(), askedFollower.Load())
	}
}

func TestSurvivesMembersThatNameEachOther(t *testing.T) {
	var first, second string
	addrs := [2]*string{&second, &first}
	var round atomic.Int32
	answer := func(to *string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if round.Add(1) > 12 {
				says(api.ReportAnswer{Epoch: 1})(w, r)
				return
			}
			p := api.ProblemOf(fault.New(fault.NotControlLeader, ""))
			p.Leader = *to
			p.Write(w)
		}
	}
	first, _ = control(t, answer(addrs[0]))
	second, _ = control(t, answer(addrs[1]))
	if _, err := client(t, first, second).Report(within(t, 20*time.Second), fleet.Report{}); err != nil {
		t.Fatal(err)
	}
}

func TestRefusalsKeepTheirNumbers(t *testing.T) {
	addr, asked := control(t, sends(api.ProblemOf(fault.New(fault.NameTaken, `"core-1" is node 4`).Advise("start with --replace"))))
	_, err := client(t, addr).Join(within(t, 10*time.Second), api.JoinRequest{})
	if !errors.Is(err, &fault.Error{Code: fault.NameTaken}) || fault.Exit(err) != fault.ExitRefused {
		t.Fatalf("%v, exit %d", err, fault.Exit(err))
	}
	if !strings.Contains(fault.Line(err), `E3303`) || !strings.Contains(fault.Line(err), `node 4; start with --replace`) {
		t.Fatalf("shown as %q", fault.Line(err))
	}
	if asked.Load() != 1 {
		t.Fatalf("a refusal was asked for %d times", asked.Load())
	}
}

func TestNumbersOfNewerVersionsAreShown(t *testing.T) {
	addr, _ := control(t, sends(&api.Problem{Title: "something new", Status: 409, Code: 3388, Advice: "do this"}))
	_, err := client(t, addr).Fleet(within(t, 10*time.Second))
	if err == nil || !strings.Contains(err.Error(), "E3388: something new; do this") || fault.Exit(err) == 0 {
		t.Fatalf("%v", err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	page, _ := control(t, func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) })
	for name, addrs := range map[string][]string{"closed": {nobody(t), nobody(t)}, "something else": {page}, "nonsense": {"x"}, "none": nil} {
		_, err := client(t, addrs...).Fleet(within(t, 300*time.Millisecond))
		if !errors.Is(err, &fault.Error{Code: fault.NoControl}) || fault.Exit(err) != fault.ExitUnreachable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWaitsForALeader(t *testing.T) {
	var calls atomic.Int32
	addr, _ := control(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) < 4 {
			api.ProblemOf(fault.New(fault.NoControlLeader, "")).Write(w)
			return
		}
		says(api.Fleet{Cluster: "c"})(w, r)
	})
	f, err := client(t, addr).Fleet(within(t, 10*time.Second))
	if err != nil || f.Cluster != "c" {
		t.Fatalf("%v, %v", f, err)
	}
	// When none comes, the last word of a member says more than that time ran out.
	calls.Store(-1000)
	if _, err := client(t, addr).Fleet(within(t, 300*time.Millisecond)); !errors.Is(err, &fault.Error{Code: fault.NoControlLeader}) {
		t.Fatalf("%v", err)
	}
}

func TestMapIsOnlyEverNewer(t *testing.T) {
	m, err := shardmap.New(shardmap.Draft{
		Epoch: 5, Slots: shardmap.SpreadSlots(1), Replicas: [][]wire.NodeID{{1}}, Nodes: []shardmap.Node{{ID: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := control(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") == "9" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(m.Encode())
	})
	c := client(t, addr)
	for after, want := range map[uint64]bool{0: true, 4: true, 5: false, 6: false, 9: false} {
		got, err := c.Map(within(t, 10*time.Second), after, time.Second)
		if err != nil || (got != nil) != want {
			t.Errorf("after %d: %v, %v", after, got, err)
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	addr, _ := control(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 64<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if _, err := client(t, addr).Report(within(t, 500*time.Millisecond), fleet.Report{}); err == nil {
		t.Fatal("an answer without end was taken")
	}
}
