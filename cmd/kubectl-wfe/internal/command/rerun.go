package command

import (
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/retry"
)

func (s *session) newRerun() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:     "rerun NAME",
		GroupID: groupControl,
		Short:   "Run all steps of an execution again as a new one",
		Long: `Creates a new execution with the specification of another one, in any phase. Decisions, suspension and cancellation are not
copied. To run only the steps that are not done, use retry.`,
		Example:           examples("kubectl wfe rerun payment-api-oom --watch", "kubectl wfe rerun @latest --name payment-api-again"),
		Args:              nameArgument(1),
		ValidArgsFunction: s.executions(nil),
	}
	k := s.newCreation(cmd)
	cmd.Flags().StringVar(&name, "name", "", "Name of the new execution. Default: the old name with the suffix -rerun-1, or the next number.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := k.check(); err != nil {
			return err
		}
		c, old, err := s.open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		made := retry.Rerun(old, name)
		if err := k.create(cmd.Context(), c, made); apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("%q already exists: set another name with --name", made.Name)
		} else if err != nil {
			return err
		}
		if isLive(old) {
			s.warn("%q is %s: the new execution waits until it finishes, because they have the same target", old.Name, old.Status.Phase)
		}
		return k.finish(cmd.Context(), c, made, "")
	}
	return cmd
}
