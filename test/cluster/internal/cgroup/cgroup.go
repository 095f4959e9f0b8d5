//go:build linux

// Package cgroup makes and removes cgroups in every hierarchy of the machine.
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

// Hierarchies returns where the machine's cgroup hierarchies are mounted. On machines with version 1 there are many of them, and
// often the one of version 2 besides, which the container runtime uses as well.
func Hierarchies() ([]string, error) {
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

// Make makes a cgroup in every hierarchy.
func Make(name string) error {
	hierarchies, err := Hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		if err := os.MkdirAll(filepath.Join(hierarchy, name), 0o755); err != nil {
			return fmt.Errorf("make cgroup %s: %w", name, err)
		}
	}
	return nil
}

// A process that was killed is in its cgroup until the kernel is done with it, which takes a while on a busy machine.
const (
	patience = 30 * time.Second
	pause    = 50 * time.Millisecond
)

// Remove removes a cgroup and those in it, innermost first. Their processes must have been killed; it waits until they are
// gone, for half a minute at most.
func Remove(name string) error {
	hierarchies, err := Hierarchies()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
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
		<-time.After(pause) // version 1 tells nobody when a cgroup is empty
	}
}
