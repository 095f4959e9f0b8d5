package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/process"
)

// record identifies the first process of the engine.
type record struct {
	PID     int
	Started uint64
	Boot    string
}

func (e Engine) writeRecord(pid int) error {
	boot, err := process.BootIdentifier()
	if err != nil {
		return err
	}
	started, alive := process.Read(pid)
	if !alive {
		return errors.New("it ended immediately")
	}
	content, err := json.Marshal(record{PID: pid, Started: started.Started, Boot: boot})
	if err != nil {
		return err
	}
	return os.WriteFile(e.path("record.json"), content, 0o600)
}

// running returns the first process of the engine if it is running.
func (e Engine) running() (process.Process, bool, error) {
	content, err := os.ReadFile(e.path("record.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return process.Process{}, false, nil
	}
	if err != nil {
		return process.Process{}, false, fmt.Errorf("read the record of the engine: %w", err)
	}
	var known record
	if err := json.Unmarshal(content, &known); err != nil {
		return process.Process{}, false, fmt.Errorf("read the record of the engine: %w", err)
	}
	boot, err := process.BootIdentifier()
	if err != nil {
		return process.Process{}, false, err
	}
	current, alive := process.Read(known.PID)
	return current, alive && boot == known.Boot && current.Started == known.Started, nil
}

// signalAndWait ends the first process of the engine. The kernel then ends all other processes of its namespace.
func (e Engine) signalAndWait(ctx context.Context, signal unix.Signal, timeout time.Duration) (ended bool, err error) {
	for deadline := time.Now().Add(timeout); ; {
		target, alive, err := e.running()
		if err != nil || !alive {
			return !alive, err
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		if err := process.Signal(target, signal); err != nil {
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}
