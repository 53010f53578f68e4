package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-im/godwit/internal/pki"
)

// set parses text into the setting's place in s.
func (st *Setting) set(s *Process, text string) error {
	text = strings.TrimSpace(text)
	if err := st.oneOf(text); err != nil {
		return err
	}
	switch p := st.at(s).(type) {
	case *string:
		*p = text
		return st.form(text)
	case *[]Peer:
		return setPeers(p, text)
	case *[]string:
		for _, part := range strings.Split(text, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			if err := st.form(part); err != nil {
				return err
			}
			*p = append(*p, part)
		}
		return nil
	case *bool:
		v, err := strconv.ParseBool(text)
		*p = v
		return orErr(err, "want true or false")
	case *slog.Level:
		return p.UnmarshalText([]byte(text))
	case *time.Duration:
		v, err := time.ParseDuration(text)
		*p = v
		return st.within(int64(v), orErr(err, "want a duration with its unit, such as 30s or 2m"))
	case *int:
		v, err := st.number(text)
		*p = int(v)
		return st.within(v, err)
	}
	return errors.New("the table has no way to set it")
}

// defaultAPIPort is the port of --api where a member of peers names none.
const defaultAPIPort = "7700"

// setPeers parses NAME=HOST:PORT/PORT,...: the port of --raft, and that of --api
// on the same host.
func setPeers(to *[]Peer, text string) error {
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, addrs, _ := strings.Cut(part, "=")
		raft, port, ok := strings.Cut(addrs, "/")
		if !ok {
			port = defaultAPIPort
		}
		host, _, _ := net.SplitHostPort(raft)
		api := net.JoinHostPort(host, port)
		if !pki.ValidName(name) || !validAddress(raft) || !validAddress(api) || unspecified(raft) {
			return fmt.Errorf("want NAME=HOST:PORT or NAME=HOST:PORT/PORT, such as control-1=10.0.0.1:7701/7700, not %.80q", part)
		}
		*to = append(*to, Peer{name, raft, api})
	}
	return nil
}

func orErr(err error, text string) error {
	if err != nil {
		return errors.New(text)
	}
	return nil
}

func (st *Setting) oneOf(text string) error {
	for _, o := range st.OneOf {
		if o == text {
			return nil
		}
	}
	if st.OneOf == nil {
		return nil
	}
	return fmt.Errorf("want one of %s", strings.Join(st.OneOf, ", "))
}

// form judges texts.
func (st *Setting) form(text string) error {
	switch {
	case st.Kind == Address && !validAddress(text):
		return errors.New("want HOST:PORT, such as 127.0.0.1:8080")
	case st.Key == "control" && (!validAddress(text) || unspecified(text)):
		return errors.New("want HOST:PORT, such as 10.0.0.1:7700")
	case st.Kind == Host && text != "" && !validHost(text):
		return errors.New("want a host without a port, such as 10.0.0.1 or core-1.lan")
	case st.Key == "name" && !pki.ValidName(text):
		return errors.New("want 1 to 64 of a-z, 0-9, - and ., such as core-1")
	case st.Key == "zone" && len(text) > maxZone:
		return fmt.Errorf("want at most %d bytes", maxZone)
	case st.Kind == URL && text != "":
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("want an address that starts with https://")
		}
	case st.Key == "allow_origin" && text != "*":
		u, err := url.Parse(text)
		if err != nil || u.Scheme == "" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return errors.New("want an origin such as https://chat.example, or *")
		}
	case st.Key == "data" && text == "":
		return errors.New("want a directory")
	}
	return nil
}

// maxZone bounds what stands in every shard map.
const maxZone = 64

func validAddress(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	_, perr := strconv.ParseUint(port, 10, 16)
	return err == nil && perr == nil
}

// validHost reports whether others could dial host. An address of IPv6 is
// written without brackets.
func validHost(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return !ip.IsUnspecified()
	}
	return len(host) <= 253 && !strings.ContainsAny(host, ":/[]@ \t")
}

// number reads an Int or a Size.
func (st *Setting) number(text string) (int64, error) {
	unit := int64(1)
	if st.Kind == Size {
		for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20} {
			if t, ok := strings.CutSuffix(text, suffix); ok {
				text, unit = strings.TrimSpace(t), u
			}
		}
	}
	v, err := strconv.ParseInt(text, 10, 40)
	if err != nil && st.Kind == Size {
		return 0, errors.New("want a number of bytes, such as 65536 or 64KiB")
	}
	return v * unit, orErr(err, fmt.Sprintf("want a whole number from %d to %d, such as 8", st.Min, st.Max))
}

// within judges numbers.
func (st *Setting) within(v int64, err error) error {
	text := func(n int64) string {
		if st.Kind == Duration {
			return time.Duration(n).String()
		}
		return strconv.FormatInt(n, 10)
	}
	switch {
	case err != nil:
		return err
	case v < st.Min:
		return fmt.Errorf("want at least %s", text(st.Min))
	case st.Max != 0 && v > st.Max:
		return fmt.Errorf("want at most %s", text(st.Max))
	}
	return nil
}

// textOf turns a TOML value into the text that a flag would have.
func textOf(v any) string {
	if list, ok := v.([]any); ok {
		parts := make([]string, len(list))
		for i, e := range list {
			parts[i] = textOf(e)
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v)
}
