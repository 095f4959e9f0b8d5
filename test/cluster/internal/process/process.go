// Package process reads and signals processes of the machine without mistaking one for another: an identifier may be used again, but
// not with the same start time in the same boot.
package process

// Process is what is known of a running process.
type Process struct {
	PID int
	// Started can be compared with that of another process of the same boot, and means nothing else.
	Started    uint64
	Executable string
	Argument0  string
	Cgroups    []string
}
