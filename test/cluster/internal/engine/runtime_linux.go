package engine

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/containerd/containerd/v2/pkg/cap"
	"golang.org/x/sys/unix"
)

// RunRuntime takes the place of runc: it lets a process ask for no more than this machine can give, and becomes runc.
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

// boundingSet lists the capabilities that processes here may have at most.
func boundingSet() ([]string, error) {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("read this process's capabilities: %w", err)
	}
	defer func() { _ = status.Close() }()
	sets, err := cap.ParseProcPIDStatus(status)
	if err != nil {
		return nil, fmt.Errorf("read this process's capabilities: %w", err)
	}
	names, _ := cap.FromBitmap(sets[cap.Bounding])
	return names, nil
}
