//go:build !linux

package local

import (
	"context"
	"fmt"
	"io"
	"runtime"
)

func unsupported() error {
	return fmt.Errorf("%w, because pods need Linux and this is %s: use simulated nodes (CLUSTER=simulated), or kind with a container engine (CLUSTER=kind)",
		ErrUnsupported, runtime.GOOS)
}

// EnsureRequirements fails outside of Linux.
func EnsureRequirements(context.Context, io.Writer) error { return unsupported() }

func newInfrastructure(_ layout, options Options) (infrastructure, error) {
	if options.Simulated {
		return simulatedNodes{}, nil
	}
	return nil, unsupported()
}

func importEverywhere(context.Context, record, []string) ([]string, error) { return nil, unsupported() }

// ownsKernel is false because clusters of other systems have only files and processes.
func ownsKernel() bool { return false }

func removeFromKernel(layout) error { return nil }
