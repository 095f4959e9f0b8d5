//go:build !linux

package engine

import (
	"context"
	"errors"
)

var errUnsupported = errors.New("a private container engine needs root on Debian: start Docker instead")

// Up fails outside of Linux.
func (e Engine) Up(context.Context) error { return errUnsupported }

// Down has nothing to remove outside of Linux.
func (e Engine) Down(context.Context) error { return nil }

// RunRuntime fails outside of Linux.
func RunRuntime([]string) error { return errUnsupported }
