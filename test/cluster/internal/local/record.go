package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/process"
)

// record describes a running cluster. It identifies the processes of the cluster, and the checkout that uses it.
type record struct {
	Checkout    string
	Fingerprint string
	Subnet      string
	Nodes       []string
	// Simulated is set for a simulated cluster.
	Simulated bool `json:",omitempty"`
	Boot      string
	// Ready is set when the start is complete.
	Ready     bool
	Processes []recordedProcess
}

// recordedProcess identifies a process: the kernel may use its identifier again, but not with the same start time in the same boot.
type recordedProcess struct {
	Name    string
	PID     int
	Started uint64
	Version string `json:",omitempty"`
	// Added is set for processes that were started on the running cluster. The cluster is complete without them.
	Added bool `json:",omitempty"`
}

// readRecord returns an empty record if the file is missing or incomplete. Removal does not depend on the record alone.
func readRecord(file string) (record, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("read the record of the cluster: %w", err)
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
	return recordedProcess{}, fmt.Errorf("%s is not running: start the cluster with up", component)
}

func (r record) isRunning(known recordedProcess) bool {
	boot, err := process.BootIdentifier()
	current, alive := process.Read(known.PID)
	return err == nil && boot == r.Boot && alive && current.Started == known.Started
}

func (r record) write(file string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the record of the cluster: %w", err)
	}
	return writeFile(file, content)
}

// writeFile replaces a file in one step. Only its owner can read it.
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
