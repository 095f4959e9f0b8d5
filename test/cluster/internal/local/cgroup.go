//go:build linux

package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// cgroupHierarchies returns where the machine's cgroup hierarchies are mounted. On machines with version 1 there are many of them, and
// often the one of version 2 besides, which the container runtime uses as well.
func cgroupHierarchies() ([]string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("find the cgroup hierarchies: %w", err)
	}
	var places []string
	for _, mount := range mounts {
		places = append(places, mount.Mountpoint)
	}
	return places, nil
}

// makeCgroups makes the parent of the pods' cgroups, which the kubelet expects to exist.
func makeCgroups(name string) error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		if err := os.MkdirAll(filepath.Join(hierarchy, name), 0o755); err != nil {
			return fmt.Errorf("make the pods' cgroup: %w", err)
		}
	}
	return nil
}

// removeCgroups removes the cluster's cgroups, innermost first. They must not hold processes any more.
func removeCgroups(name string) error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		top := filepath.Join(hierarchy, name)
		var folders []string
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("list the cluster's cgroups: %w", err)
		}
		for _, folder := range slices.Backward(folders) {
			if err := unix.Rmdir(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove cgroup %s: %w", folder, err)
			}
		}
	}
	return nil
}
