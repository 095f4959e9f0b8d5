//go:build !linux

package local

import (
	"context"
	"fmt"
	"io"
	"runtime"
)

func unsupported() error {
	return fmt.Errorf("%w: that needs Linux and root, and this is %s: use simulated nodes, or CLUSTER=kind with a container engine",
		ErrUnsupported, runtime.GOOS)
}

// EnsureRequirements says that this is not Linux.
func EnsureRequirements(context.Context, io.Writer) error { return unsupported() }

func newMachines(_ layout, options Options) (machines, error) {
	if options.Simulated {
		return simulatedMachines{}, nil
	}
	return nil, unsupported()
}

func importEverywhere(context.Context, record, []string) ([]string, error) { return nil, unsupported() }

// ownsKernel is false where a cluster is nothing but files and processes.
func ownsKernel() bool { return false }

func removeFromKernel(layout) error { return nil }
