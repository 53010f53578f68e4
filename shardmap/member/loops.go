package member

import (
	"context"
	"errors"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

// keepMaps writes every newer map to the disk. A write that fails costs a start
// without control later; the next map is written again.
func (m *Member) keepMaps(life context.Context, kept uint64) {
	for {
		next, err := m.cfg.Watcher.Wait(life, kept)
		if err != nil {
			return // Close
		}
		if err := m.file.Save(next); err != nil {
			m.cfg.Log.Warn("the shard map is not on the disk", "err", err)
		}
		kept = next.Epoch()
	}
}

// followMap asks for the next map, one call after the other, each as long as
// control lets it wait.
func (m *Member) followMap(life context.Context) {
	for life.Err() == nil {
		var have uint64
		if cur := m.cfg.Watcher.Current(); cur != nil {
			have = cur.Epoch()
		}
		poll, cancel := context.WithCancel(life)
		m.mu.Lock()
		m.mu.repoll = cancel
		m.mu.Unlock()
		start := time.Now()
		next, err := m.client.Map(poll, have, api.MaxWait)
		repolled := poll.Err() != nil
		cancel()
		switch {
		case err == nil && next == nil && time.Since(start) < api.ReportEvery:
			pause(life, api.ReportEvery) // it did not wait as asked
		case err == nil:
			m.cfg.Watcher.Publish(next)
		case life.Err() == nil && !repolled:
			m.trouble("cannot follow the shard map", err)
			pause(life, refusedPause)
		}
	}
}

// reportAlways joins, if Open could not, and reports every second and when
// kicked, until life ends or control has refused the node for good.
func (m *Member) reportAlways(life context.Context) {
	tick := time.NewTicker(api.ReportEvery)
	defer tick.Stop()
	for behind := 0; ; {
		attempt, cancel := context.WithTimeout(life, reportWithin)
		epoch, err := m.report(attempt)
		cancel()
		switch {
		case life.Err() != nil:
			return
		case err == nil:
			behind = m.checkPoll(epoch, behind)
		case final(err):
			m.cfg.Log.Error("control has refused this node", "err", err)
			m.failed <- err
			return
		default:
			m.trouble("cannot report to control", err)
		}
		select {
		case <-tick.C:
		case <-m.kick:
		case <-life.Done():
			return
		}
	}
}

// checkPoll ends a call for a newer map that hangs: control has had one for two
// reports in a row and the call did not return it, so it hangs at a member that
// was cut off.
func (m *Member) checkPoll(epoch uint64, behind int) int {
	cur := m.cfg.Watcher.Current()
	if epoch == 0 || cur != nil && cur.Epoch() >= epoch {
		return 0
	}
	if behind++; behind < 2 {
		return behind
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.repoll != nil {
		m.mu.repoll()
	}
	return 0
}

// report reports once, and joins first when this process has not. It returns
// the epoch of control's map.
func (m *Member) report(ctx context.Context) (epoch uint64, err error) {
	m.mu.Lock()
	joined, who := m.mu.joined, m.mu.who
	m.mu.Unlock()
	if !joined {
		if err := m.join(ctx); err != nil {
			return 0, err
		}
	}
	r := fleet.Report{Ready: true}
	if m.cfg.Report != nil {
		r = m.cfg.Report()
	}
	r.ID, r.Identity, r.Instance, r.ClockMS = who.ID, who.Identity, m.instance, nowMS()
	if cur := m.cfg.Watcher.Current(); r.Epoch == 0 && cur != nil {
		r.Epoch = cur.Epoch()
	}
	a, err := m.client.Report(ctx, r)
	if err != nil {
		return 0, err
	}
	m.client.Learn(a.Control)
	m.mu.Lock()
	changed := a.Wish != "" && a.Wish != m.mu.wish
	if changed {
		m.mu.wish = a.Wish
	}
	m.mu.said = ""
	m.mu.Unlock()
	if changed {
		m.cfg.Log.Info("what is wanted of this node changed", "wish", a.Wish)
	}
	return a.Epoch, nil
}

// final reports whether a refusal means that this process must not go on as
// this node. Others, such as a join secret that was changed, somebody mends
// while the node serves.
func final(err error) bool {
	var e *fault.Error
	if !errors.As(err, &e) || api.Passes(err) {
		return false
	}
	switch e.Code {
	case fault.TwoInstances, fault.UnknownNode, fault.NameTaken, fault.OtherCluster, fault.OtherRole,
		fault.VersionGap, fault.AddressInUse, fault.ClockOff:
		return true
	}
	return false
}

// leave tells control that this process ends, so that the next one is let in at
// once. When control is away it finds out by itself.
func (m *Member) leave() {
	who := m.identity()
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	err := m.client.Leave(ctx, api.LeaveRequest{ID: who.ID, Identity: who.Identity, Instance: m.instance})
	if err != nil {
		m.cfg.Log.Debug("left without a word to control", "err", err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
