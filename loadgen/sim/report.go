package sim

import (
	"fmt"
	"strings"

	"github.com/godwit-im/godwit/loadgen/check"
)

// verdict keeps what a checker found at the end.
func (w *world) verdict(v check.Verdict) { w.verdicts = append(w.verdicts, v) }

func (w *world) report() *Report {
	rep := &Report{Seed: w.cfg.Seed, Simulated: w.e.now, Events: w.e.events, Trace: fmt.Sprintf("%016x", w.e.sum),
		Acked: w.acked, Calms: w.figures.calms, Moves: w.figures.moves, Elections: w.figures.elections, StatusBack: w.figures.statusBack, PushGaps: w.figures.pushGaps, Faults: map[string]uint64{}, Verdicts: w.verdicts, Failure: w.broken}
	for i := range w.chats {
		rep.Messages += uint64(w.chats[i].next)
	}
	for i, n := range w.nemesis.counts {
		if n > 0 {
			rep.Faults[faultNames[i]] = n
		}
	}
	return rep
}

// storyLines is how long a story may be: its first lines say where a message
// came from, its last what broke.
const storyLines = 40

// tell goes through a run once more and writes down what befell the message
// that the failure is about.
func (w *world) tell(f *Failure) []string {
	v := f.Violation
	h := &watch{k: v.K, seq: v.Seq}
	for i := range w.chats {
		if w.plan.Name(uint32(i)) == v.Chat {
			h.chat = uint32(i)
		}
	}
	if _, err := simulate(w.cfg, w.plant, h, nil); err != nil {
		return nil
	}
	first := -1
	for i := range h.story {
		if h.story[i].node == 0 {
			first = i
			break
		}
	}
	if first < 0 {
		return nil
	}
	// Of the fleet, what happened right before and around the message.
	story := h.story[max(0, first-6):]
	if len(story) > storyLines {
		story = append(story[:storyLines/2:storyLines/2], story[len(story)-storyLines/2:]...)
	}
	var lines []string
	for i := range story {
		lines = append(lines, story[i].String())
	}
	return lines
}

// String is the failure as a person reads it.
func (f *Failure) String() string {
	s := fmt.Sprintf("%s at %v: %s", f.Kind, f.At, f.Detail)
	if len(f.Story) > 0 {
		s += "\n  " + strings.Join(f.Story, "\n  ")
	}
	return s
}
