package tidy

// The exceptions, by rule. A key is what the failure prints; the reason says
// why the rule does not serve its purpose there.

var largeThings = map[string]string{
	"wire/peer.Item": "the union of all ops' fields, in the table's order",
	"edge.loop":      "one for each event loop, not for each connection; its fields are grouped by who owns them",
}

// goroutines are the drivers.
var goroutines = map[string]string{
	"client":            "the driver of the machine: one goroutine a client, and its reader and fetches, which it waits for",
	"client/clienttest": "a server that tests talk to; Close waits for all",
	"cmd/godwit":        "signals, and the line that a load prints while it runs",
	"core":              "a node's workers and a proposer for each replica; Close waits for all",
	"edge":              "accept, clock, token checks and the follower of the map; Shutdown waits for all",
	"edge/auth":         "fetches keys again while there are none; Close ends it",
	"edge/api":          "previews of a page of conversations, a few side by side within the request",
	"internal/chaos":    "a waiter for each process and the load of a trial; Close and Run wait for all",
	"internal/demo":     "waits for each child, and tells when one ends; they end with the children",
	"internal/link":     "a dialler for each peer, a reader and a writer for each connection; Close waits for all",
	"internal/process":  "one for the admin listener, one that stops everything within a time; Run waits for both, or says that it did not",
	"loadgen/bench":     "waits for the server that it started",
	"loadgen/swarm":     "a user is a goroutine, so that one that blocks is late alone",
	"shardmap/control":  "the driver of the fleet, the API, and waits for Raft's future, which knows no context; Close waits for all",
	"shardmap/member":   "reports, follows the map and keeps it on the disk; Close waits for all",
}

// clocks are the drivers, too. For the client the key is a file: its machine
// lives in the same package and gets time as a value.
var clocks = map[string]string{
	"client/client.go":     "the driver",
	"client/conn.go":       "deadlines of the socket",
	"client/drive.go":      "the driver",
	"client/clienttest":    "a server that tests talk to",
	"cmd/godwit":           "stamps of runs and lines, expiry of tokens",
	"core":                 "the leader's clock stamps entries; deadlines of requests",
	"edge":                 "the loops' clock, which gives every session its time",
	"edge/api":             "the deadline of a body that nobody wants",
	"edge/auth":            "the default of Config.Now, and how often keys are fetched",
	"internal/chaos":       "measures, and holds faults for a while",
	"internal/demo":        "how long members take to start and stop",
	"internal/link":        "deadlines of sockets and the pace of dialling",
	"internal/pki":         "when certificates begin and end, and how often files are looked at",
	"internal/role":        "rates of what a process uses",
	"internal/process":     "how long the start took",
	"loadgen/bench":        "measures",
	"loadgen/swarm":        "measures: the schedule and the latencies are the product",
	"shardmap/control":     "the leader's clock, which gives fleet.Step its time; deadlines",
	"shardmap/control/api": "pauses between attempts",
	"shardmap/member":      "the pace of reports, and the clock that control compares",
}

var variables = map[string]string{
	"cmd/godwit.version":   "set by the linker",
	"core.quietOnce":       "guards dragonboat's logger, of which a process has one",
	"edge/api.problemType": "a constant that Go cannot spell as one",
	"wire.chatText":        "an immutable encoding",
}

var imports = map[string]string{}

// pureHelpers are packages of others that a pure package may import.
var pureHelpers = map[string]string{
	"github.com/zeebo/xxh3": "a hash: bytes in, a number out",
	"github.com/gobwas/ws":  "frame headers and masking over bytes; its Dialer and Upgrader are the driver's",
}
