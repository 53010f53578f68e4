package edge

import (
	"context"
	mrand "math/rand/v2"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// cutOffLook is how often the edge looks whether a core is connected.
const cutOffLook = 100 * time.Millisecond

// watchCores sends the clients away when the edge has been without any core for
// Config.CutOff: another edge may have one. Until then what they send is
// answered with CodeUnavailable, and nobody new is let in.
func (s *Server) watchCores(ctx context.Context) {
	tick := time.NewTicker(cutOffLook)
	defer tick.Stop()
	var since time.Time // without a core; zero: it has one, or never had
	sent := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		switch {
		case s.router.anyUp():
			if sent {
				s.cfg.Log.Info("edge: a core is connected again; clients are let in")
			}
			since, sent = time.Time{}, false
		case since.IsZero():
			since = time.Now()
		case !sent && time.Since(since) >= s.cfg.CutOff && s.live.Load() > 0:
			sent = true
			s.n.cutOffs.Add(1)
			s.cfg.Log.Warn("edge: no core is connected; clients are sent away", "clients", s.live.Load(), "for", time.Since(since).Round(time.Millisecond))
			s.farewell()
		}
	}
}

// farewell asks every client to leave and to come back, here or elsewhere, at a
// time of its own within Config.DrainFor.
func (s *Server) farewell() {
	after := func() wire.Millis { return wire.Millis(mrand.N(s.cfg.DrainFor).Milliseconds()) }
	for _, l := range s.loops {
		l.post(work{kind: workDrain, after: after})
	}
}
