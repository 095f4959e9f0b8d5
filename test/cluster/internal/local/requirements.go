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
)

// EnsureRequirements checks what the cluster needs from the machine, and installs runc where the distribution is Debian's or Ubuntu's
// and nothing else is missing.
func EnsureRequirements(ctx context.Context, progress io.Writer) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: that needs root, for namespaces, mounts and cgroups; simulated nodes are not available yet "+
			"(as an alternative: CLUSTER=kind with a container engine)", ErrUnsupported)
	}
	missing, err := missingFromKernel()
	if err != nil {
		return err
	}
	runc := missingRunc(ctx)
	if runc != nil && len(missing) == 0 && canInstall() {
		if err := installRunc(ctx, progress); err != nil {
			return err
		}
		runc = missingRunc(ctx)
	}
	if runc != nil {
		missing = append(missing, runc.Error())
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: this machine lacks %s", ErrUnsupported, strings.Join(missing, "; "))
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
	hierarchies, err := cgroupHierarchies()
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

func canInstall() bool {
	_, debian := os.Stat("/etc/debian_version")
	_, apt := exec.LookPath("apt-get")
	return debian == nil && apt == nil
}

// installRunc refreshes the list of packages only if it has to.
func installRunc(ctx context.Context, progress io.Writer) error {
	fmt.Fprintln(progress, "runc is missing: installing it with apt-get install runc")
	if err := apt(ctx, "install", "-y", "--no-install-recommends", "runc"); err == nil {
		return nil
	}
	if err := apt(ctx, "update"); err != nil {
		return err
	}
	return apt(ctx, "install", "-y", "--no-install-recommends", "runc")
}

func apt(ctx context.Context, arguments ...string) error {
	command := exec.CommandContext(ctx, "apt-get", arguments...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(arguments, " "), err, lastLines(string(output), 10))
	}
	return nil
}
