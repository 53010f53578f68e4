package edge

import (
	"runtime"
	"time"
)

// The numbers of the driver, each with what it buys and what it costs.
const (
	// MaxLoops bounds the event loops: a SessionID and a request number have
	// eight bits for one, and the last value is the REST interface's.
	MaxLoops = 1<<loopBits - 1

	// maxHeaderBytes bounds the request line and headers of any request on
	// the public address; the token alone may have wire.MaxToken.
	maxHeaderBytes = 16 << 10
	// maxHeaders bounds how many header values an upgrade may carry. Browsers
	// send about 20.
	maxHeaders = 64
	// headerTimeout is how long a request's headers may take. It frees the
	// descriptor of a peer that trickles bytes.
	headerTimeout = 5 * time.Second
	// requestTimeout bounds reading a REST body and writing an answer.
	requestTimeout = 15 * time.Second
	// idleTimeout is how long an HTTP connection is kept for another request.
	idleTimeout = 15 * time.Second

	// descriptorReserve is what the connection cap leaves for listeners,
	// links, files and plain HTTP: an eighth of the limit, within these, and
	// never more than half. A store in the same process that cannot open its
	// next log ends the process; its tables alone may take 512.
	minDescriptorReserve = 1024
	maxDescriptorReserve = 8192
	// httpShare is the part of the reserve that plain HTTP may have; all of it
	// is anybody's to take, the rest is for files.
	httpShare = 4

	// While plain HTTP has no place free and somebody waits, a connection makes
	// room that has said nothing at all for muteFor, or nothing more for
	// silentFor; where its address holds a crowdShare-th of the places and the
	// next in line comes from another, also one that has not brought its request
	// within silentFor. A client speaks first, so muteFor is some round trips;
	// 625 places then go through 2,500 mute connections a second. roomEvery is
	// how often the wait looks for one.
	muteFor    = 250 * time.Millisecond
	silentFor  = time.Second
	crowdShare = 4
	roomEvery  = 25 * time.Millisecond

	// inboxMax bounds the bytes that cores have sent to one loop and it has
	// not yet handled. When it is full the batch is dropped and counted;
	// sessions whose pushes were in it are synced again.
	inboxMax = 64 << 20

	// batchFlush is how long a batch for one core may grow within a turn
	// before it is sent in the middle of it. 64 KiB is some 400 sends.
	batchFlush = 64 << 10

	// requestsMax bounds the requests of one loop that cores have not yet
	// answered. Each costs about 300 bytes while it is out.
	requestsMax = 1 << 16
	// reopenPerTick paces opening sessions again at a new leader: 1,000 every
	// fine tick and loop are 20,000 a second.
	reopenPerTick = 1000

	// fineTick is the resolution of short waits (receipts, retries, sockets
	// that do not take what is written). It runs only while something waits.
	fineTick = 25 * time.Millisecond
	// coarseTicks is how many fine ticks one coarse tick has: a second, the
	// resolution of heartbeats and time-outs.
	coarseTicks = uint32(time.Second / fineTick)

	// lingerFor is how long a socket may live after the close frame, for the
	// peer to read it and close its side.
	lingerFor = 2 * time.Second

	// readChunk is what one read of a socket takes at most, and the most that
	// one step of TLS decrypts.
	readChunk = 64 << 10

	// dirtyMax is how many sockets may wait for the end of a turn with bytes
	// to write; a turn with more flushes in the middle.
	dirtyMax = 1024

	// verifiers is how many tokens are verified at once, and verifyQueue how
	// many wait. An RS256 token costs some 50 µs, so a full queue is 100 ms
	// deep; whoever finds it full is told to come back.
	verifiers   = 2
	verifyQueue = 4096

	// outboundBudget bounds what all sockets together have not taken, each loop
	// its part of it. One connection may hold 256 KiB and more, so 17,500 that
	// do not read would hold 6.5 GB. Above it pushes to sockets that are behind
	// are shed, and synced once they have drained (session.Loop.Tight). It is
	// room for 2,000 readers at their own limit.
	outboundBudget = 512 << 20

	// bufferKeep is the largest output buffer that a loop keeps for the next
	// turn. With dirtyMax of them it holds 16 MiB at most.
	bufferKeep = 16 << 10
)

func defaultLoops() int { return min(runtime.GOMAXPROCS(0), MaxLoops) }
