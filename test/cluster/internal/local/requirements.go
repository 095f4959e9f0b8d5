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

// EnsureRequirements checks what the cluster needs from the machine, and installs runc where the distribution is Debian's or Ubuntu's
// and nothing else is missing.
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
		return fmt.Errorf("%w: this machine lacks %s; alternatives are simulated nodes (CLUSTER=simulated), whose pods do nothing, "+
			"and CLUSTER=kind with a container engine", ErrUnsupported, strings.Join(missing, "; "))
	}
	return nil
}

// missingFromKernel leaves out network links: they are tried when the network is made, because no file tells about them.
func missingFromKernel() ([]string, error) {
	var missing []string
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return nil, fmt.Errorf("read the kernel's file systems: %w", err)
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
		// Only owners of the whole hierarchy may make cgroups: containers often may not.
		if err := probeFolder(hierarchy); err != nil {
			return append(missing, fmt.Sprintf("cgroups that can be changed (%v)", err)), nil
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
		return errors.New("a runc that was built with seccomp")
	}
	return nil
}
