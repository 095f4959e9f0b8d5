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
	cmd.Short = "Approve what an execution waits for"
	return cmd
}

func (s *session) newReject() *cobra.Command {
	cmd := s.newDecision(false)
	cmd.Use = "reject NAME [STEP]"
	cmd.Short = "Reject what an execution waits for, which fails it"
	return cmd
}

func (s *session) newDecision(approved bool) *cobra.Command {
	decision := wfev1.Approval{Approved: approved}
	cmd := &cobra.Command{
		GroupID: groupSteer,
		Long: `Writes a decision into spec.approvals. Without a STEP it is on the one approval that the execution waits for; with one it
may be given before the execution comes to it. A decision cannot be taken back.`,
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: s.executionsAndSteps(func(wfe *wfev1.WorkflowExecution) bool {
			return wfe.Status.Phase == wfev1.PhaseAwaitingApproval
		}, isApproval),
	}
	cmd.Flags().StringVar(&decision.Reason, "reason", "", "The reason, for the record.")
	cmd.Flags().StringVar(&decision.By, "by", "", "Whose decision it is. Default: the name by which the API server knows you.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := s.connect()
		if err != nil {
			return err
		}
		made := decision
		if len(args) == 2 {
			made.Step = args[1]
		}
		if made.By == "" {
			if made.By, err = c.whoAmI(cmd.Context()); err != nil {
				return fmt.Errorf("%w; say whose decision it is with --by", err)
			}
		}
		waits, err := c.decide(cmd.Context(), args[0], &made)
		if err != nil {
			return err
		}
		what := "rejected"
		if approved {
			what = "approved"
		}
		when := ""
		if !waits {
			when = ", before the execution comes to it"
		}
		s.say("step %q of %q is %s by %s%s", made.Step, args[0], what, made.By, when)
		return nil
	}
	return cmd
}

// whoAmI is the name by which the API server knows the user.
func (c *connection) whoAmI(ctx context.Context) (string, error) {
	review, err := c.kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("ask the API server who you are: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

// decide adds a decision to an execution, and fills in its step where it names none. It reports whether the execution
// waits for the decision now.
func (c *connection) decide(ctx context.Context, name string, decision *wfev1.Approval) (waits bool, err error) {
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		wfe, err := c.get(ctx, name)
		if err != nil {
			return err
		}
		step, waiting, err := decided(wfe, decision.Step)
		if err != nil {
			return err
		}
		decision.Step, waits = step, waiting
		before := wfe.DeepCopy()
		wfe.Spec.Approvals = append(wfe.Spec.Approvals, *decision)
		// The lock keeps a decision that somebody else writes meanwhile: a merge patch replaces the list.
		return c.Patch(ctx, wfe, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
	return waits, err
}

// decided finds the step that a decision is on, and whether the execution waits for it; an empty name is the one that is
// waited for.
func decided(wfe *wfev1.WorkflowExecution, step string) (name string, waits bool, err error) {
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
		return "", false, fmt.Errorf("%q has ended: it is %s", wfe.Name, wfe.Status.Phase)
	case len(asked) == 0:
		return "", false, fmt.Errorf("%q asks for no approval", wfe.Name)
	case step == "" && len(waiting) == 0:
		return "", false, fmt.Errorf("%q does not wait for a decision now; to decide before it does, name one of %s", wfe.Name, namesOf(asked))
	case step == "" && len(waiting) > 1:
		return "", false, fmt.Errorf("%q waits for more than one decision; name one of %s", wfe.Name, namesOf(waiting))
	case step == "":
		return waiting[0], true, nil
	}
	if earlier, has := given[step]; has {
		what := "rejected"
		if earlier.Approved {
			what = "approved"
		}
		return "", false, fmt.Errorf("step %q is %s already, by %q", step, what, earlier.By)
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
