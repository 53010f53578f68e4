// Package fault numbers what can go wrong on the command line. It continues
// the table of wire.Codes: 1xxx are errors a server answers, 3xxx are errors
// of the program itself. Numbers are append-only; a retired one stays
// reserved.
//
// Every command ends in one line on standard error,
//
//	godwit: E3001: the address is taken: 127.0.0.1:8080; stop the other program, or choose ...
//
// and in an exit code from the table in exit.go. The package holds immutable
// tables and values; it never prints and never exits.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/godwit-im/godwit/wire"
)

// Code numbers an error of the command line, from 3001.
type Code uint16

// The codes. Append-only.
const (
	PortTaken        Code = 3001
	DataInUse        Code = 3002
	DataTooNew       Code = 3003
	BadKey           Code = 3004
	BadValue         Code = 3005
	DevAuthExposed   Code = 3006
	Unreachable      Code = 3007
	DataNotWritable  Code = 3008
	NoAuthKey        Code = 3009
	Interrupted      Code = 3010
	Usage            Code = 3011
	BadConfigFile    Code = 3012
	BadAddress       Code = 3013
	BadKeyFile       Code = 3014
	NoDevSignIn      Code = 3015
	TimedOut         Code = 3016
	StopTooSlow      Code = 3017
	UnknownCode      Code = 3018
	FailIfHeld       Code = 3019
	DataBroken       Code = 3020
	StartFailed      Code = 3021
	NotGodwit        Code = 3022
	TooFewFiles      Code = 3023
	BadCAFile        Code = 3024
	DataForeign      Code = 3025
	PlaintextExposed Code = 3026
	JoinSecret       Code = 3301
	ClockOff         Code = 3302
	NameTaken        Code = 3303
	AddressInUse     Code = 3304
	TwoInstances     Code = 3305
	UnknownNode      Code = 3306
	BreaksMajority   Code = 3307
	TooFewNodes      Code = 3308
	VersionGap       Code = 3309
	OldMap           Code = 3310
	NotControlLeader Code = 3311
	NoControlLeader  Code = 3312
	TooManyWaiting   Code = 3313
	BadControlCall   Code = 3314
	NoControl        Code = 3315
	OtherRole        Code = 3316
	OtherCluster     Code = 3317
	NodeFileBroken   Code = 3318
	NodeHolds        Code = 3319
	PlanState        Code = 3320
	ControlBroken    Code = 3321
	ControlInternal  Code = 3322
	IdentityTaken    Code = 3323
	NodeLeft         Code = 3324
	Unexpected       Code = 3999
)

// Spec is the table's row for one code.
type Spec struct {
	Code Code
	Name string // for `godwit explain NAME`
	Exit int    // exit code of the process
	Text string // what is wrong
	Do   string // what to do about it
	More string // what else helps, for `godwit explain`
}

