package pki

import "time"

// LookAgain makes the next use look at the files.
func (n *Node) LookAgain() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.looked = time.Time{}
}
