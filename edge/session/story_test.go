package session

import (
	"encoding/hex"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/internal/story"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

var update = flag.Bool("update", false, "rewrite the stories in testdata")

// TestStories plays testdata/*.txt. A line without indent is something that
// happens to a session, the indented lines below it are what the session did;
// -update rewrites those. @c1 stands for a chat id, #1 for the first request.
//
//	config KEY=N ...           before start: heartbeat, inflight, sendrate, ...
//	start json|msgpack [user=U [device=D]] [expires=+MS]
//	recv JSON                  a frame arrives, in the session's format
//	bytes HEX                  bytes arrive as they are
//	auth user=U [device=D] [expires=+MS] | auth code=N
//	reply N [code=C] [node=N] [seq=S] [at=T] [stamp=S] [after=S] [more]
//	        [rows=CHAT:LAST:DELIVERED:STAMP,...] [msgs=FROM..TO] [size=BYTES]
//	        [cursors=USER:DELIVERED:READ,...]
//	lost N | down | up         no answer comes; cores are out of reach, in reach
//	push new_message|typing|status_update CHAT [SEQ]
//	buffered N                 the socket holds N bytes
//	wait MS                    time passes; the session is woken when it asked
//	drain MS | resync | reopen | gone
func TestStories(t *testing.T) { story.Play(t, "testdata/*.story.txt", *update, playStory) }

func playStory(t *testing.T, text string) string {
	p := &player{t: t, cfg: Defaults(), reach: true}
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line + "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		for _, did := range p.play(line) {
			out.WriteString("  " + did + "\n")
		}
	}
	return out.String()
}

// player is a driver whose world is a text. It is the session's Actions.
type player struct {
	t     *testing.T
	cfg   Config
	loop  *Loop
	sess  Session
	did   []string
	asks  []Ask
	wake  wire.Millis
	reach bool
	done  bool
	left  *Parting // what the session left behind; answers to it go there
}

const storyStart wire.Millis = 1_000_000

func (p *player) play(line string) []string {
	p.did = nil
	before := p.sess.State()
	verb, rest, _ := strings.Cut(line, " ")
	args := parseArgs(rest)
	switch verb {
	case "config":
		p.config(args)
		return nil
	case "start":
		p.start(rest, args)
		before = Handshake
	case "recv":
		p.receive(maskFrame(p.dataOp(), true, wire.Append(nil, p.frame(rest), p.sess.Format())))
	case "bytes":
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		p.must(err)
		p.receive(b)
	case "auth":
		p.sess.Authenticated(p.loop, p, p.identity(args), wire.Code(p.num(args["code"])))
	case "reply":
		ask := p.ask(rest)
		if it := p.answer(ask, args); p.toParting(ask) {
			p.left.CoreReply(p.loop, p, ask, it)
			p.forget()
		} else {
			p.sess.CoreReply(p.loop, p, ask, it)
		}
	case "lost":
		if ask := p.ask(rest); p.toParting(ask) {
			p.left.Lost(p.loop, p, ask)
			p.forget()
		} else {
			p.sess.Lost(p.loop, p, ask)
		}
	case "down", "up":
		p.reach = verb == "up"
	case "push":
		p.push(strings.Fields(rest))
	case "buffered":
		p.sess.OutboundBuffered(p.loop, p, int(p.num(rest)))
	case "wait":
		p.wait(wire.Millis(p.num(rest)))
	case "drain":
		p.sess.Drain(p.loop, p, wire.Millis(p.num(rest)))
	case "resync":
		p.sess.Resync(p.loop, p)
	case "reopen":
		p.sess.Reopen(p.loop, p)
	case "gone":
		p.sess.Gone(p.loop, p)
	default:
		p.t.Fatalf("no such verb: %s", line)
	}
	if now := p.sess.State(); now != before {
		p.note("state %s", now)
	}
	return p.did
}

// toParting reports whether an answer concerns what the session left behind.
func (p *player) toParting(ask *Ask) bool {
	return p.left != nil && (ask.Op == peer.OpReceipt || ask.Op == peer.OpMark)
}

// forget lets go of a parting that is done.
func (p *player) forget() {
	if p.left.Done() {
		p.left = nil
		p.note("parting done")
	}
}

func (p *player) must(err error) {
	if err != nil {
		p.t.Helper()
		p.t.Fatal(err)
	}
}

func (p *player) num(s string) uint64 {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, 64)
	p.must(err)
	return n
}

func parseArgs(s string) map[string]string {
	args := map[string]string{}
	for _, f := range strings.Fields(s) {
		k, v, _ := strings.Cut(f, "=")
		args[k] = v
	}
	return args
}

func (p *player) config(args map[string]string) {
	for k, v := range args {
		n := int(p.num(v))
		switch k {
		case "heartbeat":
			p.cfg.Heartbeat = wire.Millis(n)
		case "content":
			p.cfg.MaxContent = n
		case "inflight":
			p.cfg.InFlight = n
		case "sendrate":
			p.cfg.SendRate = n
		case "sendburst":
			p.cfg.SendBurst = n
		case "opsrate":
			p.cfg.OpsRate = n
		case "opsburst":
			p.cfg.OpsBurst = n
		case "low":
			p.cfg.OutboundLow = n
		case "soft":
			p.cfg.OutboundSoft = n
		case "hard":
			p.cfg.OutboundHard = n
		default:
			p.t.Fatalf("no such setting: %s", k)
		}
	}
}

func (p *player) start(rest string, args map[string]string) {
	l, err := NewLoop(p.cfg)
	p.must(err)
	p.loop, l.Now = l, storyStart
	f := wire.Msgpack
	if strings.HasPrefix(rest, "json") {
		f = wire.JSON
	}
	p.done, p.wake, p.asks, p.left = false, 0, nil, nil
	p.sess.Start(p.loop, p, 7, f, p.identity(args))
}

