package command

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/terminal"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

// The exit codes. Commands return exitDone or exitError, except watch, which returns the outcome of the execution, and
// diff, which uses the codes of kubectl diff.
const (
	exitDone        = 0
	exitError       = 1
	exitFailed      = 2
	exitCancelled   = 3
	exitInterrupted = 130

	exitChanges   = 1
	exitDiffError = 2
)

// completer is the program name that kubectl calls for the completion of a plugin's arguments.
const completer = "kubectl_complete-wfe"

// codeError sets the exit code; err is nil when the output already has the problem.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return fmt.Sprintf("exit code %d", e.code) }
func (e *codeError) Unwrap() error { return e.err }

// Environment has the program's inputs and outputs other than its arguments.
type Environment struct {
	Streams genericiooptions.IOStreams
	// Lookup reads an environment variable.
	Lookup  func(string) string
	Now     func() time.Time
	Version string
}

// session is the state that all commands share.
type session struct {
	Environment
	config *genericclioptions.ConfigFlags
}

// Main runs the command in args, which start with the program's name, and returns the exit code.
func Main(ctx context.Context, env Environment, args []string) int {
	// Every output of every command passes these writers, because its text can come from the cluster.
	env.Streams.Out = terminal.NewWriter(env.Streams.Out, env.Lookup)
	env.Streams.ErrOut = terminal.NewWriter(env.Streams.ErrOut, env.Lookup)
	root := newRoot(env)
	words := args[1:]
	if filepath.Base(args[0]) == completer {
		words = slices.Concat([]string{cobra.ShellCompRequestCmd}, words)
	}
	root.SetArgs(words)
	err := root.ExecuteContext(ctx)
	var coded *codeError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &coded):
		if coded.err != nil {
			fmt.Fprintln(env.Streams.ErrOut, "error:", explain(coded.err))
		}
		return coded.code
	case ctx.Err() != nil:
		return exitInterrupted
	}
	fmt.Fprintln(env.Streams.ErrOut, "error:", explain(err))
	return exitError
}

func newRoot(env Environment) *cobra.Command {
	s := &session{Environment: env, config: genericclioptions.NewConfigFlags(true)}
	root := &cobra.Command{
		Use:           "kubectl-wfe",
		Short:         "Run, follow and control remediations",
		Long:          "Runs, follows and controls WorkflowExecutions: remediations that run as Argo Workflows.",
		Version:       env.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl wfe"},
	}
	root.SetIn(env.Streams.In)
	root.SetOut(env.Streams.Out)
	root.SetErr(env.Streams.ErrOut)
	s.config.AddFlags(root.PersistentFlags())
	s.completeFlags(root)
	root.SetUsageTemplate(usageTemplate)
	root.AddGroup(
		&cobra.Group{ID: groupOffline, Title: "Commands that need no cluster:"},
		&cobra.Group{ID: groupInspect, Title: "Commands to inspect executions:"},
		&cobra.Group{ID: groupControl, Title: "Commands to control executions:"},
	)
	root.AddCommand(
		s.newLint(), s.newTranslate(),
		s.newGet(), s.newTree(), s.newWatch(), s.newDescribe(), s.newLogs(), s.newGraph(), s.newActions(), s.newRBAC(), s.newDiff(), s.newDashboard(),
		s.newSubmit(), s.newApprove(), s.newReject(), s.newCancel(), s.newSuspend(), s.newResume(), s.newRetry(), s.newRerun(),
		s.newOptions(),
	)
	return root
}

// The command groups of the help.
const (
	groupOffline = "offline"
	groupInspect = "inspect"
	groupControl = "control"
)

// drawing returns the options of trees for the output.
func (s *session) drawing() tree.Options {
	width := 0
	if terminal.IsTerminal(s.Streams.Out, s.Lookup) {
		width, _ = terminal.Size(s.Streams.Out)
	}
	return tree.Options{Now: s.Now(), Style: terminal.StyleFor(s.Streams.Out, s.Lookup), Width: width}
}

// printLine writes a line to the output.
func (s *session) printLine(format string, args ...any) {
	fmt.Fprintf(s.Streams.Out, format+"\n", args...)
}

// warn writes a note to the error stream.
func (s *session) warn(format string, args ...any) {
	fmt.Fprintf(s.Streams.ErrOut, "note: "+format+"\n", args...)
}

// examples indents the example lines of a command.
func examples(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
