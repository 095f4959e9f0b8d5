// Package apt installs packages of Debian and its relatives, without starting the services that they bring. What it installs stays.
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

// policy is the program that packages ask whether they may start services. Its answer 101 is no.
const (
	policy       = "/usr/sbin/policy-rc.d"
	refuseStarts = "#!/bin/sh\nexit 101\n"
)

// IsAvailable is true on Debian and its relatives.
func IsAvailable() bool {
	_, debian := os.Stat("/etc/debian_version")
	_, apt := exec.LookPath("apt-get")
	return debian == nil && apt == nil
}

// Install installs packages, and refreshes the list of what there is only if it has to.
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

// forbidStarts leaves a policy alone that somebody else has made, and otherwise removes its own again.
func forbidStarts(file string) (restore func() error, err error) {
	handle, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keep packages from starting services: %w", err)
	}
	_, err = handle.WriteString(refuseStarts)
	if err := errors.Join(err, handle.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("keep packages from starting services: %w", err), os.Remove(file))
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
