// Package clienttest is a small godwit server in memory, for the tests of
// applications that use package client. It speaks the real protocol: sockets,
// sends with deduplication, pushes, receipts, sync, history and groups. And it
// fails on demand: it cuts connections, loses acknowledgements, skips pushes.
//
// It trusts every token of its own making, keeps nothing on disk and is not
// built for load. All methods of Server are safe for concurrent use.
package clienttest

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Server is a running server.
type Server struct {
	URL string // give it to client.Config

	http     *http.Server
	listener net.Listener
	sessions sync.WaitGroup

	mu struct {
		sync.Mutex
		chats  map[wire.ChatID]*chat
		users  map[wire.UserID]*user
		live   map[*session]bool
		faults faults
		counts Counts
	}
}

// faults are what the next frames meet.
type faults struct {
	refuseUpgrades int
	refuseCode     wire.Code
	failSends      int
	failCode       wire.Code
	failAfter      wire.Millis
	loseAcks       int
	skipPushes     int
	mute           bool
	heartbeat      time.Duration
}

// Counts are what a server has seen.
type Counts struct {
	Upgrades   int // accepted
	Sends      int // send_message frames, repetitions included
	Stored     int // messages
	Delivered  int // ack_delivered frames
	Reads      int // ack_read frames
	Pings      int
	HistoryGet int // history pages served
}

type chat struct {
	id      wire.ChatID
	name    string
	members []wire.UserID
	log     []message
	byCMID  map[string]wire.Seq // sender + "\x00" + client_msg_id
	cursors map[wire.UserID]*cursor
}

type cursor struct{ delivered, read wire.Seq }

type message struct {
	seq          wire.Seq
	sender       wire.UserID
	cmid, kind   string
	content      []byte
	replyTo      wire.Seq
	at           wire.Millis
	originDevice wire.DeviceID
}

type user struct {
	stamp   wire.Cursor                 // change counter
	changed map[wire.ChatID]wire.Cursor // at which stamp
	devices map[wire.DeviceID]map[wire.ChatID]wire.Seq
}

// New starts a server on a free port of the loopback interface.
func New() *Server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic("clienttest: " + err.Error())
	}
	return start(l, "http://"+l.Addr().String())
}

// NewInMemory starts a server without a network: connect with Dial as
// client.Config's. It works inside a testing/synctest bubble.
func NewInMemory() *Server { return start(newPipes(), "http://godwit.test") }

func start(l net.Listener, url string) *Server {
	s := &Server{URL: url, listener: l}
	s.mu.chats = map[wire.ChatID]*chat{}
	s.mu.users = map[wire.UserID]*user{}
	s.mu.live = map[*session]bool{}
	s.mu.faults.heartbeat = wire.Heartbeat
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", s.upgrade)
	mux.HandleFunc("POST /v1/dev/token", s.devToken)
	mux.HandleFunc("GET /v1/server", s.about)
	mux.HandleFunc("GET /v1/chats", s.listChats)
	mux.HandleFunc("GET /v1/chats/{chat}/messages", s.history)
	mux.HandleFunc("POST /v1/groups", s.createGroup)
	s.http = &http.Server{Handler: mux}
	s.sessions.Go(func() { _ = s.http.Serve(l) }) // ends with Close
	return s
}

// Dial connects to a server made by NewInMemory.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if p, ok := s.listener.(*pipes); ok {
		return p.dial(ctx)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, s.listener.Addr().String())
}

// Close cuts every connection and waits for the server's goroutines.
func (s *Server) Close() {
	_ = s.http.Close()
	s.Cut()
	s.sessions.Wait()
}

// Token returns a token for a user and device; device may be "".
func (s *Server) Token(user wire.UserID, device wire.DeviceID) string {
	return "test." + string(user) + "." + string(device)
}

// owner reads a token.
func owner(token string) (wire.UserID, wire.DeviceID, bool) {
	part := strings.SplitN(token, ".", 3)
	if len(part) != 3 || part[0] != "test" || !wire.ValidID(part[1]) {
		return "", "", false
	}
	return wire.UserID(part[1]), wire.DeviceID(part[2]), true
}

// Cut ends every live connection without a word, as a lost network does.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ses := range s.mu.live {
		ses.conn.Close()
	}
}

// GoAway tells every client to reconnect after d.
func (s *Server) GoAway(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ses := range s.mu.live {
		ses.push(&wire.Frame{Op: wire.OpGoingAway, RetryAfter: wire.Millis(d.Milliseconds())})
	}
}

// RefuseUpgrades answers the next n upgrades with code.
func (s *Server) RefuseUpgrades(n int, code wire.Code) {
	s.with(func(f *faults) { f.refuseUpgrades, f.refuseCode = n, code })
}

// FailSends answers the next n sends with code and retry_after_ms.
func (s *Server) FailSends(n int, code wire.Code, after time.Duration) {
	s.with(func(f *faults) { f.failSends, f.failCode, f.failAfter = n, code, wire.Millis(after.Milliseconds()) })
}

// LoseAcks stores the next n sends and then cuts the connection instead of
// acknowledging them.
func (s *Server) LoseAcks(n int) { s.with(func(f *faults) { f.loseAcks = n }) }

// SkipPushes stores the next n messages without pushing them.
func (s *Server) SkipPushes(n int) { s.with(func(f *faults) { f.skipPushes = n }) }

// Mute makes connections half open: what arrives is ignored, nothing is sent.
func (s *Server) Mute(on bool) { s.with(func(f *faults) { f.mute = on }) }

// SetHeartbeat sets the heartbeat that later welcomes name, in whole seconds.
func (s *Server) SetHeartbeat(d time.Duration) { s.with(func(f *faults) { f.heartbeat = d }) }

func (s *Server) with(do func(*faults)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(&s.mu.faults)
}

// Counts returns what the server has seen.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.counts
}

// Contents returns the messages of a conversation, oldest first.
func (s *Server) Contents(id wire.ChatID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	if c := s.mu.chats[id]; c != nil {
		for _, m := range c.log {
			list = append(list, string(m.content))
		}
	}
	return list
}

// Cursors returns how far a member has come in a conversation.
func (s *Server) Cursors(id wire.ChatID, member wire.UserID) (delivered, read wire.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.mu.chats[id]; c != nil && c.cursors[member] != nil {
		return c.cursors[member].delivered, c.cursors[member].read
	}
	return 0, 0
}

// Live returns how many connections have been welcomed.
func (s *Server) Live() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for ses := range s.mu.live {
		if ses.user != "" {
			n++
		}
	}
	return n
}

func respond(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, c wire.Code) {
	spec := c.SpecOf()
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(spec.HTTP)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": spec.Text, "advice": spec.Do, "status": spec.HTTP, "code": c, "name": spec.Name})
}
