package process

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// psColumns are what the command ps of every Unix can show. The start time has five words, and the executable, which may hold blanks,
// is the last.
const psColumns = "pid=,state=,lstart=,comm="

// psLine finds the identifier, the state, the start time without its day of the week, and the executable.
var psLine = regexp.MustCompile(`^\s*(\d+)\s+(\S+)\s+\S+\s+(\S+\s+\d+\s+[\d:]+\s+\d+)\s+(.*\S)\s*$`)

// runPS returns the lines of ps. Locale and time zone are fixed, so that a process has the same start time whoever asks.
func runPS(arguments ...string) ([]byte, error) {
	command := exec.CommandContext(context.Background(), "ps", append(arguments, "-o", psColumns)...)
	command.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	return command.Output()
}

// parsePS reads a line of ps. It is false for what is none, and for processes that nobody has waited for yet.
func parsePS(line string) (Process, bool) {
	parts := psLine.FindStringSubmatch(line)
	if parts == nil || strings.HasPrefix(parts[2], "Z") {
		return Process{}, false
	}
	pid, err := strconv.Atoi(parts[1])
	if err != nil {
		return Process{}, false
	}
	started, err := time.Parse("Jan 2 15:04:05 2006", strings.Join(strings.Fields(parts[3]), " "))
	if err != nil {
		return Process{}, false
	}
	executable := parts[4]
	return Process{PID: pid, Started: uint64(started.Unix()), Executable: executable, Argument0: executable}, true
}
