//go:build !linux

package process

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// List reads all processes of the machine. It leaves out processes that end meanwhile.
func List() ([]Process, error) {
	output, err := runPS("-ax")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []Process
	for line := range strings.Lines(string(output)) {
		if read, ok := parsePS(line); ok {
			all = append(all, read)
		}
	}
	return all, nil
}

// Read returns false for processes that have ended, including zombies.
func Read(pid int) (Process, bool) {
	output, err := runPS("-p", strconv.Itoa(pid))
	if err != nil {
		return Process{}, false
	}
	return parsePS(string(output))
}

// Signal verifies the start time of the process first.
func Signal(target Process, signal unix.Signal) error {
	if current, alive := Read(target.PID); !alive || current.Started != target.Started {
		return nil
	}
	if err := unix.Kill(target.PID, signal); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", target.PID, err)
	}
	return nil
}

// BootIdentifier is the same for all boots, because start times are times of the clock on these systems.
func BootIdentifier() (string, error) { return "clock", nil }
