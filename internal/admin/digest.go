package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// digestTimeout bounds one digest, well below the time that an answer may take.
const digestTimeout = time.Minute

// digest answers what do says of the shard in the path. One is read at a time:
// each goes through all rows of a shard.
func digest(do func(ctx context.Context, shard uint32) (any, error)) http.Handler {
	var busy sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
		if err != nil {
			plain(w, http.StatusBadRequest, "a shard is a number; /debug/shards lists those that are here\n")
			return
		}
		if !busy.TryLock() {
			plain(w, http.StatusConflict, "a digest is being read; wait for it\n")
			return
		}
		defer busy.Unlock()
		ctx, cancel := context.WithTimeout(r.Context(), digestTimeout)
		defer cancel()
		d, err := do(ctx, uint32(id))
		if err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		asJSON(w, d)
	})
}

// asJSON answers v, which is small.
func asJSON(w http.ResponseWriter, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}
