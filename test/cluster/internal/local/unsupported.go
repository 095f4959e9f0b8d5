//go:build !linux

package local

import (
	"context"
	"fmt"
	"io"
	"runtime"
)

func unsupported() error {
	return fmt.Errorf("%w: that needs Linux and root, and this is %s; simulated nodes are not available yet "+
		"(as an alternative: CLUSTER=kind with a container engine)", ErrUnsupported, runtime.GOOS)
}

// EnsureRequirements says that this is not Linux.
func EnsureRequirements(context.Context, io.Writer) error { return unsupported() }

// Up says that this is not Linux.
func Up(context.Context, Options, Install) error { return unsupported() }

// Down says that this is not Linux.
func Down(context.Context, Options) error { return unsupported() }

// Status says that this is not Linux.
func Status(context.Context, string, string) ([]Component, error) {
	return nil, unsupported()
}

// Load says that this is not Linux.
func Load(context.Context, string, string, []string) ([]string, error) { return nil, unsupported() }

// Credentials returns no file.
func Credentials(string, string) string { return "" }
