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

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/paint"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

// The exit codes. Every command ends with exitDone or exitError but watch, which tells the outcome, and diff, which
// does as kubectl diff.
const (
	exitDone        = 0
	exitError       = 1
	exitFailed      = 2
	exitCancelled   = 3
	exitInterrupted = 130

	exitChanges   = 1
	exitDiffError = 2
)

// completer is what the program is called to complete words for kubectl: kubectl looks for a program of this name.
const completer = "kubectl_complete-wfe"

// codeError ends the program with a code; err is nil when all has been said.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return fmt.Sprintf("exit code %d", e.code) }
func (e *codeError) Unwrap() error { return e.err }

// Environment is what surrounds the program.
type Environment struct {
	Streams genericiooptions.IOStreams
	// Lookup reads an environment variable.
	Lookup  func(string) string
	Now     func() time.Time
	Version string
}

// session is what every command has.
type session struct {
	Environment
	config *genericclioptions.ConfigFlags
}

// Main runs the command that args names, the program's own name first, and returns the exit code.
func Main(ctx context.Context, env Environment, args []string) int {
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
		Short:         "Run, follow and steer remediations",
		Long:          "Runs, follows and steers WorkflowExecutions: remediations that run as Argo Workflows.",
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
	root.AddGroup(
		&cobra.Group{ID: groupFiles, Title: "Without a cluster:"},
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupSteer, Title: "Steer:"},
	)
	root.AddCommand(
		s.newLint(), s.newTranslate(),
		s.newGet(), s.newTree(), s.newWatch(), s.newDescribe(), s.newLogs(), s.newGraph(), s.newActions(), s.newDiff(), s.newDashboard(),
		s.newApprove(), s.newReject(), s.newCancel(), s.newSuspend(), s.newResume(), s.newRetry(),
	)
	return root
}

// The groups of commands in the help.
const (
	groupFiles = "files"
	groupLook  = "look"
	groupSteer = "steer"
)

// drawing is how trees are drawn on the output.
func (s *session) drawing() tree.Options {
	width := 0
	if paint.IsTerminal(s.Streams.Out, s.Lookup) {
		width, _ = paint.Size(s.Streams.Out)
	}
	return tree.Options{Now: s.Now(), Paint: paint.For(s.Streams.Out, s.Lookup), Width: width}
}

// say writes a line to the output.
func (s *session) say(format string, args ...any) { fmt.Fprintf(s.Streams.Out, format+"\n", args...) }

// warn writes a line that is not the result.
func (s *session) warn(format string, args ...any) {
	fmt.Fprintf(s.Streams.ErrOut, "note: "+format+"\n", args...)
}

// examples indents the lines of a command's examples.
func examples(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
