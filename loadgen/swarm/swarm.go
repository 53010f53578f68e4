// Package swarm opens many users' connections and drives a workload over them,
// telling a checker what each user saw and a set of histograms how long it
// took. It keeps what a careful client keeps (cursor, unacknowledged sends), so
// a server may be killed in the middle and the verdict must still be clean.
//
// Latency is measured from the moment a message was due, not from the moment
// it could be sent, so a stalled server is charged for every message that had
// to wait (no coordinated omission).
//
// A Swarm is used by one Run at a time. Memory is bounded: per user one read
// buffer and at most Options.MaxUnacked sends; what finds that full is counted
// as held back and the run's offered and achieved rates show it.
package swarm

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/loadgen/check"
	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// Options of a run.
type Options struct {
	// URL is the WebSocket address, ws:// or wss://.
	URL string
	// More are the addresses of further edges of the same service. The users are
	// spread over all, and one whose connection ended goes on to the next.
	More []string
	TLS  *tls.Config
	// Token returns the credentials of a user. It is asked again after a
	// net.Error; any other error ends the run.
	Token func(context.Context, wire.UserID) (string, error)
	Work  workload.Plan
	// For is how long messages are sent; Settle is how long the run then waits
	// for what is still on its way.
	For, Settle time.Duration
	// Warmup is for how long at the start messages that are due leave no
	// latency behind. They count and are checked like all others.
	Warmup time.Duration
	// Idle is how many more users connect and only send heartbeats.
	Idle int
	// Connecting bounds concurrent handshakes.
	Connecting int
	// MaxUnacked bounds the sends of one user without ack_sent.
	MaxUnacked int
	// Heartbeat is how often users ping, which has to suit the server's setting;
	// a connection on which nothing comes for two of them is given up. 0 is
	// wire.Heartbeat.
	Heartbeat time.Duration
	// Acked is told of every message that was acknowledged, once and with the
	// latency from when it was due, on the goroutine of its sender; may be nil.
	Acked func(id workload.ID, due, latency time.Duration)
	// OfflineB keeps the second member of every conversation from connecting
	// until GoOnline is called, for backlog measurements.
	OfflineB bool
}

func (o *Options) defaults() {
	if o.Connecting == 0 {
		o.Connecting = 64
	}
	if o.MaxUnacked == 0 {
		o.MaxUnacked = 200
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = wire.Heartbeat
	}
	if o.Settle == 0 {
		o.Settle = 15 * time.Second
	}
}

// Counters are what a run counts while it goes; read them at any time.
type Counters struct {
	Online      atomic.Int64  // connections that were welcomed and live
	Connects    atomic.Uint64 // welcomes, those after a cut included
	Disconnects atomic.Uint64 // connections that ended, or that could not be made
	Sent        atomic.Uint64 // messages, each once
	Resent      atomic.Uint64 // repeats of a message that no answer had come to
	Acked       atomic.Uint64 // messages that got ack_sent, each once
	GroupAcked  atomic.Uint64 // of Acked, in groups
	Received    atomic.Uint64 // new_message frames, repeats and own ones included
	Statuses    atomic.Uint64 // status_update frames
	HeldBack    atomic.Uint64 // due while the user had MaxUnacked sends open
	Errors      atomic.Uint64 // error frames
}

// Swarm is one run.
type Swarm struct {
	// Check is told what every user saw; call its Finish after Send.
	Check *check.Checker
	// Count, Lat and Errs may be read at any time. Errs counts failures by
	// their text, for the report.
	Count Counters
	Lat   Latency
	Errs  Causes

	opt   Options
	chats []chat
	idle  []*user
	goB   chan struct{} // closed: side b may connect

	born  time.Time    // the zero of the two below
	start atomic.Int64 // when sending began
	last  atomic.Int64 // when a message was last seen for the first time

	users sync.WaitGroup
	stop  context.CancelFunc
}

// chat is the members of one conversation and the state of their turn.
type chat struct {
	users []*user
	id    wire.ChatID // of a group, set by Connect before anything is sent
	// turn receives one value per event of the closed loop: an ack or an
	// arrival of the message that is out.
	turn chan struct{}
}

// New prepares a run; nothing is opened before Connect.
func New(opt Options) *Swarm {
	opt.defaults()
	s := &Swarm{opt: opt, chats: make([]chat, opt.Work.Chats()), goB: make(chan struct{}), born: time.Now()}
	s.Check = check.New(&s.opt.Work)
	for i := range s.chats {
		members := opt.Work.Members(uint32(i))
		c := &s.chats[i]
		c.turn = make(chan struct{}, 2*members)
		for side := range members {
			c.users = append(c.users, newUser(s, uint32(i), side))
		}
	}
	for i := range opt.Idle {
		s.idle = append(s.idle, newIdleUser(s, uint32(i)))
	}
	if !opt.OfflineB {
		close(s.goB)
	}
	return s
}

