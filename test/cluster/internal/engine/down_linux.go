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

// Down stops the private engine with all its containers, and removes its state. It succeeds where there is nothing to remove.
func (e Engine) Down(ctx context.Context) error {
	release, err := filelock.Acquire(ctx, e.lock(), func() { fmt.Fprintln(e.Progress, "waiting for another command that works on the engine …") })
	if err != nil {
		return err
	}
	defer release()
	if err := e.remove(ctx); err != nil {
		return fmt.Errorf("remove the private container engine: %w", err)
	}
	return os.Remove(e.lock())
}

// remove works from what it finds, so it does not matter how far the engine got.
func (e Engine) remove(ctx context.Context) error {
	ended, err := e.signalAndWait(ctx, unix.SIGTERM, stopTimeout)
	if err == nil && !ended {
		ended, err = e.signalAndWait(ctx, unix.SIGKILL, killTimeout)
	}
	if err != nil {
		return err
	}
	if !ended {
		return errors.New("its process does not end")
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
	// Made by the engine's start, and empty unless they are somebody else's.
	for _, folder := range volatile {
		if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
	}
	return nil
}

// removeLink removes the link of kind's network: those of containers end with them.
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

// refuseMounts makes sure that removing the folder reaches nothing else: all mounts are in the engine's namespace, which is gone.
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
