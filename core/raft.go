package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/logger"
	"github.com/lni/dragonboat/v4/raftio"

	"github.com/godwit-im/godwit/wire"
)

// LogLostError says that the Raft log of a shard ends before what the store
// has applied: the disk lost or damaged a part of it.
type LogLostError struct {
	Shard         wire.ShardID
	Last, Applied uint64 // index of the log's last entry, and of the last that the store has
	Dir           string // of the Raft logs of all shards
	Solo          bool   // the shard has no other replica
}

// Error names the shard, both indexes, the directory and what to do.
func (e *LogLostError) Error() string {
	do := "restore the whole data directory from a backup"
	if !e.Solo {
		// A leader that lives on believes this node to have what it lost.
		do = "take the node out of the fleet and let an empty directory join under a new id (start it with --replace)"
	}
	return fmt.Sprintf("core: the Raft log of shard %d in %s ends at entry %d, but the store has applied entry %d: a log file there is damaged or was cut; %s",
		e.Shard, e.Dir, e.Last, e.Applied, do)
}

// raftDir is where dragonboat keeps the logs.
func (n *Node) raftDir() string { return filepath.Join(n.cfg.Dir, "raft") }

// openHost opens the Raft side of the data directory.
func openHost(n *Node) (host *dragonboat.NodeHost, err error) {
	quiet(n)
	dir := n.raftDir()
	if err := checkHostname(dir); err != nil {
		return nil, err
	}
	c := config.NodeHostConfig{
		NodeHostDir:         dir,
		RTTMillisecond:      rttMillis,
		RaftAddress:         n.cfg.RaftAddr,
		RaftEventListener:   n,
		SystemEventListener: events{n: n},
		MaxSendQueueSize:    inMemLog,
		Expert: config.ExpertConfig{
			LogDB:               logDB(),
			Engine:              engine(),
			NodeRegistryFactory: registry{n},
		},
	}
	if t := n.cfg.RaftTLS; t != (RaftTLS{}) {
		c.MutualTLS, c.CAFile, c.CertFile, c.KeyFile = true, t.CA, t.Cert, t.Key
	}
	if n.cfg.RaftAddr == "" {
		c.RaftAddress = "in-process"
		c.Expert.TransportFactory = silence{}
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("core: opening %s: %v", dir, p)
		}
	}()
	host, err = dragonboat.NewNodeHost(c)
	if err != nil {
		return nil, fmt.Errorf("core: opening %s (listening on %q): %w", dir, n.cfg.RaftAddr, err)
	}
	if host == nil { // dragonboat's answer to a panic of its own that is no error
		return nil, fmt.Errorf("core: opening %s: a file there cannot be read, NODEHOST.ID and dragonboat.ds first of all; restore the data directory from a backup", dir)
	}
	return host, nil
}

// checkHostname refuses a directory that another host wrote. dragonboat keeps
// its logs under the host's name and would begin new ones beside them, which
// would be to forget what was promised.
func checkHostname(dir string) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("core: this host has no name: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("core: reading the data directory: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != host {
			return fmt.Errorf("core: %s was written on host %q and this is %q; start with that host name (docker run --hostname %s), or move the data with a backup",
				dir, e.Name(), host, e.Name())
		}
	}
	return nil
}

// registry tells dragonboat where a replica is: the lower half of its number is
// its node, and the shard map knows a node's address. So an address may
// change, and a node that began alone may later be joined by others.
type registry struct{ n *Node }

// Create implements config.NodeRegistryFactory.
func (r registry) Create(string, uint64, config.TargetValidator) (raftio.INodeRegistry, error) {
	return r, nil
}

// Close, Add, Remove and RemoveShard have nothing to do: the map is elsewhere.
func (registry) Close() error               { return nil }
func (registry) Add(_, _ uint64, _ string)  {}
func (registry) Remove(_, _ uint64)         {}
func (registry) RemoveShard(shardID uint64) {}

// Resolve implements raftio.INodeRegistry.
func (r registry) Resolve(shard, replica uint64) (addr, connection string, err error) {
	node, ok := r.n.cfg.Watcher.Current().Node(wire.NodeID(uint32(replica)))
	if !ok || node.RaftAddr == "" {
		return "", "", fmt.Errorf("core: the shard map has no address for node %d", uint32(replica))
	}
	return node.RaftAddr, node.RaftAddr, nil
}

// target is the name dragonboat stores for a replica's node, with a part of the
// number of the data directory it is in, 0 for those that began the group. It
// insists on a UUID; nobody resolves it.
func target(id wire.NodeID, disk uint64) string {
	return fmt.Sprintf("%08x-%04x-4000-8000-%012x", uint32(disk), uint16(disk>>32), uint32(id))
}

// silence is the transport of a node without other replicas: nothing listens
// and nothing is sent.
type silence struct{}

var errAlone = errors.New("core: this node has no Raft address, so its shards have one replica")

// Create implements config.TransportFactory.
func (silence) Create(config.NodeHostConfig, raftio.MessageHandler, raftio.ChunkHandler) raftio.ITransport {
	return silence{}
}

func (silence) Validate(string) bool { return true }
func (silence) Name() string         { return "none" }
func (silence) Start() error         { return nil }
func (silence) Close() error         { return nil }

func (silence) GetConnection(context.Context, string) (raftio.IConnection, error) {
	return nil, errAlone
}

func (silence) GetSnapshotConnection(context.Context, string) (raftio.ISnapshotConnection, error) {
	return nil, errAlone
}

// quietOnce guards dragonboat's logger, of which a process has one that may be
// set once; the first node's log gets the lines of all.
var quietOnce sync.Once

// quiet sends dragonboat's log to that of n, a step less loud than dragonboat
// means it: it warns of ordinary things.
func quiet(n *Node) {
	quietOnce.Do(func() {
		defer func() {
			if recover() != nil { // the program has set its own
				n.log.Debug("core: dragonboat's logger was set before")
			}
		}()
		logger.SetLoggerFactory(func(pkg string) logger.ILogger { return raftLog{n, n.log.With("raft", pkg)} })
	})
}

// LeaderUpdated implements raftio.IRaftEventListener.
func (n *Node) LeaderUpdated(info raftio.LeaderInfo) {
	if r := n.replica(wire.ShardID(info.ShardID)); r != nil && r.hold.Replica == info.ReplicaID {
		r.term.Store(info.Term)
		r.leaderIs(wire.NodeID(uint32(info.LeaderID)))
		n.changed()
	}
}
