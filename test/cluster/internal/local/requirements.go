//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/apt"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/cgroup"
)

// EnsureRequirements checks the requirements of the cluster. It installs runc on Debian and Ubuntu if nothing else is missing.
func EnsureRequirements(ctx context.Context, progress io.Writer) error {
	missing, err := missingFromKernel()
	if err != nil {
		return err
	}
	runc := missingRunc(ctx)
	if runc != nil && len(missing) == 0 && apt.IsAvailable() {
		if err := apt.Install(ctx, progress, "runc"); err != nil {
			return err
		}
		runc = missingRunc(ctx)
	}
	if runc != nil {
		missing = append(missing, runc.Error())
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w, because it lacks %s: use simulated nodes, whose pods do nothing (CLUSTER=simulated), "+
			"or kind with a container engine (CLUSTER=kind)", ErrUnsupported, strings.Join(missing, "; "))
	}
	return nil
}

// missingFromKernel does not check network links, because no file lists the supported ones. The creation of the network fails without them.
func missingFromKernel() ([]string, error) {
	var missing []string
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return nil, fmt.Errorf("read the file systems of the kernel: %w", err)
	}
	if !strings.Contains(string(filesystems), "\toverlay\n") && exec.Command("modprobe", "overlay").Run() != nil {
		missing = append(missing, "the overlay file system (kernel module overlay)")
	}
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return nil, err
	}
	if len(hierarchies) == 0 {
		missing = append(missing, "cgroups (nothing is mounted below /sys/fs/cgroup)")
	}
	for _, hierarchy := range hierarchies {
		// The kernel supports cgroups, but a container often has no right to create one.
		if err := probeFolder(hierarchy); err != nil {
			return append(missing, fmt.Sprintf("the right to create cgroups (%v)", err)), nil
		}
	}
	return missing, nil
}

func probeFolder(parent string) error {
	folder, err := os.MkdirTemp(parent, "probe-")
	if err != nil {
		return err
	}
	return os.Remove(folder)
}

func missingRunc(ctx context.Context) error {
	output, err := exec.CommandContext(ctx, "runc", "--version").Output()
	if err != nil {
		return errors.New("runc (package runc)")
	}
	if !strings.Contains(string(output), "libseccomp") {
		return errors.New("a runc with seccomp")
	}
	return nil
}
