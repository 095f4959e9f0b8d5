//go:build linux

package local

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is what the sweep needs to know of a running process.
type process struct {
	PID        int
	Started    uint64
	Executable string
	Argument0  string
	Cgroups    []string
}

// listProcesses reads all processes of the machine. Those that end meanwhile are left out.
func listProcesses() ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if read, ok := readProcess(pid); ok {
			all = append(all, read)
		}
	}
	return all, nil
}

// readProcess is false for processes that have ended, those that nobody has waited for yet included.
func readProcess(pid int) (process, bool) {
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return process{}, false
	}
	state, started, ok := parseStat(string(stat))
	if !ok || state == "Z" || state == "X" {
		return process{}, false
	}
	// What can't be read is left empty: kernel threads have no executable, for example.
	executable, _ := os.Readlink(filepath.Join(folder, "exe"))
	commandLine, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
	argument0, _, _ := bytes.Cut(commandLine, []byte{0})
	cgroups, _ := os.ReadFile(filepath.Join(folder, "cgroup"))
	return process{
		PID: pid, Started: started,
		Executable: strings.TrimSuffix(executable, " (deleted)"),
		Argument0:  string(argument0),
		Cgroups:    parseCgroups(string(cgroups)),
	}, true
}

// parseStat returns the state and the start time of /proc/<pid>/stat. The name in it may hold anything, so fields are counted from
// its last parenthesis.
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

// belongs decides whether a process is part of the cluster: by its record, by an executable in the cluster's folder, or by a cgroup
// below the cluster's. A process that merely mentions the folder, such as a pager that shows a log, does not belong to it.
func belongs(candidate process, cluster layout, recorded record, boot string) bool {
	if recorded.Boot == boot {
		for _, known := range recorded.Processes {
			if known.PID == candidate.PID && known.Started == candidate.Started {
				return true
			}
		}
	}
	binaries := cluster.path("bin") + "/"
	if strings.HasPrefix(candidate.Executable, binaries) || strings.HasPrefix(candidate.Argument0, binaries) {
		return true
	}
	for _, cgroup := range candidate.Cgroups {
		for _, n := range nodes {
			if strings.HasPrefix(cgroup, "/"+n.cgroup(cluster)+"/") {
				return true
			}
		}
	}
	return false
}
