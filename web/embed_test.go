package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, target string) (*http.Response, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	Handler().ServeHTTP(rec, httptest.NewRequest(method, target, nil))
	res := rec.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// files returns the addresses that the page loads.
func files(t *testing.T) []string {
	t.Helper()
	_, page := get(t, "GET", "/")
	var names []string
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		names = append(names, m[1])
	}
	if len(names) < 2 {
		t.Fatalf("the page loads %q: it should load a script and a style sheet", names)
	}
	return names
}

func TestPageIsAskedForEveryTimeAndItsFilesAreKept(t *testing.T) {
	res, page := get(t, "GET", "/")
	if res.StatusCode != 200 || !strings.Contains(page, `<div id="app">`) {
		t.Fatalf("GET / = %d %q: want the page", res.StatusCode, page)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control of the page = %q: an old page would ask for files that are gone", got)
	}
	for _, name := range files(t) {
		if !strings.HasPrefix(name, "/assets/") {
			t.Errorf("the page loads %q: everything should come from /assets/ of this origin", name)
			continue
		}
		res, body := get(t, "GET", name)
		if res.StatusCode != 200 || body == "" {
			t.Errorf("GET %s = %d, %d bytes", name, res.StatusCode, len(body))
		}
		if got := res.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("Cache-Control of %s = %q: want immutable", name, got)
		}
	}
}

func TestTypesDoNotDependOnTheHost(t *testing.T) {
	for name, want := range map[string]string{
		"a.html": "text/html; charset=utf-8", "a.js": "text/javascript; charset=utf-8",
		"a.css": "text/css; charset=utf-8", "a.svg": "image/svg+xml",
	} {
		if got := typeOf(name); got != want {
			t.Errorf("type of %s = %q, want %q", name, got, want)
		}
	}
}

func TestPageNeedsNothingThatThePolicyForbids(t *testing.T) {
	res, page := get(t, "GET", "/")
	csp := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy %q lacks %q", csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("the policy %q allows something unsafe", csp)
	}
	for _, bad := range []string{`<script>`, `<style`, ` style="`, ` onclick=`, `javascript:`} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q, which the policy forbids", bad)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	for target, want := range map[string]int{
		"/nowhere": 404, "/assets/": 404, "/assets": 404, "/../embed.go": 404, "/embed.go": 404, "/index.html": 200,
	} {
		if res, _ := get(t, "GET", target); res.StatusCode != want {
			t.Errorf("GET %s = %d, want %d", target, res.StatusCode, want)
		}
	}
	if res, _ := get(t, "POST", "/"); res.StatusCode != 405 {
		t.Errorf("POST / = %d, want 405", res.StatusCode)
	}
	if res, body := get(t, "HEAD", "/"); res.StatusCode != 200 || body != "" {
		t.Errorf("HEAD / = %d with %d bytes, want 200 and none", res.StatusCode, len(body))
	}
}

// Who is lost is told where there is something.
func TestNothingHerePointsElsewhere(t *testing.T) {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/chat", nil))
	if body := w.Body.String(); !strings.Contains(body, "at /,") || !strings.Contains(body, "/v1") {
		t.Errorf("%q", body)
	}
}
