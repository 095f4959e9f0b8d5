package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	var name, dryRun string
	cmd := &cobra.Command{
		Use:               "retry NAME",
		GroupID:           groupControl,
		Short:             "Run the remaining steps of a failed execution as a new one",
		Long:              retryHelp,
		Example:           examples("kubectl wfe retry NAME --dry-run=client -o yaml", "kubectl wfe retry NAME && kubectl wfe watch NAME-retry-1"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.executions(hasFailed),
	}
	o := newOutput(cmd, "", formatJSON, formatYAML)
	cmd.Flags().StringVar(&name, "name", "", "Name of the new execution. Default: the old name with the suffix -retry-1, or the next number.")
	cmd.Flags().StringVar(&dryRun, "dry-run", "none", "client prints the object without sending it; server sends it without persisting it; none creates it.")
	mustComplete(cmd, "dry-run", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"none", "client", "server"}, cobra.ShellCompDirectiveNoFileComp
	})
	scope := addCatalogScope(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
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
		var options []client.CreateOption
		result := "created"
		switch dryRun {
		case "client":
			result = "created (dry run)"
		case "server":
			options = append(options, client.DryRunAll)
			result = "created (server dry run)"
			fallthrough
		case "none":
			if err := c.Create(cmd.Context(), made.Execution, options...); apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("%q already exists: retry that execution, or set another name with --name", made.Execution.Name)
			} else if err != nil {
				return err
			}
		default:
			return fmt.Errorf("invalid --dry-run value %q: must be none, client or server", dryRun)
		}
		s.printRetrySummary(made)
		if o.isObject() {
			made.Execution.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
			return o.print(made.Execution, s.Streams.Out)
		}
		s.printLine("workflowexecution/%s %s with %d of %d steps", made.Execution.Name, result, len(made.Execution.Spec.Steps), len(old.Spec.Steps))
		return nil
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
