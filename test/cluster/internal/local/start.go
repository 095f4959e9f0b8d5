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

// starter starts the cluster's processes and records them.
type starter struct {
	cluster  layout
	machines machines
	// place is set once the machines are.
	place    place
	record   *record
	versions map[string]Executable
	running  []running
}

// running is a process that this program started and can notice the end of.
type running struct {
	name  string
	ended <-chan struct{}
}

// environments are additions to the environment of some components. Large CRDs make the API server collect garbage for nearly half of
// its time while it starts: it may use some memory instead.
var environments = map[string][]string{"kube-apiserver": {"GOGC=200"}}

// start starts a component that there is one of.
func (s *starter) start(component string, arguments ...string) error {
	return s.startAs(component, component, arguments...)
}

// startAs starts a program as a component, in a session of its own, so that it outlives this program, and records it. It must be
// called on a thread that is in the component's namespaces.
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
		// How it ended is in its log; that it ended is all that matters here.
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

// endedError says that a component ended although it should run.
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

// run runs one of the cluster's executables to its end.
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

// placeExecutables gives the cluster executables of its own, by hard links where possible: a process is recognised by the folder
// that its executable lies in, and a symbolic link would lead to the cache that all clusters share.
func (l layout) placeExecutables(executables map[string]Executable) error {
	for name, executable := range executables {
		place := l.executable(name)
		err := os.Link(executable.File, place)
		if errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EPERM) {
			err = copyExecutable(executable.File, place)
		}
		if err != nil {
			return fmt.Errorf("place %s: %w", name, err)
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
