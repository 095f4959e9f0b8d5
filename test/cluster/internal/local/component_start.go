package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/process"
)

// starter starts the processes of the cluster and records them.
type starter struct {
	cluster        layout
	infrastructure infrastructure
	// endpoints is set when the infrastructure is set up.
	endpoints endpoints
	record    *record
	versions  map[string]Executable
	running   []running
}

// running is a process that this program started, with a channel that closes when it ends.
type running struct {
	name  string
	ended <-chan struct{}
}

// environments are additional variables of some components. With large CRDs the API server spends nearly half of its start on garbage
// collection, so it uses more memory instead.
var environments = map[string][]string{"kube-apiserver": {"GOGC=200"}}

// start starts a component that has the name of its program.
func (s *starter) start(component string, arguments ...string) error {
	return s.startAs(component, component, arguments...)
}

// startAs starts a program as a component in its own session, so that it continues when this program ends, and records it. The calling
// thread must be in the namespaces of the component.
func (s *starter) startAs(component, program string, arguments ...string) error {
	started, err := s.launch(component, program, environments[program], arguments)
	if err != nil {
		return err
	}
	started.Version = s.versions[program].Version
	s.record.Processes = append(s.record.Processes, started)
	return s.record.write(s.cluster.record())
}

// launch starts a program without recording it.
func (s *starter) launch(component, program string, environment, arguments []string) (recordedProcess, error) {
	log, err := os.OpenFile(s.cluster.log(component), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return recordedProcess{}, fmt.Errorf("start %s: %w", component, err)
	}
	defer func() { _ = log.Close() }()
	command := exec.Command(s.cluster.executable(program), arguments...)
	command.Dir = s.cluster.folder
	command.Env = []string{
		"PATH=" + strings.Join([]string{s.cluster.path("bin"), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}, ":"),
		"HOME=" + s.cluster.folder,
	}
	command.Env = append(command.Env, environment...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return recordedProcess{}, fmt.Errorf("start %s: %w", component, err)
	}
	ended := make(chan struct{})
	go func() {
		// The log of the component says why it ended.
		_ = command.Wait()
		close(ended)
	}()
	s.running = append(s.running, running{name: component, ended: ended})

	started, ok := process.Read(command.Process.Pid)
	if !ok {
		return recordedProcess{}, &endedError{component: component}
	}
	return recordedProcess{Name: component, PID: started.PID, Started: started.Started}, nil
}

// endedError means that a component ended unexpectedly.
type endedError struct{ component string }

func (e *endedError) Error() string {
	return e.component + " ended unexpectedly"
}

// checkRunning returns an endedError if a component has ended.
func (s *starter) checkRunning() error {
	for _, process := range s.running {
		select {
		case <-process.ended:
			return &endedError{component: process.name}
		default:
		}
	}
	return nil
}

// run runs an executable of the cluster and waits for its end.
func (l layout) run(ctx context.Context, program string, arguments ...string) error {
	command := exec.CommandContext(ctx, l.executable(program), arguments...)
	command.Env = append(os.Environ(), "HOME="+l.folder)
	output, err := command.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("run %s: %w", program, context.Cause(ctx))
	}
	return fmt.Errorf("run %s %s: %w\n%s", program, strings.Join(arguments, " "), err, lastLines(string(output), 20))
}

// installExecutables installs the executables in the folder of the cluster, by hard links where possible. A process is identified by the folder
// of its executable; with symbolic links, that would be the cache of all clusters.
func (l layout) installExecutables(executables map[string]Executable) error {
	for name, executable := range executables {
		target := l.executable(name)
		err := os.Link(executable.File, target)
		if errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EPERM) {
			err = copyExecutable(executable.File, target)
		}
		if err != nil {
			return fmt.Errorf("install %s: %w", name, err)
		}
	}
	return nil
}

func copyExecutable(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

// logTail returns the last lines of a component's log, for messages.
func (l layout) logTail(component string) string {
	content, err := os.ReadFile(l.log(component))
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	return lastLines(string(content), 20)
}