// Connect opens every connection, makes the groups and returns when all are
// live, or ctx ends, or a user fails for a reason that will not pass. The
// connections live until Close.
func (s *Swarm) Connect(ctx context.Context) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	gate := make(chan struct{}, s.opt.Connecting)
	all := s.everybody()
	for _, u := range all {
		s.users.Go(func() { u.run(run, gate) })
	}
	s.users.Go(func() { s.heartbeats(run, all) })
	for _, u := range all {
		if u.side == 1 && s.opt.OfflineB {
			continue
		}
		select {
		case <-u.live:
		case err := <-u.fatal:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return s.makeGroups(ctx)
}

func (s *Swarm) everybody() []*user {
	all := make([]*user, 0, s.opt.Work.Users()+len(s.idle))
	for i := range s.chats {
		all = append(all, s.chats[i].users...)
	}
	return append(all, s.idle...)
}

// GoOnline lets the side that Options.OfflineB held back connect. Call it once.
func (s *Swarm) GoOnline() { close(s.goB) }

// Send runs the workload until Options.For is over or ctx ends, then waits, at
// most Options.Settle, until everything was answered and seen. It returns how
// long messages were sent. What is on its way when ctx ends is waited for too:
// else it would count as lost.
func (s *Swarm) Send(ctx context.Context) time.Duration {
	took := s.send(ctx)
	s.Settle(context.WithoutCancel(ctx))
	return took
}

// Clock returns the time on the clock on which messages are due: since Send
// began.
func (s *Swarm) Clock() time.Duration { return s.clock() }

// Chat returns the conversation's id, from which its history can be asked for.
// It is known once Connect has returned.
func (s *Swarm) Chat(index uint32) wire.ChatID {
	if w := &s.opt.Work; !w.IsGroup(index) {
		return wire.DirectChat(w.User(index, 0), w.User(index, 1))
	}
	return s.chats[index].id
}

// SendOnly is Send for a side that nobody receives on yet: it waits for the
// answers alone.
func (s *Swarm) SendOnly(ctx context.Context) time.Duration {
	took := s.send(ctx)
	s.await(ctx, func() bool { return s.unacked() == 0 })
	return took
}

// send runs the workload and returns how long that took.
func (s *Swarm) send(ctx context.Context) time.Duration {
	s.start.Store(int64(time.Since(s.born)))
	over, stop := context.WithTimeout(ctx, s.opt.For)
	defer stop()
	var chats sync.WaitGroup
	for i := range s.chats {
		chats.Go(func() {
			if s.opt.Work.Rate == 0 {
				s.closedLoop(over, uint32(i))
			} else {
				s.openLoop(ctx, uint32(i)) // ends with the last message due
			}
		})
	}
	if len(s.chats) == 0 {
		<-over.Done() // everybody is idle
	}
	chats.Wait()
	return s.clock()
}

// clock returns how long ago sending began. Messages are due on this clock.
func (s *Swarm) clock() time.Duration { return time.Since(s.born) - time.Duration(s.start.Load()) }

// LastReceived returns when a message was last seen for the first time by the
// side it was sent to; before any was, it returns when the Swarm was made.
func (s *Swarm) LastReceived() time.Time { return s.born.Add(time.Duration(s.last.Load())) }

// Settle waits until everything was answered and what was acknowledged was
// seen, at most Options.Settle or until ctx ends.
func (s *Swarm) Settle(ctx context.Context) {
	s.await(ctx, func() bool { return s.unacked() == 0 && s.Check.Pending() == 0 })
}

// await polls until done, at most Options.Settle.
func (s *Swarm) await(ctx context.Context, done func() bool) {
	end := time.NewTimer(s.opt.Settle)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-end.C:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Swarm) unacked() (n int) {
	for i := range s.chats {
		for _, u := range s.chats[i].users {
			n += u.unackedLen()
		}
	}
	return n
}

// Close ends all connections and waits for their goroutines.
func (s *Swarm) Close() {
	if s.stop != nil {
		s.stop()
	}
	for _, u := range s.everybody() {
		u.hangUp()
	}
	s.users.Wait()
}

// openLoop sends each message of a conversation when it is due, whatever
// happened to those before.
func (s *Swarm) openLoop(ctx context.Context, index uint32) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for k := uint32(0); ; k++ {
		id := workload.ID{Chat: index, K: k}
		due := s.opt.Work.Due(id)
		if due >= s.opt.For {
			return
		}
		timer.Reset(due - s.clock())
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if !s.sendWhenRoom(ctx, id, due) {
			return
		}
	}
}

// sendWhenRoom sends now, or as soon as the user has room; the wait is part of
// the message's latency. False when ctx ended first.
func (s *Swarm) sendWhenRoom(ctx context.Context, id workload.ID, due time.Duration) bool {
	u := s.chats[id.Chat].users[s.opt.Work.Side(id)]
	if u.send(id, due) {
		return true
	}
	s.Count.HeldBack.Add(1)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if u.send(id, due) {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// closedLoop sends the next message of a conversation when the last was
// acknowledged and seen by all.
func (s *Swarm) closedLoop(ctx context.Context, index uint32) {
	c := &s.chats[index]
	for k := uint32(0); ctx.Err() == nil; k++ {
		id := workload.ID{Chat: index, K: k}
		c.users[s.opt.Work.Side(id)].send(id, s.clock())
		for range c.users { // its ack, and its arrival at each of the others
			select {
			case <-c.turn:
			case <-ctx.Done():
				return
			}
		}
	}
}

// heartbeats pings every user once a heartbeat, spread over the interval.
func (s *Swarm) heartbeats(ctx context.Context, all []*user) {
	const steps = 100
	tick := time.NewTicker(s.opt.Heartbeat / steps)
	defer tick.Stop()
	for step := 0; ; step++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i := step % steps; i < len(all); i += steps {
			all[i].ping()
		}
	}
}
