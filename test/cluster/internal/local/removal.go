package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/filelock"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/process"
)

const (
	killTimeout  = 30 * time.Second
	killInterval = 100 * time.Millisecond
)

// remove removes the processes, mounts, links, cgroups and files of a cluster. It examines the machine in addition to the record, so that it
// also removes a cluster that started only in part, or whose removal was interrupted. The caller holds the lock of the cluster.
func remove(cluster layout) error {
	recorded, err := readRecord(cluster.record())
	if err != nil {
		return err
	}
	if err := killProcesses(cluster, recorded); err != nil {
		return err
	}
	if err := removeFromKernel(cluster); err != nil {
		return err
	}
	if err := os.RemoveAll(cluster.folder); err != nil {
		return fmt.Errorf("remove the folder of the cluster: %w", err)
	}
	return nil
}

// killProcesses repeats until it finds no process, because a process may start another one before it is killed.
func killProcesses(cluster layout, recorded record) error {
	boot, err := process.BootIdentifier()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(killTimeout); ; time.Sleep(killInterval) { //nolint:forbidigo // the end of a process that is not a child cannot be waited for
		targets, err := findProcesses(cluster, recorded, boot)
		if err != nil {
			return err
		}
		if len(targets) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d (%s) of the cluster does not end", targets[0].PID, targets[0].Executable)
		}
		for _, target := range targets {
			if err := process.Signal(target, unix.SIGKILL); err != nil {
				return err
			}
		}
	}
}

func findProcesses(cluster layout, recorded record, boot string) ([]process.Process, error) {
	all, err := process.List()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(candidate process.Process) bool {
		if !ownsKernel() {
			// A cgroup of this name belongs to a cluster of root.
			candidate.Cgroups = nil
		}
		return candidate.PID == os.Getpid() || !isOwned(candidate, cluster, recorded, boot)
	}), nil
}

// removeAbandoned removes clusters whose checkout no longer exists.
func removeAbandoned(ctx context.Context, parent string, progress io.Writer) error {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find abandoned clusters: %w", err)
	}
	for _, entry := range entries {
		if !entry.IsDir() || strings.Contains(entry.Name(), ".") {
			continue
		}
		cluster := newLayout(parent, entry.Name())
		recorded, err := readRecord(cluster.record())
		if err != nil {
			return err
		}
		if !isAbandoned(recorded, folderExists) {
			continue
		}
		fmt.Fprintf(progress, "removing cluster %s, because its checkout %s no longer exists\n", cluster.name, recorded.Checkout)
		if err := removeLocked(ctx, cluster); err != nil {
			return fmt.Errorf("remove abandoned cluster %s: %w", cluster.name, err)
		}
	}
	return nil
}

// isAbandoned is false if the record is incomplete.
func isAbandoned(recorded record, exists func(string) bool) bool {
	return recorded.Checkout != "" && filepath.IsAbs(recorded.Checkout) && !exists(recorded.Checkout)
}

func folderExists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func removeLocked(ctx context.Context, cluster layout) error {
	release, err := filelock.Acquire(ctx, cluster.lock(), func() {})
	if err != nil {
		return err
	}
	defer release()
	if err := errors.Join(remove(cluster), os.RemoveAll(cluster.failedLogs())); err != nil {
		return err
	}
	return os.Remove(cluster.lock())
}
