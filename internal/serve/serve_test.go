package serve_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/serve"
	"github.com/godwit-im/godwit/internal/testcert"
	"github.com/godwit-im/godwit/wire"
)

// running is a server inside the test.
type running struct {
	serve.Addresses
	out  *bytes.Buffer // complete once started
	stop func() error  // waits for Run; again is harmless
}

func settings(data string) serve.Config {
	return serve.Config{Server: config.Server{Data: data, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Shards: 2,
		MaxContent: 64 << 10, Heartbeat: 30 * time.Second}, Version: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func start(t *testing.T, cfg serve.Config) *running {
	t.Helper()
	r := &running{out: &bytes.Buffer{}}
	ctx, cancel := context.WithCancel(context.Background())
	started, done := make(chan serve.Addresses, 1), make(chan error, 1)
	cfg.Out, cfg.Started = r.out, func(a serve.Addresses) { started <- a }
	go func() { done <- serve.Run(ctx, cfg) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { r.stop() })
	select {
	case r.Addresses = <-started:
	case err := <-done:
		done <- err
		t.Fatalf("did not start: %v", err)
	}
	return r
}

func (r *running) connect(t *testing.T, user client.UserID) *client.Client {
	t.Helper()
	url := "http://" + r.Public
	token, _, err := client.DevToken(t.Context(), url, user, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Connect(t.Context(), client.Config{URL: url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func receive(t *testing.T, c *client.Client, n int) (texts []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ev := range c.Events(ctx) {
		if m, ok := ev.(client.Message); ok {
			if texts = append(texts, string(m.Content)); len(texts) == n {
				return texts
			}
		}
	}
	t.Fatalf("got %q, want %d messages", texts, n)
	return nil
}

func TestTwoUsersChatAndARestartKeepsIt(t *testing.T) {
	data := t.TempDir()
	s := start(t, settings(data))
	alice, bob := s.connect(t, "alice"), s.connect(t, "bob")
	for i := range 5 {
		if _, err := alice.Send(t.Context(), client.ToUser("bob"), fmt.Appendf(nil, "m%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(receive(t, bob, 5), " "); got != "m0 m1 m2 m3 m4" {
		t.Errorf("bob got %s", got)
	}
	alice.Close()
	bob.Close()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}

	again := start(t, settings(data))
	page, err := again.connect(t, "alice").History(t.Context(), client.DirectChat("alice", "bob"), client.HistoryQuery{})
	if err != nil || len(page.Messages) != 5 || string(page.Messages[0].Content) != "m4" {
		t.Errorf("after the restart: %+v %v", page, err)
	}
}

func TestStartUpLines(t *testing.T) {
	s := start(t, settings(t.TempDir()))
	out := s.out.String()
	for _, want := range []string{"http://" + s.Public + "/", "http://" + s.Admin + "/", "DEVELOPMENT SIGN-IN IS ON",
		"godwit chat --as alice --with bob --server http://" + s.Public} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// What to try is spelled so that it can be typed where the server was started.
func TestStartUpLinesNameTheProgram(t *testing.T) {
	for program, want := range map[string]string{"./bin/godwit": "\n  ./bin/godwit chat --as", "/opt/my app/godwit": "\n  '/opt/my app/godwit' chat --as"} {
		cfg := settings(t.TempDir())
		cfg.Program = program
		if out := start(t, cfg).out.String(); !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestAdminAddress(t *testing.T) {
	s := start(t, settings(t.TempDir()))
	for path, want := range map[string]string{"/healthz": "", "/readyz": "", "/metrics": "godwit_", "/debug/pprof/": "goroutine"} {
		resp, err := http.Get("http://" + s.Admin + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d, %q missing in %.200s", path, resp.StatusCode, want, b)
		}
	}
}

// A JWKS address that does not answer is said at the start and in /readyz; with
// no other key the server is not ready.
func TestKeysThatCannotBeFetched(t *testing.T) {
	for name, tc := range map[string]struct {
		secret string
		status int
		want   string
	}{
		"the only keys": {"", 503, "edge: the keys at http://127.0.0.1:1/keys cannot be fetched"},
		"beside others": {strings.Repeat("k", 32), 200, "ready\nedge: the keys at http://127.0.0.1:1/keys cannot be fetched"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			cfg := settings(t.TempDir())
			cfg.AuthJWKSURL, cfg.AuthHS256Secret = "http://127.0.0.1:1/keys", tc.secret
			cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
			s := start(t, cfg)
			resp, err := http.Get("http://" + s.Admin + "/readyz")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != tc.status || !strings.HasPrefix(string(body), tc.want) {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			if lines := strings.TrimSpace(log.String()); !strings.HasSuffix(lines, "msg=stopped") {
				t.Errorf("the last line: %s", lines)
			}
			if !strings.Contains(log.String(), "--auth-jwks-url does not work") {
				t.Errorf("the log says nothing: %s", log.String())
			}
		})
	}
}

// After a compaction the directory is smaller and everything is there.
func TestCompact(t *testing.T) {
	cfg := settings(t.TempDir())
	s := start(t, cfg)
	alice := s.connect(t, "alice")
	for i := range 2000 {
		if _, err := alice.Send(t.Context(), client.ToUser("bob"), fmt.Appendf(nil, "m%d %0100d", i, i)); err != nil {
			t.Fatal(err)
		}
	}
	store := filepath.Join(cfg.Data, "core", "store")
	before := size(t, store, "")
	resp, err := http.Post("http://"+s.Admin+"/debug/compact", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if after := size(t, store, ".log"); after == 0 || after > before { // the logs are empty and kept to be written again
		t.Errorf("%d bytes of tables after, %d bytes of all before", after, before)
	}
	var older client.Seq
	for n := 2000; n > 0; {
		page, err := alice.History(t.Context(), client.DirectChat("alice", "bob"), client.HistoryQuery{Before: older, Limit: 200})
		if err != nil || len(page.Messages) == 0 {
			t.Fatalf("at %d: %d messages, %v", n, len(page.Messages), err)
		}
		for _, m := range page.Messages {
			if n--; !strings.HasPrefix(string(m.Content), fmt.Sprintf("m%d ", n)) {
				t.Fatalf("message %d is %.20q", n, m.Content)
			}
		}
		older = page.Messages[len(page.Messages)-1].MessageID
	}
	if _, err := alice.Send(t.Context(), client.ToUser("bob"), []byte("and on")); err != nil {
		t.Error(err)
	}
}

// size adds up the files of a directory but those with an ending.
func size(t *testing.T, dir, but string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if info, ierr := d.Info(); err == nil && ierr == nil && !d.IsDir() && (but == "" || filepath.Ext(d.Name()) != but) {
			total += info.Size()
		}
		return nil // files come and go
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// refused wants Run to end with a code at once.
func refused(t *testing.T, cfg serve.Config, want fault.Code) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := serve.Run(ctx, cfg)
	if !errors.Is(err, &fault.Error{Code: want}) {
		t.Errorf("got %v, want E%d", err, want)
	}
}

func TestWhatIsTaken(t *testing.T) {
	data := t.TempDir()
	s := start(t, settings(data))
	refused(t, settings(data), fault.DataInUse)
	other := settings(t.TempDir())
	other.Listen = s.Public
	refused(t, other, fault.PortTaken)
	other.Listen, other.Admin = "127.0.0.1:0", s.Admin
	refused(t, other, fault.PortTaken)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	start(t, settings(data)) // the lock ends with its owner
}

// A file of keys that cannot be read is a wrong setting, not a failing server
// or data directory.
func TestKeyFilesThatAreAbsent(t *testing.T) {
	cfg := settings(t.TempDir())
	cfg.TLSCert, cfg.TLSKey = "/nowhere/cert.pem", "/nowhere/key.pem"
	refused(t, cfg, fault.BadKeyFile)
	cfg = settings(t.TempDir())
	cfg.AuthPublicKeys = []string{"/nowhere/issuer.pem"}
	refused(t, cfg, fault.BadKeyFile)
}

func TestDataDirectories(t *testing.T) {
	data := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(data, "VERSION"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("2\n")
	refused(t, settings(data), fault.DataTooNew)
	write("rubbish")
	refused(t, settings(data), fault.DataBroken)
	file := filepath.Join(data, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, settings(file), fault.DataNotWritable)
}

// A damaged file of a part is the data directory's fault, with its exit code.
func TestDamagedFileIsTheDirectorysFault(t *testing.T) {
	for _, pattern := range []string{"core/store/MANIFEST-*", "core/raft/NODEHOST.ID", "core/raft/*/*/*/CURRENT"} {
		cfg := settings(t.TempDir())
		if err := start(t, cfg).stop(); err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(cfg.Data, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		if err := os.Truncate(found[len(found)-1], 5); err != nil {
			t.Fatal(err)
		}
		refused(t, cfg, fault.DataBroken)
	}
}

func TestDevelopmentSecretIsKeptAndPrivate(t *testing.T) {
	data := t.TempDir()
	s := start(t, settings(data))
	name := filepath.Join(data, "dev-secret")
	first, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", fi.Mode(), err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	start(t, settings(data))
	if again, _ := os.ReadFile(name); !bytes.Equal(first, again) {
		t.Error("a restart makes tokens worthless")
	}
}

func TestNoDevelopmentSignInWithAKey(t *testing.T) {
	cfg := settings(t.TempDir())
	cfg.AuthHS256Secret = strings.Repeat("k", 32)
	s := start(t, cfg)
	if _, _, err := client.DevToken(t.Context(), "http://"+s.Public, "alice", ""); err == nil {
		t.Error("a token for the asking")
	}
	if try := "GODWIT_TOKEN=$(godwit token --user alice) godwit chat --with bob --server http://" + s.Public; !strings.Contains(s.out.String(), try) {
		t.Errorf("no %q in %s", try, s.out)
	}
	if strings.Contains(s.out.String(), cfg.AuthHS256Secret) {
		t.Error("the secret was printed")
	}
	if strings.Contains(s.out.String(), "DEVELOPMENT") {
		t.Error("the start-up lines claim development sign-in")
	}
}

func TestChatOverTLS(t *testing.T) {
	cfg := settings(t.TempDir())
	cfg.AuthHS256Secret = strings.Repeat("k", 32)
	cert := testcert.New(t)
	cfg.TLSCert, cfg.TLSKey = cert.CertFile, cert.KeyFile
	s := start(t, cfg)
	connect := func(user string) *client.Client {
		claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(cfg.AuthHS256Secret))
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Connect(t.Context(), client.Config{URL: "https://" + s.Public, Token: token, TLS: cert.Trust()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	alice, bob := connect("alice"), connect("bob")
	big := strings.Repeat("0123456789", 6000)
	for _, text := range []string{"hello", big} {
		if _, err := alice.Send(t.Context(), client.ToUser("bob"), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got := receive(t, bob, 2); got[0] != "hello" || got[1] != big {
		t.Errorf("bob got %.20q", got)
	}
	if list, _, err := bob.Conversations(t.Context(), "", 0); err != nil || len(list) != 1 || list[0].PeerID != "alice" {
		t.Errorf("list over https: %+v %v", list, err)
	}
}

func TestGroups(t *testing.T) {
	s := start(t, settings(t.TempDir()))
	alice, bob, carol := s.connect(t, "alice"), s.connect(t, "bob"), s.connect(t, "carol")
	group, err := alice.CreateGroup(t.Context(), "trip", "bob", "carol")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := alice.Send(t.Context(), client.ToChat(group), fmt.Appendf(nil, "m%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*client.Client{bob, carol} {
		if got := strings.Join(receive(t, c, 11), " "); got != "trip m0 m1 m2 m3 m4 m5 m6 m7 m8 m9" {
			t.Errorf("got %s", got)
		}
	}
	if _, err := s.connect(t, "mallory").Send(t.Context(), client.ToChat(group), []byte("hi")); !errors.Is(err, wire.CodeNotMember) {
		t.Errorf("a stranger's send: %v", err)
	}
}

// receipt waits until alice is told that bob has come so far.
func receipt(t *testing.T, alice *client.Client, status wire.Status, id client.Seq) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ev := range alice.Events(ctx) {
		if st, ok := ev.(client.Status); ok && st.Status == status && st.MessageID >= id && st.UserID == "bob" {
			return
		}
	}
	t.Fatalf("alice is never told that message %d is %v", id, status)
}

func TestReceiptsReachTheSender(t *testing.T) {
	s := start(t, settings(t.TempDir()))
	alice, bob := s.connect(t, "alice"), s.connect(t, "bob")
	ack, err := alice.Send(t.Context(), client.ToUser("bob"), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	receive(t, bob, 1)
	receipt(t, alice, wire.StatusDelivered, ack.MessageID)
	bob.MarkRead(ack.ChatID, ack.MessageID)
	receipt(t, alice, wire.StatusRead, ack.MessageID)
	page, err := alice.History(t.Context(), ack.ChatID, client.HistoryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range page.Cursors {
		if c.UserID == "bob" && (c.Delivered != 1 || c.Read != 1) {
			t.Errorf("cursors in history: %+v", c)
		}
	}
}
