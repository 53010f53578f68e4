package control

// Snapshot makes raft write a snapshot now.
func Snapshot(c *Control) error { return c.raft.Snapshot().Error() }
