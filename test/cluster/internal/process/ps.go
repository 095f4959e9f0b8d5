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

// psColumns are columns that the command ps of every Unix has. The start time has five words. The executable is the last column, because
// it may contain blanks.
const psColumns = "pid=,state=,lstart=,comm="

// psLine matches the identifier, the state, the start time without its day of the week, and the executable.
var psLine = regexp.MustCompile(`^\s*(\d+)\s+(\S+)\s+\S+\s+(\S+\s+\d+\s+[\d:]+\s+\d+)\s+(.*\S)\s*$`)

// runPS returns the output of ps. Locale and time zone are fixed, so that the start time of a process is the same for all users.
func runPS(arguments ...string) ([]byte, error) {
	command := exec.CommandContext(context.Background(), "ps", append(arguments, "-o", psColumns)...)
	command.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	return command.Output()
}

// parsePS parses a line of ps. It returns false for other lines and for zombies.
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
