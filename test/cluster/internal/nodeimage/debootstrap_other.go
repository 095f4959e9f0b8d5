//go:build !linux

package nodeimage

import (
	"context"
	"errors"
	"io"
)

// Requirements fails outside of Linux.
func Requirements() error {
	return errors.New("building the node image needs Linux: let kind pull its own image")
}

func (r Recipe) makeBase(context.Context, string, io.Writer) error { return Requirements() }
