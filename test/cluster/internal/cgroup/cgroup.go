//go:build linux

// Package cgroup creates and removes cgroups in every hierarchy of the machine.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Hierarchies returns the folders where the cgroup hierarchies of the machine are mounted. Machines with version 1 have several, and often
// the one of version 2 in addition, which the container runtime uses as well.
func Hierarchies() ([]string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("find the cgroup hierarchies: %w", err)
	}
	var folders []string
	for _, mount := range mounts {
		folders = append(folders, mount.Mountpoint)
	}
	return folders, nil
}

// Make creates a cgroup in every hierarchy.
func Make(name string) error {
	hierarchies, err := Hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		if err := os.MkdirAll(filepath.Join(hierarchy, name), 0o755); err != nil {
			return fmt.Errorf("create cgroup %s: %w", name, err)
		}
	}
	return nil
}

// A killed process stays in its cgroup until the kernel has removed it, which takes a while on a busy machine.
const (
	removeTimeout  = 30 * time.Second
	removeInterval = 50 * time.Millisecond
)

// Remove removes a cgroup and those in it, innermost first. The caller has killed their processes; Remove waits until the kernel has
// removed them, for half a minute at most.
func Remove(name string) error {
	hierarchies, err := Hierarchies()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(removeTimeout)
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
			return fmt.Errorf("list cgroups below %s: %w", top, err)
		}
		for _, folder := range slices.Backward(folders) {
			if err := removeOne(folder, deadline); err != nil {
				return fmt.Errorf("remove cgroup %s: %w", folder, err)
			}
		}
	}
	return nil
}

func removeOne(folder string, deadline time.Time) error {
	for {
		err := unix.Rmdir(folder)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		<-time.After(removeInterval) // version 1 has no event for an empty cgroup
	}
}
