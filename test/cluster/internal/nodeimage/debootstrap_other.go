//go:build !linux

package nodeimage

import (
	"context"
	"errors"
	"io"
)

// Requirements says that this is not Linux.
func Requirements() error {
	return errors.New("making the node image needs Linux: use a registry's stock image")
}

func (r Recipe) makeBase(context.Context, string, io.Writer) error { return Requirements() }
