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
	cmd := s.newControl("cancel", "Stop an execution and roll back its completed steps", func(wfe *wfev1.WorkflowExecution) string {
		spec := &wfe.Spec
		if terminate {
			mode = wfev1.CancelTerminate
		}
		switch {
		case spec.Cancel == mode, spec.Cancel == wfev1.CancelTerminate:
			return "is already being cancelled"
		case !terminate && wfe.Status.Phase == wfev1.PhaseRollingBack:
			return "is already being rolled back; use --terminate to stop the rollback"
		case terminate:
			spec.Cancel = mode
			return "is cancelled: its steps stop, and nothing is rolled back"
		case spec.RollbackPolicy == wfev1.RollbackNone, spec.DryRun:
			spec.Cancel = mode
			return "is cancelled: its steps stop, and it has no rollback"
		}
		spec.Cancel = mode
		return "is cancelled: its steps stop, and the completed steps are rolled back"
	})
	cmd.Long = `Stops the running steps and rolls back the completed ones. --terminate stops without a rollback, and also stops a rollback
that is in progress. A cancellation cannot be reverted.`
	cmd.Flags().BoolVar(&terminate, "terminate", false, "Stop immediately, without a rollback.")
	return cmd
}

func (s *session) newSuspend() *cobra.Command {
	cmd := s.newControl("suspend", "Pause an execution before its next step", func(wfe *wfev1.WorkflowExecution) string {
		if wfe.Spec.Suspended {
			return "is already suspended"
		}
		wfe.Spec.Suspended = true
		return "is suspended: running steps finish, and no further step starts"
	})
	cmd.Long = "Lets the running steps finish and starts no further step until resume. Suspended time does not count against the timeout."
	return cmd
}

func (s *session) newResume() *cobra.Command {
	cmd := s.newControl("resume", "Resume a suspended execution", func(wfe *wfev1.WorkflowExecution) string {
		if !wfe.Spec.Suspended {
			return "is not suspended"
		}
		wfe.Spec.Suspended = false
		return "is resumed"
	})
	cmd.Long = "Resumes a suspended execution. To continue one that waits for an approval, use approve or reject."
	return cmd
}

// newControl returns a command that changes a field of an execution. change makes the change and returns the message.
func (s *session) newControl(verb, short string, change func(*wfev1.WorkflowExecution) string) *cobra.Command {
	return &cobra.Command{
		Use:               verb + " NAME",
		Example:           examples("kubectl wfe "+verb+" payment-api-oom", "kubectl wfe "+verb+" @latest -n production"),
		GroupID:           groupControl,
		Short:             short,
		Args:              nameArgument(1),
		ValidArgsFunction: s.executions(isLive),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, message, err := s.patchSpec(cmd.Context(), args[0], change)
			if err != nil {
				return err
			}
			s.printLine("%q %s", name, message)
			return nil
		},
	}
}

// patchSpec changes an execution that has not finished, and returns its name and the message of the change.
func (s *session) patchSpec(ctx context.Context, argument string, change func(*wfev1.WorkflowExecution) string) (name, message string, err error) {
	c, wfe, err := s.open(ctx, argument)
	if err != nil {
		return "", "", err
	}
	if wfe.Status.Phase.IsTerminal() {
		return "", "", fmt.Errorf("%q has finished: it is %s", wfe.Name, wfe.Status.Phase)
	}
	before := wfe.DeepCopy()
	message = change(wfe)
	return wfe.Name, message, c.Patch(ctx, wfe, client.MergeFrom(before))
}
