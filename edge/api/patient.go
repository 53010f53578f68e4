package api

import (
	"io"
	"net/http"
	"time"
)

// Patient returns h so that what is left of a request's body, up to maxDrain
// bytes, is read before the answer goes out. A client that is still sending
// would otherwise find its connection reset, and never see why it was refused;
// and one that sends slowly would use up the time for the answer.
func Patient(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			h.ServeHTTP(w, r)
			return
		}
		body := &openBody{from: r.Body}
		asks := r.Header.Get("Expect") != ""
		r = r.WithContext(r.Context()) // the server goes on with the body it made
		r.Body = body
		pw := &patientWriter{ResponseWriter: w, body: body, asks: asks}
		h.ServeHTTP(pw, r)
		pw.drain() // of an answer without a word
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
