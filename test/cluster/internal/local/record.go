//go:build linux

package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// record is what a cluster's folder says about it: enough to find its processes again, and to know whether it is still wanted.
type record struct {
	Checkout    string
	Fingerprint string
	Subnet      string
	Boot        string
	// Ready is set once everything has been seen to work.
	Ready     bool
	Processes []recordedProcess
}

// recordedProcess names a process beyond doubt: its identifier may be used again, but not with the same start time in the same boot.
type recordedProcess struct {
	Name    string
	PID     int
	Started uint64
	Version string `json:",omitempty"`
}

// readRecord returns an empty record where there is none, or one that was cut off: the sweep does not depend on it alone.
func readRecord(file string) (record, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("read the cluster's record: %w", err)
	}
	var read record
	if err := json.Unmarshal(content, &read); err != nil {
		return record{}, nil //nolint:nilerr // see the function's comment
	}
	return read, nil
}

func (r record) write(file string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the cluster's record: %w", err)
	}
	return writeFile(file, content, 0o600)
}

// writeFile replaces a file in one step.
func writeFile(file string, content []byte, mode fs.FileMode) error {
	temporary := file + ".new"
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.Chmod(temporary, mode); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.Rename(temporary, file); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
