package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func (s *session) newApprove() *cobra.Command {
	cmd := s.newDecision(true)
	cmd.Use = "approve NAME [STEP]"
	cmd.Example = examples(`kubectl wfe approve payment-api-oom --reason "memory is free"`, "kubectl wfe approve payment-api-oom approve-restart")
	cmd.Short = "Approve a step that waits for a decision"
	return cmd
}

func (s *session) newReject() *cobra.Command {
	cmd := s.newDecision(false)
	cmd.Use = "reject NAME [STEP]"
	cmd.Example = examples(`kubectl wfe reject payment-api-oom --reason "not during business hours"`, "kubectl wfe reject payment-api-oom approve-restart")
	cmd.Short = "Reject a step that waits for a decision, which fails the execution"
	return cmd
}

func (s *session) newDecision(approved bool) *cobra.Command {
	decision := wfev1.Approval{Approved: approved}
	cmd := &cobra.Command{
		GroupID: groupControl,
		Long: `Adds a decision to spec.approvals. Without STEP, it decides the approval that the execution waits for; with STEP, you can
decide before the execution reaches the approval. A decision cannot be changed.`,
		Args: nameArgument(2),
		ValidArgsFunction: s.executionsAndSteps(func(wfe *wfev1.WorkflowExecution) bool {
			return wfe.Status.Phase == wfev1.PhaseAwaitingApproval
		}, isApproval),
	}
	cmd.Flags().StringVar(&decision.Reason, "reason", "", "Reason for the decision, which the status records.")
	cmd.Flags().StringVar(&decision.By, "by", "", "Name of the person who decides. Default: your user name in the cluster.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := s.connect()
		if err != nil {
			return err
		}
		name, err := c.resolve(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		made := decision
		if len(args) == 2 {
			made.Step = args[1]
		}
		if made.By == "" {
			if made.By, err = c.whoAmI(cmd.Context()); err != nil {
				return fmt.Errorf("%w; set the name with --by", err)
			}
		}
		waits, err := c.recordDecision(cmd.Context(), name, &made)
		if err != nil {
			return err
		}
		what := "rejected"
		if approved {
			what = "approved"
		}
		when := ""
		if !waits {
			when = ", before the execution reaches it"
		}
		s.printLine("step %q of %q is %s by %s%s", made.Step, name, what, made.By, when)
		return nil
	}
	return cmd
}

// whoAmI returns the user name that the API server authenticates.
func (c *connection) whoAmI(ctx context.Context) (string, error) {
	review, err := c.kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("get your user name from the API server: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

// recordDecision adds a decision to an execution and sets its step if it names none. It reports whether the execution
// waits for the decision now.
func (c *connection) recordDecision(ctx context.Context, name string, decision *wfev1.Approval) (waits bool, err error) {
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		wfe, err := c.get(ctx, name)
		if err != nil {
			return err
		}
		step, waiting, err := findApproval(wfe, decision.Step)
		if err != nil {
			return err
		}
		decision.Step, waits = step, waiting
		before := wfe.DeepCopy()
		wfe.Spec.Approvals = append(wfe.Spec.Approvals, *decision)
		// A merge patch replaces the list, so without the lock it would remove a concurrent decision.
		return c.Patch(ctx, wfe, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
	return waits, err
}

// findApproval returns the step of a decision and whether the execution waits for it. Without a name it returns the only
// step that waits.
func findApproval(wfe *wfev1.WorkflowExecution, step string) (name string, waits bool, err error) {
	given := make(map[string]wfev1.Approval, len(wfe.Spec.Approvals))
	for _, approval := range wfe.Spec.Approvals {
		given[approval.Step] = approval
	}
	var waiting, asked []string
	for i := range wfe.Status.Steps {
		s := &wfe.Status.Steps[i]
		if _, has := given[s.Name]; s.Phase == wfev1.StepAwaitingApproval && !has {
			waiting = append(waiting, s.Name)
		}
	}
	for i := range wfe.Spec.Steps {
		if wfe.Spec.Steps[i].Approval != nil {
			asked = append(asked, wfe.Spec.Steps[i].Name)
		}
	}
	switch {
	case wfe.Status.Phase.IsTerminal():
		return "", false, fmt.Errorf("%q has finished: it is %s", wfe.Name, wfe.Status.Phase)
	case len(asked) == 0:
		return "", false, fmt.Errorf("%q has no approval steps", wfe.Name)
	case step == "" && len(waiting) == 0:
		return "", false, fmt.Errorf("%q does not wait for a decision; to decide in advance, name one of the steps %s", wfe.Name, namesOf(asked))
	case step == "" && len(waiting) > 1:
		return "", false, fmt.Errorf("%q waits for several decisions; name one of the steps %s", wfe.Name, namesOf(waiting))
	case step == "":
		return waiting[0], true, nil
	}
	if earlier, has := given[step]; has {
		what := "rejected"
		if earlier.Approved {
			what = "approved"
		}
		return "", false, fmt.Errorf("step %q is already %s by %q", step, what, earlier.By)
	}
	for _, name := range waiting {
		if name == step {
			return step, true, nil
		}
	}
	for _, name := range asked {
		if name == step {
			return step, false, nil
		}
	}
	return "", false, fmt.Errorf("%q has no approval step %q; it has %s", wfe.Name, step, namesOf(asked))
}
