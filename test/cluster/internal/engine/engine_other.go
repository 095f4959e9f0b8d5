//go:build !linux

package engine

import (
	"context"
	"errors"
)

var errUnsupported = errors.New("a private container engine needs root on Debian: start Docker here instead")

// Up says that this is not Linux.
func (e Engine) Up(context.Context) error { return errUnsupported }

// Down says that this is not Linux.
func (e Engine) Down(context.Context) error { return nil }

// RunRuntime says that this is not Linux.
func RunRuntime([]string) error { return errUnsupported }
