// Package web is the browser client: its built files, embedded, and the
// handler that serves them. Running godwit needs no Node; only changing the
// page does. The sources are TypeScript in src/, the tests of the page beside
// them and in e2e/.
//
// The package promises that what it serves is the content of dist/ as it was
// committed, that a hashed file may be kept for ever and the page itself never
// without asking, and that the page runs under a content security policy that
// allows nothing but this origin: no inline script or style, no frames. It
// owns no state and never reads the disk.
package web

import (
	"bytes"
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed dist
var dist embed.FS

const (
	index = "index.html"
	// assets is where the build puts files whose name holds a hash of their content.
	assets = "assets/"

	forever = "public, max-age=31536000, immutable"
	ask     = "no-cache"

	// policy names everything the page needs. 'self' covers the WebSocket of
	// the same host. Trusted types make assigning HTML from a string an error.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)

// nothing is what is said of an address where there is nothing.
const nothing = "There is nothing at this address. The page is at /, the REST interface at /v1 (see /docs), the WebSocket at /ws."

// Handler serves the page at "/" and its files under "/assets/". Other paths
// are 404, other methods than GET and HEAD 405. It is safe for concurrent use.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("web: dist is not embedded: " + err.Error()) // the compiler has seen to it
	}
	return handler{files}
}

type handler struct{ files fs.FS }

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" {
		name = index
	}
	body, err := fs.ReadFile(h.files, name)
	if err != nil {
		http.Error(w, nothing, http.StatusNotFound)
		return
	}
	setHeaders(w.Header(), name)
	// No modification time: embedded files have none, and two builds of one
	// commit should answer alike.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func setHeaders(header http.Header, name string) {
	if t := typeOf(name); t != "" {
		header.Set("Content-Type", t)
	}
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Content-Security-Policy", policy)
	if strings.HasPrefix(name, assets) {
		header.Set("Cache-Control", forever)
	} else {
		header.Set("Cache-Control", ask)
	}
}

// typeOf does not ask the host's mime table for what the build makes: that
// table differs between machines.
func typeOf(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return mime.TypeByExtension(ext)
	}
}
