// Package api is godwit's REST interface: who serves here, the conversation
// list, history, groups, and sign-in for development. Its handlers run on
// net/http's goroutines and own nothing; what they know they ask of the cores
// through a Caller, whose concurrency and time are bounded.
//
// Every error is an RFC 9457 problem with a number of wire.Codes and the status
// that stands there. Answers under /v1 are not to be cached. The OpenAPI 3.1 document at
// /openapi.json is made from the types in this package; /docs is a page made
// from that document, which loads nothing from elsewhere.
//
// What it never does: change a log (sends go over the WebSocket), or answer
// from anything but a core's reply.
package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Caller asks the leader of a slot's shard. It fills in Req and Shard of it,
// which it otherwise leaves alone, and returns the answer; the answer's slices
// belong to the caller. The error is a wire.Code: one that the core answered
// with, or CodeUnavailable or CodeTooFast when the question could not be
// asked. It is safe for concurrent use.
type Caller interface {
	Call(ctx context.Context, slot wire.Slot, it *peer.Item) (peer.Item, error)
}

// Config is what the interface serves from. All of it is read only.
type Config struct {
	// Core answers questions about users and conversations. Required.
	Core Caller
	// Verify checks a bearer token and returns whose it is. The error is a
	// wire.Code. Required.
	Verify func(ctx context.Context, token string) (wire.UserID, error)
	// DevToken makes a token for anybody who asks; nil switches the development
	// sign-in off.
	DevToken func(user wire.UserID, device wire.DeviceID) (token string, expires time.Time, err error)
	// Version, Limits and Heartbeat are what GET /v1/server tells.
	Version   string
	Limits    wire.Limits
	Heartbeat time.Duration
}

// The numbers of the interface.
const (
	// callTimeout bounds one question to a core.
	callTimeout = 5 * time.Second
	// previewsAtOnce is how many conversations of one list are asked for their
	// newest message side by side.
	previewsAtOnce = 8
	// maxBody bounds a request's body: a group with wire.MaxMembers ids at
	// their longest, with room for quotes and escapes.
	maxBody = 128 << 10
	// maxDrain is how much of a body that is not wanted is read and thrown away,
	// so that a client which sends first and reads later sees the answer. It
	// costs bandwidth, no memory.
	maxDrain = 32 << 20
	// bodyTimeout bounds how long a body may take, drained or not. It leaves room
	// for the answer within the time that an edge gives the whole request.
	bodyTimeout = 10 * time.Second
)

// Register adds the interface to mux: /v1/..., /openapi.json and /docs. Serve
// the mux through Patient.
func Register(mux *http.ServeMux, cfg Config) {
	a := &api{cfg: cfg}
	hc := huma.DefaultConfig("godwit", cfg.Version)
	hc.Info.Description = "Conversations, history and groups. Messages are sent and received over the WebSocket at /ws; see docs/PROTOCOL.md."
	hc.CreateHooks = nil // no $schema links in answers
	hc.SchemasPath = ""
	hc.DocsPath = ""
	hc.Transformers = []huma.Transformer{toProblem}
	hc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		bearer: {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
	}
	h := humago.New(mux, hc)
	h.UseMiddleware(a.authenticate(h), knownQuery(h), tableStatus)
	a.problem = h.OpenAPI().Components.Schemas.Schema(problemType, true, "Problem")
	a.register(h)
	mux.HandleFunc("/v1/", elsewhere(h.OpenAPI()))
	mux.Handle("GET /docs", docs(h.OpenAPI()))
}

type api struct {
	cfg     Config
	problem *huma.Schema
}

// bearer names the security scheme in the OpenAPI document.
const bearer = "bearer"

// op describes an operation of the interface; open ones need no token.
func (a *api) op(id, method, path, summary string, open bool) huma.Operation {
	o := huma.Operation{
		OperationID:     id,
		Method:          method,
		Path:            path,
		Summary:         summary,
		MaxBodyBytes:    maxBody,
		BodyReadTimeout: bodyTimeout,
		Security:        []map[string][]string{{bearer: {}}},
		Responses: map[string]*huma.Response{"default": {
			Description: "an RFC 9457 problem with the number of the error in code; the status is the one that docs/PROTOCOL.md lists for it, 400 for a request that does not fit this schema",
			Content:     map[string]*huma.MediaType{problemContent: {Schema: a.problem}},
		}},
	}
	if open {
		o.Security = nil
	}
	return o
}

func (a *api) register(h huma.API) {
	huma.Register(h, a.op("server", http.MethodGet, "/v1/server", "what serves here, and its limits", true), a.server)
	huma.Register(h, a.op("list-chats", http.MethodGet, "/v1/chats", "your conversations, most recently active first", false), a.chats)
	huma.Register(h, a.op("list-messages", http.MethodGet, "/v1/chats/{chat_id}/messages", "the history of one conversation", false), a.messages)
	group := a.op("create-group", http.MethodPost, "/v1/groups", "a new group with you as its first member", false)
	group.DefaultStatus = http.StatusCreated
	huma.Register(h, group, a.createGroup)
	if a.cfg.DevToken != nil {
		huma.Register(h, a.op("dev-token", http.MethodPost, "/v1/dev/token", "a token for any name: development only", true), a.devToken)
	}
}

// call asks a core within the time that one question may take.
func (a *api) call(ctx context.Context, slot wire.Slot, it *peer.Item) (peer.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rep, err := a.cfg.Core.Call(ctx, slot, it)
	if err != nil {
		return rep, problemOf(err)
	}
	return rep, nil
}
