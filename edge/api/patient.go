package api

import (
	"io"
	"net/http"
	"time"
)

// patientMux registers handlers that read what is left of a request's body, up
// to maxDrain bytes, before they answer. A client that is still sending would
// otherwise find its connection reset, and never see why it was refused.
type patientMux struct{ *http.ServeMux }

// HandleFunc implements humago.Mux.
func (m patientMux) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	m.ServeMux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			h(w, r)
			return
		}
		body := &openBody{from: r.Body}
		asks := r.Header.Get("Expect") != ""
		r = r.WithContext(r.Context()) // the server goes on with the body it made
		r.Body = body
		h(&patientWriter{ResponseWriter: w, body: body, asks: asks}, r)
	})
}

// openBody is a body that stays readable when a handler closes it: the server
// closes what it made itself.
type openBody struct {
	from    io.Reader
	started bool
}

func (b *openBody) Read(p []byte) (int, error) {
	b.started = true
	return b.from.Read(p)
}

func (b *openBody) Close() error { return nil }

// patientWriter drains body before the status goes out.
type patientWriter struct {
	http.ResponseWriter
	body  *openBody
	asks  bool // the client asks before it sends (Expect: 100-continue)
	begun bool
}

// Unwrap serves http.ResponseController.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *patientWriter) WriteHeader(status int) {
	w.drain()
	w.ResponseWriter.WriteHeader(status)
}

func (w *patientWriter) Write(b []byte) (int, error) {
	w.drain()
	return w.ResponseWriter.Write(b)
}

// drain reads the rest of the body, once. Who has more to send than maxDrain,
// or is too slow for bodyTimeout, loses the connection.
func (w *patientWriter) drain() {
	if w.begun {
		return
	}
	w.begun = true
	if w.asks && !w.body.started {
		return // nothing was sent, and the answer says that nothing should be
	}
	if !w.body.started { // else whoever began to read it has set the deadline
		// What keeps no deadlines is not a socket, and nobody waits for it.
		_ = http.NewResponseController(w.ResponseWriter).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	if _, err := io.CopyN(io.Discard, w.body, maxDrain); err != io.EOF {
		w.Header().Set("Connection", "close")
	}
}
