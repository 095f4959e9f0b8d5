package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// List reads all processes of the machine. It leaves out processes that end meanwhile.
func List() ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []Process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if read, ok := Read(pid); ok {
			all = append(all, read)
		}
	}
	return all, nil
}

// Read returns false for processes that have ended, including zombies.
func Read(pid int) (Process, bool) {
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return Process{}, false
	}
	state, started, ok := parseStat(string(stat))
	if !ok || state == "Z" || state == "X" {
		return Process{}, false
	}
	// Fields stay empty if they cannot be read: kernel threads have no executable, for example.
	executable, _ := os.Readlink(filepath.Join(folder, "exe"))
	commandLine, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
	argument0, _, _ := bytes.Cut(commandLine, []byte{0})
	cgroups, _ := os.ReadFile(filepath.Join(folder, "cgroup"))
	return Process{
		PID: pid, Started: started,
		Executable: strings.TrimSuffix(executable, " (deleted)"),
		Argument0:  string(argument0),
		Cgroups:    parseCgroups(string(cgroups)),
	}, true
}

// parseStat returns the state and the start time in /proc/<pid>/stat. The name in it may contain any character, so fields are counted
// from the last parenthesis.
func parseStat(stat string) (state string, started uint64, ok bool) {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return "", 0, false
	}
	fields := strings.Fields(stat[end+1:])
	const stateField, startField = 0, 19
	if len(fields) <= startField {
		return "", 0, false
	}
	started, err := strconv.ParseUint(fields[startField], 10, 64)
	return fields[stateField], started, err == nil
}

// parseCgroups returns the paths of /proc/<pid>/cgroup, one for each hierarchy.
func parseCgroups(content string) []string {
	var paths []string
	for line := range strings.Lines(content) {
		if parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); len(parts) == 3 {
			paths = append(paths, parts[2])
		}
	}
	return paths
}

// Signal uses a descriptor of the process, so that it cannot reach another process that has the same identifier meanwhile.
func Signal(target Process, signal unix.Signal) error {
	descriptor, err := unix.PidfdOpen(target.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("signal process %d: %w", target.PID, err)
	}
	defer func() { _ = unix.Close(descriptor) }()
	if current, alive := Read(target.PID); !alive || current.Started != target.Started {
		return nil
	}
	if err := unix.PidfdSendSignal(descriptor, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", target.PID, err)
	}
	return nil
}

// BootIdentifier returns a value that changes with every boot of the machine.
func BootIdentifier() (string, error) {
	content, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot identifier: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}
