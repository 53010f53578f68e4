package config

import (
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Settings is the table. It is immutable.
var Settings = [...]Setting{
	{Group: "Place", Key: "data", Kind: Path, in: each,
		Doc: "directory that keeps everything; without it godwit, for a fleet godwit-ROLE, in $XDG_DATA_HOME or ~/.local/share", at: func(p *Process) any { return &p.Data }},
	{Group: "Place", Key: "admin", EnvName: "GODWIT_ADMIN_LISTEN", Kind: Address, in: each, Default: "127.0.0.1:8081", defaults: map[Role]string{Control: "127.0.0.1:7702", Core: "127.0.0.1:7712"},
		Doc: "address for operators: health, metrics, pprof", at: func(p *Process) any { return &p.Admin }},
	{Group: "Place", Key: "shards", Kind: Int, in: serve | control, Default: "0", Min: 0, Max: 1024,
		Doc: "number of shards, 1 to 1024; 0: one for every two processors, 16 at most, and 32 in a fleet; counts at the first start only", at: func(p *Process) any { return &p.Shards }},

	{Group: "Fleet", Key: "name", Kind: Text, in: fleet,
		Doc: "name of this node, unique in the fleet: 1 to 64 of a-z, 0-9, - and .; without it ROLE-HOSTNAME", at: func(p *Process) any { return &p.Name }},
	{Group: "Fleet", Key: "zone", Kind: Text, in: fleet,
		Doc: "what fails together, such as a rack or a data centre: replicas are spread over zones", at: func(p *Process) any { return &p.Zone }},
	{Group: "Fleet", Key: "advertise", Kind: Host, in: fleet,
		Doc: "host that others are told instead of the one in --api, --link and --raft; needed where those listen on every address", at: func(p *Process) any { return &p.Advertise }},
	{Group: "Fleet", Key: "control", Kind: List, in: fleet,
		Doc: "API addresses of the control members, one is enough; a control member gives those of others to join them", at: func(p *Process) any { return &p.Control }},
	{Group: "Fleet", Key: "peers", Kind: List, in: control,
		Doc: "members with which the control group begins, this one too: NAME=HOST:PORT of --raft, and /PORT of --api where that is not 7700; without it and --control this one begins alone", at: func(p *Process) any { return &p.Peers }},
	{Group: "Fleet", Key: "join_secret", Kind: Text, in: fleet, Secret: true,
		Doc: "secret of at least 16 bytes that lets a node into the fleet, the same on all", at: func(p *Process) any { return &p.JoinSecret }},
	{Group: "Fleet", Key: "join_secret_file", Kind: Path, in: fleet,
		Doc: "file that holds the join secret, instead of GODWIT_JOIN_SECRET", at: func(p *Process) any { return &p.JoinSecretFile }},
	{Group: "Fleet", Key: "replace", Kind: Bool, in: control | core | edge, Default: "false",
		Doc: "take the place of the node of this name whose disk is gone", at: func(p *Process) any { return &p.Replace }},
	{Group: "Fleet", Key: "replicas", Kind: Int, in: control, Default: "3", Min: 1, Max: 7,
		Doc: "replicas of each shard, on as many core nodes; counts at the first start only", at: func(p *Process) any { return &p.Replicas }},
	{Group: "Fleet", Key: "cores", Kind: Int, in: control, Default: "3", Min: 1, Max: 1024,
		Doc: "core nodes that have to join before shards are placed; counts at the first start only", at: func(p *Process) any { return &p.Cores }},

	{Group: "Between the nodes", Key: "api", Kind: Address, in: control, Default: "127.0.0.1:7700",
		Doc: "address where nodes and operators reach this control member", at: func(p *Process) any { return &p.API }},
	{Group: "Between the nodes", Key: "link", Kind: Address, in: core, Default: "127.0.0.1:7710",
		Doc: "address where edges and cores reach this core", at: func(p *Process) any { return &p.Link }},
	{Group: "Between the nodes", Key: "raft", Kind: Address, in: control | core, Default: "127.0.0.1:7711", defaults: map[Role]string{Control: "127.0.0.1:7701"},
		Doc: "address where nodes of the same role reach this one", at: func(p *Process) any { return &p.Raft }},
	{Group: "Between the nodes", Key: "pki", Kind: Path, in: fleet,
		Doc: "directory with this node's certificate, made by `godwit pki issue`; needed outside of loopback", at: func(p *Process) any { return &p.PKI }},
	{Group: "Between the nodes", Key: "insecure_plaintext", Kind: Bool, in: fleet, Default: "false",
		Doc: "talk to other machines without TLS: whoever reaches the network between the nodes reads and writes everything", at: func(p *Process) any { return &p.InsecurePlaintext }},

	{Group: "Clients", Key: "listen", Kind: Address, in: clients, Default: "127.0.0.1:8080",
		Doc: "public address: page, REST and WebSocket", at: func(p *Process) any { return &p.Listen }},
	{Group: "Clients", Key: "tls_cert", Kind: Path, in: clients,
		Doc: "PEM file with the certificate chain of the public address", at: func(p *Process) any { return &p.TLSCert }},
	{Group: "Clients", Key: "tls_key", Kind: Path, in: clients,
		Doc: "PEM file with the key of --tls-cert", at: func(p *Process) any { return &p.TLSKey }},
	{Group: "Clients", Key: "allow_origin", Kind: List, in: clients,
		Doc: "origin whose pages may connect, such as https://chat.example, or *; may be repeated", at: func(p *Process) any { return &p.AllowOrigins }},
	{Group: "Clients", Key: "max_connections", Kind: Int, in: clients, Default: "0", Max: 10_000_000,
		Doc: "most WebSockets; 0: what the descriptor limit allows", at: func(p *Process) any { return &p.MaxConnections }},
	{Group: "Clients", Key: "send_rate", Kind: Int, in: clients, Default: "200", Max: 1_000_000,
		Doc: "messages a second that one connection may send, five times as many at once; 0: no limit", at: func(p *Process) any { return &p.SendRate }},
	{Group: "Clients", Key: "ops_rate", Kind: Int, in: clients, Default: "2000", Max: 1_000_000,
		Doc: "other frames a second that one connection may send, five times as many at once; 0: no limit", at: func(p *Process) any { return &p.OpsRate }},
	{Group: "Clients", Key: "max_content", Kind: Size, in: clients, Default: "64KiB", Min: 1, Max: wire.MaxContentCeiling,
		Doc: "longest content of a message, up to 1MiB", at: func(p *Process) any { return &p.MaxContent }},
	{Group: "Clients", Key: "heartbeat", Kind: Duration, in: clients, Default: "30s", Min: int64(time.Second), Max: int64(time.Hour),
		Doc: "how often clients ping, 1s to 1h; two missed end the connection", at: func(p *Process) any { return &p.Heartbeat }},

	{Group: "Sign-in", Key: "auth_hs256_secret", Kind: Text, in: clients, Secret: true,
		Doc: "secret of at least 32 bytes for tokens signed with HS256", at: func(p *Process) any { return &p.AuthHS256Secret }},
	{Group: "Sign-in", Key: "auth_public_key", Kind: List, in: clients,
		Doc: "PEM file with a public key for EdDSA, ES256 or RS256; may be repeated", at: func(p *Process) any { return &p.AuthPublicKeys }},
	{Group: "Sign-in", Key: "auth_jwks_url", Kind: URL, in: clients,
		Doc: "address of a JWKS with public keys", at: func(p *Process) any { return &p.AuthJWKSURL }},
	{Group: "Sign-in", Key: "auth_issuer", Kind: Text, in: clients,
		Doc: "what iss of a token must be", at: func(p *Process) any { return &p.AuthIssuer }},
	{Group: "Sign-in", Key: "auth_audience", Kind: Text, in: clients,
		Doc: "what aud of a token must hold", at: func(p *Process) any { return &p.AuthAudience }},
	{Group: "Sign-in", Key: "insecure_dev_auth", Kind: Bool, in: clients, Default: "false",
		Doc: "offer development sign-in to other machines too", at: func(p *Process) any { return &p.InsecureDevAuth }},

	{Group: "Log", Key: "log_level", Kind: Text, in: each, Default: "info", OneOf: []string{"debug", "info", "warn", "error"},
		Doc: "debug, info, warn or error", at: func(p *Process) any { return &p.LogLevel }},
	{Group: "Log", Key: "log_format", Kind: Text, in: each, Default: "text", OneOf: []string{"text", "json"},
		Doc: "text or json", at: func(p *Process) any { return &p.LogFormat }},
}

// find returns the row of key, nil when there is none.
func find(key string) *Setting {
	for i := range Settings {
		if Settings[i].Key == key {
			return &Settings[i]
		}
	}
	return nil
}

// table returns the rows that a role has.
func table(r Role) (rows []*Setting) {
	for i := range Settings {
		if Settings[i].In(r) {
			rows = append(rows, &Settings[i])
		}
	}
	return rows
}

// keysOf returns the keys that a role has.
func keysOf(r Role) (list []string) {
	for _, st := range table(r) {
		list = append(list, st.Key)
	}
	return list
}
