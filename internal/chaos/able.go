package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Able tries what this machine lets a harness do: network namespaces with
// dropped packets, and file systems in files. why says what it does not, in one
// line for each; dir is for what is tried, and empty afterwards.
func Able(dir string) (network, disks bool, why []string) {
	if os.Getuid() != 0 {
		return false, false, []string{"not root: partitions and disks that fail are left out"}
	}
	if err := tryNetwork(); err != nil {
		why = append(why, fmt.Sprintf("partitions are left out: %v", err))
	}
	network = len(why) == 0
	if err := tryDisk(dir); err != nil {
		return network, false, append(why, fmt.Sprintf("disks that fail are left out: %v", err))
	}
	return network, true, why
}

func tryNetwork() error {
	prefix := fmt.Sprintf("10.254.%d.", 1+os.Getpid()%250)
	n, err := newNetwork(os.Getpid(), prefix)
	if err != nil {
		return err
	}
	ns, err := n.add(prefix + "1")
	if err == nil {
		err = ns.drop(nil, nil)
	}
	return errors.Join(err, n.close())
}

func tryDisk(dir string) error {
	if !private() {
		return errors.New("there is no mount namespace to make them in")
	}
	at := filepath.Join(dir, "trial")
	d, err := newDisk(at+".ext4", at)
	if err == nil {
		err = d.unmount()
	}
	return errors.Join(err, os.RemoveAll(at), os.RemoveAll(at+".ext4"))
}
