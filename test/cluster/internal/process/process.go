// Package process reads and signals processes of the machine. It identifies a process by its identifier and start time, because the kernel
// may use an identifier again, but not with the same start time in the same boot.
package process

// Process describes a running process.
type Process struct {
	PID int
	// Started is only meaningful in comparison with another process of the same boot.
	Started    uint64
	Executable string
	Argument0  string
	Cgroups    []string
}
