package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/apt"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/filelock"
)

const (
	startTimeout = time.Minute
	pollInterval = 100 * time.Millisecond
)

// The engine and its container runtime write to these folders, or use a runtime from them, in spite of their configuration. The permanent
// folders belong to Debian.
var (
	permanent = []string{"/etc/docker", "/opt"}
	volatile  = []string{"/run/containerd", "/run/docker"}
)

// enter prepares the namespaces of the engine and becomes the engine, which is the first process in them. It unmounts the copies of the
// network namespaces of other clusters, which would otherwise exist for longer than those clusters.
var enter = `mount -t proc proc /proc
findmnt --noheadings --list --types nsfs --output TARGET | while read -r target; do umount --lazy "$target"; done
for folder in ` + strings.Join(append(permanent, volatile...), " ") + `; do if [ -d "$folder" ]; then mount -t tmpfs tmpfs "$folder"; fi; done
exec "$@"`

// Up starts the private engine, unless an engine already answers.
func (e Engine) Up(ctx context.Context) error {
	if _, _, err := e.Environment(ctx); err == nil {
		fmt.Fprintln(e.Progress, "a container engine is already running")
		return nil
	}
	if os.Geteuid() != 0 || !apt.IsAvailable() {
		return errors.New("a private container engine needs root on Debian: start Docker instead")
	}
	release, err := filelock.Acquire(ctx, e.lock(), func() { fmt.Fprintln(e.Progress, "waiting for another command on the engine …") })
	if err != nil {
		return err
	}
	defer release()
	if err := e.remove(ctx); err != nil {
		return err
	}
	if err := e.start(ctx); err != nil {
		return errors.Join(fmt.Errorf("start a private container engine: %w", err), e.remove(context.WithoutCancel(ctx)))
	}
	fmt.Fprintf(e.Progress, "the private engine is running; to use it: export DOCKER_HOST=%s\n", e.Host())
	return nil
}

func (e Engine) start(ctx context.Context) error {
	for _, program := range []string{"dockerd", "docker"} {
		if _, err := exec.LookPath(program); err != nil {
			if err := apt.Install(ctx, e.Progress, "docker.io"); err != nil {
				return err
			}
		}
	}
	for _, folder := range append(volatile, e.Folder) {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	if err := saveTunables(kernelSettings, e.tunables()); err != nil {
		return err
	}
	if err := e.configure(); err != nil {
		return err
	}
	ended, err := e.launch()
	if err != nil {
		return err
	}
	if err := e.waitUntilReady(ctx, ended); err != nil {
		content, _ := os.ReadFile(e.log())
		const tail = 2000
		return fmt.Errorf("%w; the end of its log:\n%s", err, content[max(0, len(content)-tail):])
	}
	// If kind created the network, the engine would choose a random name for the link, and Down could not find it.
	return docker(ctx, e.environment(), "network", "create", "--driver", "bridge", "--opt", "com.docker.network.bridge.name="+link, "kind")
}

// environment contains the variables with which clients reach the private engine.
func (e Engine) environment() []string {
	return append(os.Environ(), "DOCKER_HOST="+e.Host())
}

// configure writes the configuration of the engine. A proxy of the engine serves published ports, which therefore need no firewall rules.
func (e Engine) configure() error {
	settings := map[string]any{
		"data-root": e.path("data"), "exec-root": e.path("run"), "pidfile": e.path("pid"), "hosts": []string{e.Host()},
		"bridge": "none", "iptables": false, "ip-forward": false, "ip-masq": false, "userland-proxy": true,
		"cgroup-parent": "/" + cgroups, "storage-driver": "overlay2", "group": "",
	}
	allowed, err := boundingSet()
	if err != nil {
		return err
	}
	if !slices.Contains(allowed, "CAP_SYS_RESOURCE") {
		if err := copySelf(e.path("cluster")); err != nil {
			return err
		}
		settings["runtimes"] = map[string]any{"restricted": map[string]any{"path": e.path("cluster"), "runtimeArgs": []string{RuntimeCommand}}}
		settings["default-runtime"] = "restricted"
	}
	content, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(e.path("daemon.json"), content, 0o600)
}

// copySelf copies this program, because "go run" may remove it when it ends.
func copySelf(file string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = self.Close() }()
	destination, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(destination, self)
	return errors.Join(err, destination.Close())
}

// launch starts the engine in its own session, so that it continues when this program ends.
func (e Engine) launch() (ended <-chan struct{}, err error) {
	log, err := os.OpenFile(e.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	command := exec.Command("sh", "-ec", enter, "sh", "dockerd", "--config-file", e.path("daemon.json"))
	command.Dir = e.Folder
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS,
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	over := make(chan struct{})
	go func() {
		// The log of the engine says why it ended.
		_ = command.Wait()
		close(over)
	}()
	return over, e.writeRecord(command.Process.Pid)
}

func (e Engine) waitUntilReady(ctx context.Context, ended <-chan struct{}) error {
	timeout := time.After(startTimeout)
	for {
		err := Answers(ctx, e.environment())
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ended:
			return errors.New("the engine ended")
		case <-timeout:
			return fmt.Errorf("the engine does not answer: %w", err)
		case <-time.After(pollInterval):
		}
	}
}
