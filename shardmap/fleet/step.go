package fleet

import "github.com/godwit-im/godwit/wire"

// Step says which Command comes next, and whether there is one. The leader of
// the control group proposes it, and asks again when it has been applied, when a
// report came, and every second. Whatever is lost in between, the same State and
// Reports give the same Command again. Now is the leader's clock.
//
// Reports.Expect has to have been called with s when the leader took over: of a
// node without an entry Step believes neither that it lives nor that it is dead.
func Step(s *State, r Reports, now wire.Millis) (Command, bool) { return Command{}, false }
