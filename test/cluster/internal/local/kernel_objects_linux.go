package local

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/cgroup"
)

// ownsKernel reports whether clusters of this user can have mounts, links and cgroups. Clusters of root may have the same names.
func ownsKernel() bool { return os.Geteuid() == 0 }

// removeFromKernel removes the mounts, links and cgroups of a cluster.
func removeFromKernel(cluster layout) error {
	if !ownsKernel() {
		return nil
	}
	if err := unmountAll(cluster); err != nil {
		return err
	}
	if err := removeLink(cluster); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := cgroup.Remove(n.cgroup(cluster)); err != nil {
			return err
		}
	}
	return nil
}

// unmountAll removes the mounts in the folder of the cluster. It fails if one remains, because removing the folder would remove the files of
// the mount.
func unmountAll(cluster layout) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(cluster.folder))
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	for _, mount := range slices.Backward(mounts) {
		if err := unix.Unmount(mount.Mountpoint, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", mount.Mountpoint, err)
		}
	}
	remaining, err := mountinfo.GetMounts(mountinfo.PrefixFilter(cluster.folder))
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	if len(remaining) > 0 {
		return fmt.Errorf("%s is still mounted", remaining[0].Mountpoint)
	}
	return nil
}
