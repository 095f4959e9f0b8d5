package main

import (
	"fmt"
	"os"

	"github.com/prometheus/procfs"
)

// childrenTime is the processor time that the control plane and the manager, which are this process' children, have used
// since they began, in seconds.
func childrenTime() (float64, error) {
	processes, err := procfs.AllProcs()
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	total := 0.0
	for _, process := range processes {
		stat, err := process.Stat()
		if err != nil {
			continue // it has ended
		}
		if stat.PPID == os.Getpid() {
			total += stat.CPUTime()
		}
	}
	return total, nil
}

// machineTime is the processor time that the machine has used since it began, whoever it was for, in seconds.
func machineTime() (float64, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return 0, fmt.Errorf("read the machine's processor time: %w", err)
	}
	all := stat.CPUTotal
	return all.User + all.Nice + all.System + all.IRQ + all.SoftIRQ + all.Steal, nil
}
