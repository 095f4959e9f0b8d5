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

// ownsKernel tells whether clusters of this user can have mounts, links and cgroups: those of others may have the same names.
func ownsKernel() bool { return os.Geteuid() == 0 }

// removeFromKernel removes what a cluster has outside of its folder, besides its processes.
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

// unmountAll removes the mounts in the cluster's folder, and makes sure that none is left: removing the folder must not reach
// anything else.
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
	left, err := mountinfo.GetMounts(mountinfo.PrefixFilter(cluster.folder))
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	if len(left) > 0 {
		return fmt.Errorf("%s is still mounted", left[0].Mountpoint)
	}
	return nil
}
