package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/process"
)

// record is what a cluster's folder says about it: enough to find its processes again, and to know whether it is still wanted.
type record struct {
	Checkout    string
	Fingerprint string
	Subnet      string
	Nodes       []string
	// Simulated is set if pods do nothing.
	Simulated bool `json:",omitempty"`
	Boot      string
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
	// Added is set for what was started on the running cluster: without it, the cluster is still the one that was asked for.
	Added bool `json:",omitempty"`
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

// find returns a recorded component that is running.
func (r record) find(component string) (recordedProcess, error) {
	for _, known := range r.Processes {
		if known.Name == component && r.isRunning(known) {
			return known, nil
		}
	}
	return recordedProcess{}, fmt.Errorf("%s is not running: start the cluster first", component)
}

func (r record) isRunning(known recordedProcess) bool {
	boot, err := process.BootIdentifier()
	current, alive := process.Read(known.PID)
	return err == nil && boot == r.Boot && alive && current.Started == known.Started
}

func (r record) write(file string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the cluster's record: %w", err)
	}
	return writeFile(file, content)
}

// writeFile replaces a file, which is for its owner alone, in one step.
func writeFile(file string, content []byte) error {
	const mode = 0o600
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
