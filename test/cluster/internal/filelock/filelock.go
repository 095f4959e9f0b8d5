// Package filelock synchronizes processes by an advisory lock on a file. The kernel releases the lock when its holder ends for any reason,
// so a lock is never stale. The file itself stays.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const pollInterval = 200 * time.Millisecond

// Acquire waits for the lock until the context ends. It calls onWait once if it has to wait. The holder may remove the file.
func Acquire(ctx context.Context, path string, onWait func()) (release func(), err error) {
	for waited := false; ; waited = true {
		file, err := try(path)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if file != nil {
			return func() { _ = file.Close() }, nil
		}
		if !waited {
			onWait()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx))
		case <-time.After(pollInterval):
		}
	}
}

// try returns no file if another process holds the lock.
func try(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, file.Close()
	case err != nil:
		return nil, errors.Join(err, file.Close())
	}
	// The previous holder may have removed the file before it released the lock. A lock on a removed file excludes no other process.
	if current, err := isCurrent(file, path); err != nil || !current {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func isCurrent(file *os.File, path string) (bool, error) {
	held, err := file.Stat()
	if err != nil {
		return false, err
	}
	found, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, found), err
}
