package control

// Snapshot makes raft write a snapshot now.
func Snapshot(c *Control) error { return c.raft.Snapshot().Error() }

// Kill stops a member as a crash does: it hands nothing over.
func Kill(c *Control) error {
	c.alone = true
	return c.Close()
}

// Leading reports whether c has taken over.
func Leading(c *Control) bool { return c.leading() != nil }

// Waiting is how many calls wait for a map.
func Waiting(a *API) int { return len(a.waiting) }
