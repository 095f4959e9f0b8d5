package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/retry"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const retryHelp = `Creates a new execution with the remaining steps of one that failed or was cancelled. The old execution does not change.

The new execution leaves out the steps that are done: completed steps, granted approvals, and steps whose condition was false.
A step is not done if its rollback started or if one of its dependencies runs again. A non-critical step that failed
therefore runs again, and so do the steps after it.

References to a step that is left out are resolved: its outputs become values, dependencies on it are removed, and conditions
on it are evaluated. If a condition is false, its step is left out too, and the steps after it run.

Decisions, suspension and cancellation are not copied. If the new execution fails, it does not undo the steps that are left
out. It has the labels of the old execution and the label ` + wfev1.LabelRetryOf + `.`

func (s *session) newRetry() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:               "retry NAME",
		GroupID:           groupControl,
		Short:             "Run the remaining steps of a failed execution as a new one",
		Long:              retryHelp,
		Example:           examples("kubectl wfe retry payment-api-oom --dry-run=client -o yaml", "kubectl wfe retry payment-api-oom --watch"),
		Args:              nameArgument(1),
		ValidArgsFunction: s.executions(hasFailed),
	}
	k := s.newCreation(cmd)
	cmd.Flags().StringVar(&name, "name", "", "Name of the new execution. Default: the old name with the suffix -retry-1, or the next number.")

	scope := addCatalogScope(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := k.check(); err != nil {
			return err
		}
		c, old, err := s.open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		known, complete, err := s.catalogOrBuiltIn(cmd, scope)
		if err != nil {
			return err
		}
		made, err := retry.New(old, known.Actions(), name)
		if err != nil {
			return err
		}
		if _, err := translate.NewPlan(made.Execution, known.Actions()); err != nil && complete {
			return fmt.Errorf("the new execution is invalid: %w", err)
		}
		if err := k.create(cmd.Context(), c, made.Execution); apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("%q already exists: retry that execution, or set another name with --name", made.Execution.Name)
		} else if err != nil {
			return err
		}
		s.printRetrySummary(made)
		return k.finish(cmd.Context(), c, made.Execution, fmt.Sprintf(" with %d of %d steps", len(made.Execution.Spec.Steps), len(old.Spec.Steps)))
	}
	return cmd
}

// printRetrySummary writes which steps the new execution leaves out.
func (s *session) printRetrySummary(made *retry.Retry) {
	for _, group := range []struct {
		steps []string
		text  string
	}{
		{made.Done, "done and left out"},
		{made.Skipped, "skipped because the condition is false"},
		{made.NotUndone, "not rolled back if the new execution fails"},
	} {
		if len(group.steps) > 0 {
			s.warn("%s: %s", group.text, strings.Join(group.steps, ", "))
		}
	}
}
