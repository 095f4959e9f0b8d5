package engine

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/containerd/containerd/v2/pkg/cap"
	"golang.org/x/sys/unix"
)

// RunRuntime replaces runc: it restricts the specification of a process to the capabilities of this machine, and becomes runc.
func RunRuntime(arguments []string) error {
	allowed, err := boundingSet()
	if err != nil {
		return err
	}
	if err := rewriteForRuntime(arguments, allowed); err != nil {
		return err
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("find runc: %w", err)
	}
	return unix.Exec(runc, append([]string{runc}, arguments...), os.Environ())
}

// boundingSet lists the capabilities that a process of this machine can have.
func boundingSet() ([]string, error) {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("read the capabilities of this process: %w", err)
	}
	defer func() { _ = status.Close() }()
	sets, err := cap.ParseProcPIDStatus(status)
	if err != nil {
		return nil, fmt.Errorf("read the capabilities of this process: %w", err)
	}
	names, _ := cap.FromBitmap(sets[cap.Bounding])
	return names, nil
}