// Codes is the table, ordered by code. It is immutable.
var Codes = [...]Spec{
	{PortTaken, "port_taken", ExitBind, "the address is taken",
		"stop the program that holds it, or choose another address with --listen or --admin",
		"Find the holder with `ss -ltnp`. Port 0 lets the system choose a free one; the start-up lines then show it."},
	{DataInUse, "data_in_use", ExitData, "another godwit uses the data directory",
		"stop that process, or give this one a directory of its own with --data",
		"The directory holds a file LOCK with the process id of its owner. The lock ends with the process, even after kill -9: there is never a need to remove the file."},
	{DataTooNew, "data_too_new", ExitData, "the data directory was written by a newer version",
		"start the newer version again, or restore a backup into another directory",
		"The file VERSION in the directory holds the number of its format. An older program does not touch what it cannot read."},
	{BadKey, "bad_key", ExitConfig, "unknown setting",
		"correct the name, or remove it",
		"Settings have one name as a flag (--max-connections), as an environment variable (GODWIT_MAX_CONNECTIONS) and in the TOML file (max_connections)."},
	{BadValue, "bad_value", ExitConfig, "a setting has a value that does not fit",
		"correct the value",
		"`godwit serve --help` shows every setting with its form and default."},
	{DevAuthExposed, "dev_auth_exposed", ExitConfig, "development sign-in would be open to other machines",
		"configure a key (--auth-public-key, --auth-jwks-url or GODWIT_AUTH_HS256_SECRET), listen on 127.0.0.1, or accept it with --insecure-dev-auth",
		"Development sign-in gives anybody who can reach the address a token for any name. It is on when no key is configured."},
	{Unreachable, "unreachable", ExitUnreachable, "cannot reach the server",
		"start it with `godwit serve`, or name another one with --server URL",
		"Commands talk to the public address of a server, by default http://127.0.0.1:8080; GODWIT_SERVER changes that."},
	{DataNotWritable, "data_not_writable", ExitData, "the data directory cannot be written",
		"correct its owner and mode, or choose another with --data", ""},
	{NoAuthKey, "no_auth_key", ExitConfig, "there is no key to make a token with",
		"set GODWIT_AUTH_HS256_SECRET, or name the data directory of a server in development with --data",
		"`godwit token` signs with the HS256 secret of a server. Tokens for EdDSA, ES256 and RS256 come from your own sign-in service."},
	{Interrupted, "interrupted", ExitInterrupted, "interrupted",
		"there is nothing to mend: it was asked to stop", ""},
	{Usage, "usage", ExitUsage, "the command line cannot be understood",
		"see --help", ""},
	{BadConfigFile, "bad_config_file", ExitConfig, "the configuration file cannot be read",
		"correct the file, or name another with --config", ""},
	{BadAddress, "bad_address", ExitBind, "the address cannot be listened on",
		"use HOST:PORT of this machine", ""},
	{BadKeyFile, "bad_key_file", ExitConfig, "a key or certificate file cannot be used",
		"give a PEM file: a public key for --auth-public-key, a certificate chain and its key for --tls-cert and --tls-key", ""},
	{NoDevSignIn, "no_dev_sign_in", ExitRefused, "the server does not offer development sign-in",
		"pass --token, or set GODWIT_TOKEN; `godwit token` makes one where the HS256 secret is known", ""},
	{TimedOut, "timed_out", ExitFailure, "it took longer than allowed",
		"raise --timeout, or look at the server's log", ""},
	{StopTooSlow, "stop_too_slow", ExitFailure, "stopping took too long and was cut short",
		"nothing is lost: what was acknowledged is on disk; look at the log for what hung", ""},
	{UnknownCode, "unknown_code", ExitUsage, "there is no such error",
		"run `godwit explain` for all of them", ""},
	{FailIfHeld, "fail_if_held", ExitFailIf, "a --fail-if condition held",
		"see the report above for the value", ""},
	{DataBroken, "data_broken", ExitData, "the data directory cannot be opened",
		"look at the cause; when a file is damaged, restore a backup into another directory", ""},
	{StartFailed, "start_failed", ExitFailure, "the server could not start",
		"look at the cause and at the log", ""},
	{NotGodwit, "not_godwit", ExitUnreachable, "something else than godwit answers at this address",
		"check --server: it wants the public address, not the admin one", ""},
	{TooFewFiles, "too_few_files", ExitConfig, "the process may not open enough files",
		"raise the limit (`ulimit -n`, LimitNOFILE= in systemd), or lower --max-connections", ""},
	{BadCAFile, "bad_ca_file", ExitConfig, "the file with the certificates to trust cannot be used",
		"give --ca a PEM file with the server's certificate or the one that signed it", ""},
	{DataForeign, "data_foreign", ExitData, "the data directory holds files that are not godwit's",
		"name a new or empty directory with --data",
		"Nothing was written. godwit keeps its data in a directory of its own, which it makes, and knows again by the file VERSION."},
	{PlaintextExposed, "plaintext_exposed", ExitConfig, "nodes would talk in the clear where other machines could listen",
		"give each node a certificate (`godwit pki init`, `godwit pki issue`, --pki), or accept it with --insecure-plaintext",
		"Edges, cores and control members talk TLS 1.3 and show each other certificates. Without them only loopback addresses are used, unless told otherwise."},
	{JoinSecret, "join_secret", ExitRefused, "control refuses the join secret",
		"give this process the join secret of the control nodes",
		"Every role of a fleet has the same one. Space and line ends around it do not count."},
	{ClockOff, "clock_off", ExitRefused, "the clock differs from control's by more than 5 s",
		"set the clock (chrony, systemd-timesyncd) and start again",
		"Entries are stamped with the clock of the shard's leader; a clock that is off would stamp messages wrongly."},
	{NameTaken, "name_taken", ExitRefused, "the name belongs to another data directory",
		"choose another --name; if that node's disk is gone, start once with --replace, or `godwit decommission` it",
		"A node is known by the identity in its data directory. One that lost its disk is a new node, and must not vote in place of the old one."},
	{AddressInUse, "address_in_use", ExitRefused, "a node that is alive announces the same address",
		"give each node an address of its own: see --listen, --link, --raft, --advertise", ""},
	{TwoInstances, "two_instances", ExitRefused, "another process runs with the identity of this node",
		"stop one of the two; a copied data directory must be removed, and its node started with an empty one",
		"A node that restarts is let in once the earlier process has been silent for three seconds."},
	{UnknownNode, "unknown_node", ExitRefused, "the fleet has no such node",
		"see `godwit nodes`; a node that was removed starts again with an empty data directory", ""},
	{BreaksMajority, "breaks_majority", ExitRefused, "a shard would lose its majority",
		"start the nodes that are down, or wait until the moves under way are done", ""},
	{TooFewNodes, "too_few_nodes", ExitRefused, "fewer core nodes would stay than a shard has replicas",
		"add a core node first, or plan with fewer replicas", ""},
	{VersionGap, "version_gap", ExitRefused, "the versions are not neighbours",
		"upgrade in steps, one version at a time, all nodes before the next step", ""},
	{OldMap, "old_map", ExitRefused, "control knows only an older shard map than the node",
		"do not restore control from a backup beside a running fleet: start the control members with their newest data",
		"An older map is never taken. The nodes go on with the one they have."},
	{NotControlLeader, "not_control_leader", ExitRefused, "this control member does not lead",
		"ask the leader, which the answer names", ""},
	{NoControlLeader, "no_control_leader", ExitUnreachable, "the control group has no leader right now",
		"try again; check that a majority of the control nodes runs",
		"Messages flow on with the map that every node keeps. Joins, moves and drains wait."},
	{TooManyWaiting, "too_many_waiting", ExitRefused, "too many calls are open at this control member",
		"try again in a second; if it stays, look for processes that call in a loop", ""},
	{BadControlCall, "bad_control_call", ExitRefused, "control does not understand the call",
		"correct the part that is named; program and control may be of versions that are too far apart", ""},
	{NoControl, "no_control", ExitUnreachable, "no control member answers",
		"check the addresses (--control), that a majority of the control nodes runs, and the certificates", ""},
	{OtherRole, "other_role", ExitData, "the data directory belongs to another role or name",
		"give each process a data directory of its own", ""},
	{OtherCluster, "other_cluster", ExitData, "the data directory belongs to another fleet",
		"name the control nodes of that fleet, or start with an empty data directory", ""},
	{NodeFileBroken, "node_file_broken", ExitData, "node.json cannot be used",
		"restore it from a backup; without it this is a new node, which needs an empty data directory", ""},
	{NodeHolds, "node_holds", ExitRefused, "the node is alive or still holds shards",
		"`godwit decommission` it, wait until it holds nothing, and stop it", ""},
	{PlanState, "plan_state", ExitRefused, "the plan is not in a state for this",
		"see `godwit shards status`", ""},
	{ControlBroken, "control_broken", ExitRefused, "this control member cannot follow the log of its group",
		"upgrade it to the version of the others; its log names the entry", ""},
	{ControlInternal, "control_internal", ExitRefused, "control could not carry out the call",
		"look at the log of the control leader", ""},
	{IdentityTaken, "identity_taken", ExitRefused, "the data directory is that of another node",
		"start it under that node's name and role, or with an empty data directory", ""},
	{NodeLeft, "node_left", ExitRefused, "the node has been decommissioned",
		"start it with an empty data directory to join as a new node", ""},
	{Unexpected, "unexpected", ExitFailure, "the command failed",
		"look at the cause", ""},
}