func (p *player) identity(args map[string]string) *Identity {
	if args["user"] == "" {
		return nil
	}
	who := &Identity{User: wire.UserID(args["user"]), Device: wire.DeviceID(args["device"])}
	if e := args["expires"]; e != "" {
		who.Expires = p.loop.Now + wire.Millis(p.num(e))
	}
	return who
}

// storyChat returns the chat that @cN stands for.
func storyChat(n byte) (id wire.ChatID) {
	id[0], id[15] = byte(wire.Direct), n
	return id
}

func expand(s string) string {
	for n := byte(9); n >= 1; n-- {
		s = strings.ReplaceAll(s, fmt.Sprintf("@c%d", n), storyChat(n).String())
	}
	return s
}

func shorten(s string) string {
	for n := byte(1); n <= 9; n++ {
		s = strings.ReplaceAll(s, storyChat(n).String(), fmt.Sprintf("@c%d", n))
	}
	return s
}

func (p *player) chat(s string) wire.ChatID {
	id, err := wire.ParseChatID([]byte(expand(s)))
	p.must(err)
	return id
}

func (p *player) frame(js string) *wire.Frame {
	f := new(wire.Frame)
	p.must(wire.DecodeJSON([]byte(expand(js)), f))
	return f
}

func (p *player) dataOp() ws.OpCode {
	if p.sess.Format() == wire.JSON {
		return ws.OpText
	}
	return ws.OpBinary
}

// maskFrame builds a client's WebSocket frame.
func maskFrame(op ws.OpCode, fin bool, payload []byte) []byte {
	f := ws.MaskFrameWith(ws.NewFrame(op, fin, payload), [4]byte{1, 2, 3, 4})
	return ws.MustCompileFrame(f)
}

func (p *player) receive(b []byte) {
	n := p.sess.Receive(p.loop, p, b)
	if n != len(b) {
		p.note("%d bytes left", len(b)-n)
	}
}

func (p *player) ask(rest string) *Ask {
	n, _, _ := strings.Cut(rest, " ")
	i := int(p.num(n))
	if i < 1 || i > len(p.asks) {
		p.t.Fatalf("there is no request #%d", i)
	}
	return &p.asks[i-1]
}

// answer builds the answer to ask.
func (p *player) answer(ask *Ask, args map[string]string) *peer.Item {
	it := &peer.Item{
		Op: peer.OpReply, Code: wire.Code(p.num(args["code"])), Node: wire.NodeID(p.num(args["node"])),
		Seq: wire.Seq(p.num(args["seq"])), At: wire.Millis(p.num(args["at"])), Stamp: wire.Cursor(p.num(args["stamp"])), After: p.num(args["after"]),
	}
	if _, more := args["more"]; more {
		it.Flags |= peer.FlagMore
	}
	for row := range strings.SplitSeq(args["rows"], ",") {
		if v := strings.Split(row, ":"); len(v) == 4 {
			r := peer.Row{Chat: p.chat(v[0]), Last: wire.Seq(p.num(v[1])), Delivered: wire.Seq(p.num(v[2])), Stamp: wire.Cursor(p.num(v[3]))}
			it.List = peer.AppendRow(it.List, &r)
		}
	}
	if from, to, ok := strings.Cut(args["msgs"], ".."); ok {
		for seq := p.num(from); seq <= p.num(to); seq++ {
			it.List = peer.AppendBytes(it.List, storyMessage(ask.Chat, wire.Seq(seq), int(p.num(args["size"]))))
		}
	}
	for c := range strings.SplitSeq(args["cursors"], ",") {
		if v := strings.Split(c, ":"); len(v) == 3 {
			it.Cursors = peer.AppendCursor(it.Cursors, &peer.MemberCursor{User: []byte(v[0]), Delivered: wire.Seq(p.num(v[1])), Read: wire.Seq(p.num(v[2]))})
		}
	}
	return it
}

// storyMessage returns a new_message frame in msgpack.
func storyMessage(chat wire.ChatID, seq wire.Seq, size int) []byte {
	content := fmt.Appendf(nil, "m%d", seq)
	for len(content) < size {
		content = append(content, '.')
	}
	return wire.AppendMsgpack(nil, &wire.Frame{Op: wire.OpNewMessage, Chat: chat, Seq: seq, User: []byte("bob"), Content: content, At: 5})
}

func (p *player) push(v []string) {
	push := Push{Op: wire.SpecByName(v[0]).Op, Chat: p.chat(v[1])}
	f := wire.Frame{Op: push.Op, Chat: push.Chat, User: []byte("bob"), Status: wire.StatusRead, Typing: wire.TypingStart, Content: []byte("live"), At: 6}
	if len(v) > 2 {
		push.Seq = wire.Seq(p.num(v[2]))
		f.Seq = push.Seq
	}
	if push.Op == wire.OpStatusUpdate {
		push.User, push.Status = f.User, f.Status
	}
	push.Frame = wire.Append(nil, &f, p.sess.Format())
	p.sess.Deliver(p.loop, p, &push)
}

func (p *player) wait(ms wire.Millis) {
	end := p.loop.Now + ms
	for !p.done && p.wake != 0 && p.wake <= end {
		p.loop.Now = max(p.wake, p.loop.Now)
		p.wake = 0
		at := len(p.did)
		p.sess.Tick(p.loop, p)
		for i := at; i < len(p.did); i++ {
			p.did[i] = fmt.Sprintf("at %d: %s", p.loop.Now-storyStart, p.did[i])
		}
	}
	p.loop.Now = end
}
