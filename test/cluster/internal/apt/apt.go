// Package apt installs packages of Debian and its derivatives, without starting their services. The packages stay installed.
package apt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// policy is the program by which packages decide whether to start services. The exit code 101 means no.
const (
	policy       = "/usr/sbin/policy-rc.d"
	refuseStarts = "#!/bin/sh\nexit 101\n"
)

// IsAvailable reports whether this machine runs Debian or a derivative.
func IsAvailable() bool {
	_, debian := os.Stat("/etc/debian_version")
	_, apt := exec.LookPath("apt-get")
	return debian == nil && apt == nil
}

// Install installs packages. It updates the lists of packages only if the first attempt fails.
func Install(ctx context.Context, progress io.Writer, packages ...string) (err error) {
	restore, err := forbidStarts(policy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	fmt.Fprintf(progress, "installing %s with apt-get\n", strings.Join(packages, ", "))
	arguments := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	if err := run(ctx, arguments...); err == nil {
		return nil
	}
	if err := run(ctx, "update"); err != nil {
		return err
	}
	return run(ctx, arguments...)
}

// forbidStarts creates a policy that starts no services, and returns a function that removes it. An existing policy stays unchanged.
func forbidStarts(file string) (restore func() error, err error) {
	handle, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("prevent packages from starting services: %w", err)
	}
	_, err = handle.WriteString(refuseStarts)
	if err := errors.Join(err, handle.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("prevent packages from starting services: %w", err), os.Remove(file))
	}
	return func() error { return os.Remove(file) }, nil
}

func run(ctx context.Context, arguments ...string) error {
	command := exec.CommandContext(ctx, "apt-get", arguments...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	output, err := command.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(arguments, " "), err, output)
}
