package nodeimage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/apt"
)

// Requirements is an error if the image cannot be built on this machine.
func Requirements() error {
	if os.Geteuid() != 0 || !apt.IsAvailable() {
		return errors.New("building the node image needs root on Debian, for debootstrap: on other machines, let kind pull its own image")
	}
	return nil
}

// makeBase builds the lower layer, unless it is cached.
func (r Recipe) makeBase(ctx context.Context, scratch string, progress io.Writer) error {
	if _, err := os.Stat(r.baseArchive()); err == nil {
		return nil
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		if err := apt.Install(ctx, progress, "debootstrap"); err != nil {
			return err
		}
	}
	fmt.Fprintf(progress, "downloading packages of Debian %s …\n", suite)
	root := filepath.Join(scratch, "debian")
	if err := runPrivately(ctx, "debootstrap", debootstrapArguments(root)...); err != nil {
		return err
	}
	if err := removeUnwanted(root); err != nil {
		return err
	}
	unfinished := filepath.Join(scratch, "debian.tar")
	if err := runPrivately(ctx, "tar", "--create", "--file", unfinished, "--directory", root, "--sort=name", "--numeric-owner", "."); err != nil {
		return err
	}
	return os.Rename(unfinished, r.baseArchive())
}

// runPrivately runs a program in its own mount namespace and process group, so that its mounts and children end with it.
func runPrivately(ctx context.Context, program string, arguments ...string) error {
	command := exec.CommandContext(ctx, program, arguments...)
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	output, err := command.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	const tail = 2000
	return fmt.Errorf("%s: %w\n%s", program, err, output[max(0, len(output)-tail):])
}
