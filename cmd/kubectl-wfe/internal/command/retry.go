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

const retryHelp = `Creates a new execution from one that failed or was cancelled. The old one is not changed.

What is done is left out of the new one: a step that completed, an approval that was given and a step whose condition did
not hold. A step is not done when its rollback has begun, nor when a step before it runs again; so a step that failed
without being critical runs again, and so does all that comes after it.

What others refer to is put in: an output of a step that is left out becomes a plain value, a dependency on it is dropped,
and a condition on it is decided now. If it does not hold, the step is left out too and what comes after it runs.

No decision on an approval, no suspension and no cancellation is taken over. Steps that are left out are not undone if the
new execution fails. The new execution has the old one's labels and the label ` + wfev1.LabelRetryOf + `.`

func (s *session) newRetry() *cobra.Command {
	var name, dryRun string
	cmd := &cobra.Command{
		Use:               "retry NAME",
		GroupID:           groupSteer,
		Short:             "Start what is left of a failed execution anew",
		Long:              retryHelp,
		Example:           examples("kubectl wfe retry NAME --dry-run=client -o yaml", "kubectl wfe retry NAME && kubectl wfe watch NAME-retry-1"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.executions(hasFailed),
	}
	o := newOutput(cmd, "", formatJSON, formatYAML)
	cmd.Flags().StringVar(&name, "name", "", "Name of the new execution. Default: the old one's with -retry-1, or the next number.")
	cmd.Flags().StringVar(&dryRun, "dry-run", "none", "client prints without sending, server sends without keeping, none creates.")
	mustComplete(cmd, "dry-run", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"none", "client", "server"}, cobra.ShellCompDirectiveNoFileComp
	})
	scope := addScope(cmd)
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
			return fmt.Errorf("the new execution could not run: %w", err)
		}
		var options []client.CreateOption
		said := "created"
		switch dryRun {
		case "client":
			said = "created (dry run)"
		case "server":
			options = append(options, client.DryRunAll)
			said = "created (server dry run)"
			fallthrough
		case "none":
			if err := c.Create(cmd.Context(), made.Execution, options...); apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("%q exists: retry that one, or choose another name with --name", made.Execution.Name)
			} else if err != nil {
				return err
			}
		default:
			return fmt.Errorf("--dry-run=%s: use none, client or server", dryRun)
		}
		s.tellRetry(made)
		if o.isObject() {
			made.Execution.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
			return o.print(made.Execution, s.Streams.Out)
		}
		s.say("workflowexecution/%s %s with %d of %d steps", made.Execution.Name, said, len(made.Execution.Spec.Steps), len(old.Spec.Steps))
		return nil
	}
	return cmd
}

// tellRetry says what the new execution leaves out.
func (s *session) tellRetry(made *retry.Retry) {
	for _, told := range []struct {
		names []string
		what  string
	}{
		{made.Done, "done and left out"},
		{made.Skipped, "skipped, for the condition does not hold"},
		{made.NotUndone, "not undone if the new execution fails"},
	} {
		if len(told.names) > 0 {
			s.warn("%s: %s", told.what, strings.Join(told.names, ", "))
		}
	}
}