// Spec returns the table's row for c, or nil.
func (c Code) Spec() *Spec {
	for i := range Codes {
		if Codes[i].Code == c {
			return &Codes[i]
		}
	}
	return nil
}

// Error is a numbered error of the command line.
type Error struct {
	Code   Code
	Detail string // which one: an address, a path, a key
	Do     string // replaces the table's advice when it can be more exact
	Err    error  // the cause, may be nil
}

// New returns an Error whose detail is formatted like fmt.Errorf: %w wraps the
// cause.
func New(c Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: c, Detail: err.Error(), Err: errors.Unwrap(err)}
}

// Advise returns e with advice that fits better than the table's.
func (e *Error) Advise(format string, args ...any) *Error {
	e.Do = fmt.Sprintf(format, args...)
	return e
}

// Error returns "E3001: what is wrong: detail; what to do".
func (e *Error) Error() string {
	s := e.Code.Spec()
	text := s.Text
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	do := e.Do
	if do == "" {
		do = s.Do
	}
	return fmt.Sprintf("E%d: %s; %s", uint16(e.Code), text, do)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports two Errors as the same when their codes are, so that
// errors.Is(err, &fault.Error{Code: c}) asks for a code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Of returns the numbered error inside err, wrapping it as Unexpected when it
// has none. A wire.Code inside err keeps its own number. Of(nil) is nil.
func Of(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	var c wire.Code
	var d wire.DecodeError
	if errors.As(err, &e) || errors.As(err, &c) || errors.As(err, &d) || numbered(err) {
		return err
	}
	return &Error{Code: Unexpected, Detail: err.Error(), Err: err}
}

// numbered reports whether err carries a code of the wire table by way of a
// method, as client.Error does.
func numbered(err error) bool {
	var n interface{ WireCode() wire.Code }
	return errors.As(err, &n)
}

// Line returns the one line that a command prints for err, without the end of
// line: what is wrong, a semicolon, what to do. Whatever the parts hold, it is
// one line, and no control character reaches the terminal.
func Line(err error) string {
	text := strings.ReplaceAll(strings.TrimSpace(Of(err).Error()), "\n", ", ")
	return "godwit: " + strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
