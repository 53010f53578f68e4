package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
)

// call is one question, put to as many members as it takes.
type call struct {
	method, path string
	body         []byte
	limit        int64         // bytes of the answer
	within       time.Duration // for one attempt
}

// Pauses between rounds over all addresses, each between half and all of it.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
	// maxFollows bounds how often in a row a member names another one, which
	// two that are out of date could do for ever.
	maxFollows = 3
)

// do puts the question until there is an answer, a refusal, or ctx ends. The
// answer is nil when there is nothing new (304).
func (c *Client) do(ctx context.Context, q call) ([]byte, error) {
	pause := firstPause
	var last error
	for tried, follows := 0, 0; ; {
		addr := c.pick()
		b, err := c.ask(ctx, addr, q)
		if err == nil {
			c.prefer(addr)
			return b, nil
		}
		var p *Problem
		known := errors.As(err, &p)
		if known && !p.Retryable {
			c.prefer(addr)
			return nil, p
		}
		if ctx.Err() != nil {
			return nil, unanswered(ctx, last, err)
		}
		last = err
		if known && p.Leader != "" && p.Leader != addr && follows < maxFollows {
			follows++
			c.prefer(p.Leader)
			continue
		}
		follows = 0
		if tried++; tried < c.skip(addr) {
			continue
		}
		tried = 0
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return nil, unanswered(ctx, last, ctx.Err())
		}
		pause = min(2*pause, lastPause)
	}
}

// unanswered is the error of a call that ran out of time: what a member said
// last, or that nobody said anything.
func unanswered(ctx context.Context, last, err error) error {
	var p *Problem
	if errors.As(last, &p) || errors.As(err, &p) {
		return p
	}
	if last == nil {
		last = err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return fault.New(fault.NoControl, "%w", last)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pick returns the address to try.
func (c *Client) pick() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.leader != "" {
		return c.mu.leader
	}
	if len(c.mu.addrs) == 0 {
		return ""
	}
	return c.mu.addrs[c.mu.next%len(c.mu.addrs)]
}

func (c *Client) prefer(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.leader = addr
}

// skip goes on to the next address after addr failed, and returns how many
// there are. Another call may have gone on already.
func (c *Client) skip(addr string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.mu.leader == addr:
		c.mu.leader = ""
	case c.mu.leader == "" && len(c.mu.addrs) > 0 && c.mu.addrs[c.mu.next%len(c.mu.addrs)] != addr:
		return len(c.mu.addrs)
	}
	c.mu.next++
	return len(c.mu.addrs)
}

// ask puts the question to one member. A refusal is a *Problem.
func (c *Client) ask(ctx context.Context, addr string, q call) ([]byte, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("the address %q is not host:port", addr)
	}
	ctx, cancel := context.WithTimeout(ctx, q.within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.method, c.scheme+"://"+addr+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.secret)
	if q.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return readAll(addr, resp.Body, q.limit)
	case http.StatusNotModified, http.StatusNoContent:
		return nil, nil
	}
	return nil, refusal(addr, resp)
}

func readAll(addr string, r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s answers with more than %d bytes", addr, limit)
	}
	return b, nil
}

// refusal reads the Problem of an answer. Something that is not godwit does
// not send one: then it is an ordinary error, and another address is tried.
func refusal(addr string, resp *http.Response) error {
	b, err := readAll(addr, resp.Body, maxProblem)
	if err != nil {
		return err
	}
	p := new(Problem)
	if resp.Header.Get("Content-Type") != ProblemContent || json.Unmarshal(b, p) != nil || p.Code == 0 {
		return fmt.Errorf("%s answers %s, which is not godwit's control", addr, resp.Status)
	}
	return p
}
