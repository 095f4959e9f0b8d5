package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/cgroup"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/filelock"
)

const (
	stopTimeout = 20 * time.Second
	killTimeout = 20 * time.Second
)

// Down stops the private engine with all its containers, and removes its state. It succeeds if nothing remains to be removed.
func (e Engine) Down(ctx context.Context) error {
	release, err := filelock.Acquire(ctx, e.lock(), func() { fmt.Fprintln(e.Progress, "waiting for another command on the engine …") })
	if err != nil {
		return err
	}
	defer release()
	if err := e.remove(ctx); err != nil {
		return fmt.Errorf("remove the private container engine: %w", err)
	}
	return os.Remove(e.lock())
}

// remove examines the machine instead of a record, so that it can remove an engine that started only in part.
func (e Engine) remove(ctx context.Context) error {
	ended, err := e.signalAndWait(ctx, unix.SIGTERM, stopTimeout)
	if err == nil && !ended {
		ended, err = e.signalAndWait(ctx, unix.SIGKILL, killTimeout)
	}
	if err != nil {
		return err
	}
	if !ended {
		return errors.New("the engine does not end")
	}
	if err := restoreTunables(kernelSettings, e.tunables()); err != nil {
		return err
	}
	if err := removeLink(); err != nil {
		return err
	}
	if err := cgroup.Remove(cgroups); err != nil {
		return err
	}
	if err := e.refuseMounts(); err != nil {
		return err
	}
	if err := os.RemoveAll(e.Folder); err != nil {
		return err
	}
	// The start of the engine created these folders. They are not empty if another engine uses them.
	for _, folder := range volatile {
		if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
	}
	return nil
}

// removeLink removes the link of the network of kind. The links of containers are removed with the containers.
func removeLink() error {
	found, err := netlink.LinkByName(link)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the network link %s: %w", link, err)
	}
	if err := netlink.LinkDel(found); err != nil {
		return fmt.Errorf("remove the network link %s: %w", link, err)
	}
	return nil
}

// refuseMounts fails if the folder contains a mount, because removing the folder would remove the files of the mount. All mounts of the
// engine were in its namespace, which no longer exists.
func (e Engine) refuseMounts() error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(e.Folder))
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	if len(mounts) > 0 {
		return fmt.Errorf("%s is mounted", mounts[0].Mountpoint)
	}
	return nil
}
