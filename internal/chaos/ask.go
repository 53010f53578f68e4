package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// askTimeout bounds one request: a paused process accepts and says nothing.
const askTimeout = 5 * time.Second

// maxAnswer bounds an answer: a page of history.
const maxAnswer = 8 << 20

// get asks url with a bearer token, if any, and decodes a JSON answer into out,
// if any. The connection is not kept: its other end may be killed.
func get(ctx context.Context, url, token string, out any) error {
	return call(ctx, http.MethodGet, url, token, nil, out)
}

// call is get for any method, with a JSON body.
func call(ctx context.Context, method, url, token string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = strings.NewReader(string(b))
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %s: %s", url, resp.Status, strings.TrimSpace(string(b[:min(len(b), 300)])))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// replicaState is what a core says of one of its replicas.
type replicaState struct {
	Shard  wire.ShardID
	Leads  bool
	Leader wire.NodeID
	Failed bool
}

// replicas asks a core what replicas it has.
func (p *Proc) replicas(ctx context.Context) (list []replicaState, err error) {
	err = get(ctx, "http://"+p.addr(portAdmin)+"/debug/shards", "", &list)
	return list, err
}

// digest is what a replica holds.
type digest struct {
	Applied, Bytes uint64
	Sum            string
}

func (p *Proc) digest(ctx context.Context, shard wire.ShardID) (d digest, err error) {
	err = get(ctx, fmt.Sprintf("http://%s/debug/shards/%d/digest", p.addr(portAdmin), shard), "", &d)
	return d, err
}

// compactTimeout bounds a compaction of a core: seconds, with a trial's data.
const compactTimeout = time.Minute

// compact makes a core throw away the log before its state.
func (p *Proc) compact(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, compactTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.addr(portAdmin)+"/debug/compact", nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%s does not compact: %s", p.Name, resp.Status)
	}
	return nil
}
