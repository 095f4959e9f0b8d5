package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/paint"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

func (s *session) newWatch() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:     "watch NAME",
		GroupID: groupLook,
		Short:   "Follow an execution until it ends",
		Long: `Follows an execution until it ends: as a live tree on a terminal, else with a line for each change.
The exit code is the outcome: 0 Completed, 2 Failed, 3 Cancelled; 1 is an error of this command, such as its timeout.`,
		Example:           examples("kubectl apply -f remediation.yaml && kubectl wfe watch NAME"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.executions(isLive),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "How long to follow; 0 is until the end.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if timeout > 0 {
			bounded, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%q has not ended within %s", args[0], timeout))
			defer cancel()
			ctx = bounded
		}
		err := s.watch(ctx, args[0])
		if errors.Is(err, context.DeadlineExceeded) && cmd.Context().Err() == nil {
			return context.Cause(ctx)
		}
		return err
	}
	return cmd
}

func (s *session) watch(ctx context.Context, name string) error {
	c, wfe, err := s.open(ctx, name)
	if err != nil {
		return err
	}
	look := s.printChanges()
	if paint.IsTerminal(s.Streams.Out, s.Lookup) {
		look = s.redraw()
	}
	var last *wfev1.WorkflowExecution
	err = c.follow(ctx, wfe, func(now *wfev1.WorkflowExecution, again bool) bool {
		last = now
		look(now, again)
		return now.Status.Phase.IsTerminal()
	})
	if err != nil {
		return err
	}
	return outcome(last)
}

// outcome turns how an execution ended into the exit code.
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

// printChanges prints a line for each change.
func (s *session) printChanges() func(*wfev1.WorkflowExecution, bool) {
	var before *wfev1.WorkflowExecution
	return func(now *wfev1.WorkflowExecution, again bool) {
		if again {
			return
		}
		for _, line := range tree.Changes(before, now, s.drawing()) {
			s.say("%s", line)
		}
		before = now
	}
}

// redraw draws the tree over the one before.
func (s *session) redraw() func(*wfev1.WorkflowExecution, bool) {
	drawn := 0
	return func(now *wfev1.WorkflowExecution, _ bool) {
		lines := tree.Draw(now, s.drawing())
		if !now.Status.Phase.IsTerminal() {
			_, height := paint.Size(s.Streams.Out)
			lines = tree.Fit(lines, height-1)
		}
		var b strings.Builder
		if drawn > 0 {
			fmt.Fprintf(&b, "\x1b[%dA\x1b[J", drawn)
		}
		for _, line := range lines {
			b.WriteString(line.Text + "\n")
		}
		drawn = len(lines)
		fmt.Fprint(s.Streams.Out, b.String())
	}
}
