package core

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// freeSpace asks the operating system what an unprivileged process may still
// write below dir.
func freeSpace(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("core: looking at the disk: %w", err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// checkSpace stops and resumes writing as the disk fills and empties. It says
// so once each way.
func (n *Node) checkSpace() {
	free, err := n.cfg.FreeSpace(n.cfg.Dir)
	if err != nil {
		n.log.Debug("core: free space is not known", "err", err)
		return
	}
	full := free < reserve
	if n.full.Swap(full) == full {
		return
	}
	if full {
		n.log.Error("core: the disk is nearly full, writes are refused until space is freed; delete files or move the data directory to a larger disk",
			"dir", n.cfg.Dir, "free", free, "needed", reserve)
		return
	}
	n.log.Info("core: the disk has room again, writes are taken", "free", free)
}
