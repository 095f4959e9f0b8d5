package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/terminal"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

func (s *session) newWatch() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:     "watch NAME",
		GroupID: groupInspect,
		Short:   "Follow an execution until it finishes",
		Long: `Follows an execution until it finishes: as a live tree on a terminal, otherwise with one line for each change.
The exit code is 0 for Completed, 2 for Failed, 3 for Cancelled, and 1 for an error of this command, such as its timeout.`,
		Example:           examples("kubectl wfe watch payment-api-oom", "kubectl wfe watch @latest --timeout 10m"),
		Args:              nameArgument(1),
		ValidArgsFunction: s.executions(isLive),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "Maximum time to follow; 0 means no limit.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if timeout > 0 {
			bounded, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%q did not finish within %s", args[0], timeout))
			defer cancel()
			ctx = bounded
		}
		c, wfe, err := s.open(ctx, args[0])
		if err == nil {
			err = s.watch(ctx, c, wfe)
		}
		if errors.Is(err, context.DeadlineExceeded) && cmd.Context().Err() == nil {
			return context.Cause(ctx)
		}
		return err
	}
	return cmd
}

// watch follows an execution and returns its outcome.
func (s *session) watch(ctx context.Context, c *connection, wfe *wfev1.WorkflowExecution) error {
	observe := s.printChanges()
	if terminal.IsTerminal(s.Streams.Out, s.Lookup) {
		observe = s.redraw()
	}
	var last *wfev1.WorkflowExecution
	err := c.follow(ctx, wfe, func(now *wfev1.WorkflowExecution, isTick bool) bool {
		last = now
		observe(now, isTick)
		return now.Status.Phase.IsTerminal()
	})
	if err != nil {
		return err
	}
	return outcome(last)
}

// outcome returns the exit code for the phase of a finished execution.
func outcome(wfe *wfev1.WorkflowExecution) error {
	switch wfe.Status.Phase {
	case wfev1.PhaseFailed:
		return &codeError{code: exitFailed}
	case wfev1.PhaseCancelled:
		return &codeError{code: exitCancelled}
	case wfev1.PhaseCompleted, wfev1.PhasePending, wfev1.PhaseRunning, wfev1.PhaseAwaitingApproval, wfev1.PhaseSuspended, wfev1.PhaseRollingBack:
	}
	return nil
}

// printChanges returns an observer that prints a line for each change.
func (s *session) printChanges() func(*wfev1.WorkflowExecution, bool) {
	var before *wfev1.WorkflowExecution
	return func(now *wfev1.WorkflowExecution, isTick bool) {
		if isTick {
			return
		}
		for _, line := range tree.Changes(before, now, s.drawing()) {
			s.printLine("%s", line)
		}
		before = now
	}
}

// redraw returns an observer that replaces the previous tree on the terminal.
func (s *session) redraw() func(*wfev1.WorkflowExecution, bool) {
	drawn := 0
	return func(now *wfev1.WorkflowExecution, _ bool) {
		lines := tree.Draw(now, s.drawing())
		if !now.Status.Phase.IsTerminal() {
			_, height := terminal.Size(s.Streams.Out)
			lines = tree.Fit(lines, height-1)
		}
		var b strings.Builder
		if drawn > 0 {
			out := s.Streams.Out
			b.WriteString(terminal.Sequence(out, fmt.Sprintf("[%dA", drawn)) + terminal.Sequence(out, "[J"))
		}
		for _, line := range lines {
			b.WriteString(line.Text + "\n")
		}
		drawn = len(lines)
		fmt.Fprint(s.Streams.Out, b.String())
	}
}
