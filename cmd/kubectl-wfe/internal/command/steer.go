package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func (s *session) newCancel() *cobra.Command {
	mode := wfev1.CancelStop
	var terminate bool
	cmd := s.newSteer("cancel", "End an execution early", func(wfe *wfev1.WorkflowExecution) string {
		spec := &wfe.Spec
		if terminate {
			mode = wfev1.CancelTerminate
		}
		switch {
		case spec.Cancel == mode, spec.Cancel == wfev1.CancelTerminate:
			return "is being cancelled already"
		case !terminate && wfe.Status.Phase == wfev1.PhaseRollingBack:
			return "is being rolled back already; --terminate stops that"
		case terminate:
			spec.Cancel = mode
			return "is terminated: its steps are stopped and nothing is undone"
		case spec.RollbackPolicy == wfev1.RollbackNone, spec.DryRun:
			spec.Cancel = mode
			return "is cancelled: its steps are stopped; it undoes nothing"
		}
		spec.Cancel = mode
		return "is cancelled: its steps are stopped and what is done is rolled back"
	})
	cmd.Long = `Stops the running steps and rolls back the completed ones. With --terminate nothing is rolled back; an execution that
is being rolled back already is stopped by it too. A cancellation cannot be taken back.`
	cmd.Flags().BoolVar(&terminate, "terminate", false, "Stop at once and undo nothing.")
	return cmd
}

func (s *session) newSuspend() *cobra.Command {
	cmd := s.newSteer("suspend", "Pause an execution before its next step", func(wfe *wfev1.WorkflowExecution) string {
		if wfe.Spec.Suspended {
			return "is suspended already"
		}
		wfe.Spec.Suspended = true
		return "is suspended: running steps finish, and no further one starts"
	})
	cmd.Long = "Lets the running steps finish and starts no further one until resume. The time does not count against the timeout."
	return cmd
}

func (s *session) newResume() *cobra.Command {
	cmd := s.newSteer("resume", "Let a suspended execution go on", func(wfe *wfev1.WorkflowExecution) string {
		if !wfe.Spec.Suspended {
			return "is not suspended"
		}
		wfe.Spec.Suspended = false
		return "goes on"
	})
	cmd.Long = "Lets a suspended execution go on. An execution that waits for an approval needs approve or reject."
	return cmd
}

// newSteer makes a command that changes a field of an execution; change does so and says what that means.
func (s *session) newSteer(name, short string, change func(*wfev1.WorkflowExecution) string) *cobra.Command {
	return &cobra.Command{
		Use:               name + " NAME",
		GroupID:           groupSteer,
		Short:             short,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.executions(isLive),
		RunE: func(cmd *cobra.Command, args []string) error {
			said, err := s.steer(cmd.Context(), args[0], change)
			if err != nil {
				return err
			}
			s.say("%q %s", args[0], said)
			return nil
		},
	}
}

func (s *session) steer(ctx context.Context, name string, change func(*wfev1.WorkflowExecution) string) (string, error) {
	c, wfe, err := s.open(ctx, name)
	if err != nil {
		return "", err
	}
	if wfe.Status.Phase.IsTerminal() {
		return "", fmt.Errorf("%q has ended: it is %s", name, wfe.Status.Phase)
	}
	before := wfe.DeepCopy()
	said := change(wfe)
	return said, c.Patch(ctx, wfe, client.MergeFrom(before))
}
