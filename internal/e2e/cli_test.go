package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestCommandsTalkToOneAnother(t *testing.T) {
	s := newServer(t)
	out, stderr, code := s.run("", "send", "--as", "alice", "--to", "bob", "--count", "3", "-o", "json", "hello")
	if code != 0 || strings.Count(out, "\n") != 3 {
		t.Fatalf("send: %d %s%s", code, out, stderr)
	}
	out, stderr, code = s.run("", "recv", "--as", "bob", "--json", "--count", "3", "--timeout", "20s")
	if code != 0 {
		t.Fatalf("recv: %d %s", code, stderr)
	}
	for i, l := range strings.Split(strings.TrimSpace(out), "\n") {
		var m struct {
			MessageID int    `json:"message_id"`
			SenderID  string `json:"sender_id"`
			Content   string `json:"content"`
		}
		if json.Unmarshal([]byte(l), &m) != nil || m.MessageID != i+1 || m.SenderID != "alice" || !strings.HasPrefix(m.Content, "hello ") {
			t.Errorf("line %d: %s", i+1, l)
		}
	}
	// What was printed is not printed again.
	if out, _, code = s.run("", "recv", "--as", "bob", "--timeout", "500ms"); code != 0 || out != "" {
		t.Errorf("again: %d %s", code, out)
	}
	if _, stderr, code = s.run("", "recv", "--as", "bob", "--count", "1", "--timeout", "200ms"); code != 1 || !strings.Contains(stderr, "E3016") {
		t.Errorf("nothing came: %d %s", code, stderr)
	}
}

func TestLinesThroughChatAndStandardInput(t *testing.T) {
	s := newServer(t)
	if _, stderr, code := s.run("one\ntwo\n", "chat", "--as", "alice", "--with", "bob"); code != 0 {
		t.Fatalf("chat: %d %s", code, stderr)
	}
	if _, stderr, code := s.run("three\nfour\n", "send", "--as", "alice", "--to", "bob", "-"); code != 0 {
		t.Fatalf("send -: %d %s", code, stderr)
	}
	out, _, _ := s.run("", "recv", "--as", "bob", "--count", "4", "--timeout", "20s")
	var texts []string
	for _, l := range strings.Split(strings.TrimSpace(out), "\n") {
		_, text, _ := strings.Cut(l, "alice: ")
		texts = append(texts, text)
	}
	if got := strings.Join(texts, " "); got != "one two three four" {
		t.Errorf("bob got %q from\n%s", got, out)
	}
}

func TestRefusalsOfTheServerHaveTheirNumber(t *testing.T) {
	s := newServer(t)
	for name, c := range map[string]struct {
		args []string
		says string
		code int
	}{
		"self":                          {[]string{"send", "--as", "alice", "--to", "alice", "x"}, "E1205", 7},
		"unknown chat":                  {[]string{"send", "--as", "alice", "--chat", "d" + strings.Repeat("a", 24), "x"}, "E1201", 7},
		"nobody's chat, without a line": {[]string{"chat", "--as", "alice", "--chat", "d" + strings.Repeat("a", 24)}, "E1201", 7},
		"forged":                        {[]string{"recv", "--token", "a.b.c"}, "E1102", 7},
		"too big":                       {[]string{"send", "--as", "alice", "--to", "bob", strings.Repeat("x", 65<<10)}, "E1204: the content has 66560 bytes, the server takes 65536", 7},
	} {
		_, stderr, code := s.run("", c.args...)
		if code != c.code || !strings.HasPrefix(stderr, "godwit: "+c.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
	}
}

func TestALineThatNoServerTakes(t *testing.T) {
	s := newServer(t)
	for _, args := range [][]string{{"send", "--as", "alice", "--to", "bob", "-"}, {"chat", "--as", "alice", "--with", "bob"}} {
		_, stderr, code := s.run(strings.Repeat("x", 2<<20), args...)
		if code != 7 || !strings.HasPrefix(stderr, "godwit: E1204: a line of standard input is longer") {
			t.Errorf("%s: exit code %d, %s", args[0], code, stderr)
		}
	}
}

// A flag says who it should be, whatever the environment says.
func TestAsWinsOverTheTokenOfTheEnvironment(t *testing.T) {
	s := newServer(t)
	token, stderr, code := s.run("", "token", "--user", "alice", "--data", s.data)
	if code != 0 {
		t.Fatalf("token: %d %s", code, stderr)
	}
	s.env = []string{"GODWIT_TOKEN=" + strings.TrimSpace(token)}
	for _, args := range [][]string{{"--to", "bob", "of alice"}, {"--as", "mallory", "--to", "bob", "of mallory"}} {
		if _, stderr, code := s.run("", append([]string{"send"}, args...)...); code != 0 {
			t.Fatalf("send %s: %d %s", args, code, stderr)
		}
	}
	out, stderr, _ := s.run("", "recv", "--as", "bob", "-o", "json", "--count", "2", "--timeout", "20s")
	for _, who := range []string{"alice", "mallory"} {
		if !strings.Contains(out, `"sender_id":"`+who+`","content":"of `+who+`"`) {
			t.Errorf("no message of %s in\n%s%s", who, out, stderr)
		}
	}
}

func TestTheWrongAddressIsNamedAsSuch(t *testing.T) {
	s := newServer(t)
	if _, stderr, code := s.run("", "recv", "--as", "bob", "--server", s.admin); code != 6 || !strings.Contains(stderr, "E3022") {
		t.Errorf("the admin address: exit code %d, %s", code, stderr)
	}
	if _, stderr, code := s.run("", "serve", "--data", s.data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"); code != 5 || !strings.Contains(stderr, "E3002") {
		t.Errorf("the same directory: exit code %d, %s", code, stderr)
	}
	if _, stderr, code := s.run("", "serve", "--data", t.TempDir(), "--listen", s.listen, "--admin", "127.0.0.1:0"); code != 4 || !strings.Contains(stderr, "E3001") {
		t.Errorf("the same address: exit code %d, %s", code, stderr)
	}
}

func TestTokensOfTheDataDirectory(t *testing.T) {
	s := newServer(t)
	token, stderr, code := s.run("", "token", "--user", "alice", "--data", s.data)
	if code != 0 {
		t.Fatalf("token: %s", stderr)
	}
	if _, stderr, code = s.run("", "send", "--token", strings.TrimSpace(token), "--to", "bob", "hi"); code != 0 {
		t.Errorf("send: %d %s", code, stderr)
	}
}

func TestStopIsGracefulAndQuick(t *testing.T) {
	s := newServer(t)
	s.connect("alice")
	began := time.Now()
	if code := s.terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("stopping took %v", d)
	}
	s.start()
}
