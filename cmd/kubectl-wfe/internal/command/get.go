package command

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

func (s *session) newGet() *cobra.Command {
	var allNamespaces bool
	var selector string
	cmd := &cobra.Command{
		Use:               "get [NAME]",
		Aliases:           []string{"list", "ls"},
		GroupID:           groupInspect,
		Short:             "List executions with their current steps and failure reasons",
		Example:           examples("kubectl wfe get -A", "kubectl wfe get NAME -o yaml"),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.executions(nil),
	}
	o := newOutput(cmd, "", formatJSON, formatYAML, formatWide)
	cmd.Flags().BoolVarP(&allNamespaces, "all-namespaces", "A", false, "List the executions in all namespaces.")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "Label selector of the executions to list.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			_, wfe, err := s.open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if o.isObject() {
				return o.print(wfe, s.Streams.Out)
			}
			return s.printList(o, []wfev1.WorkflowExecution{*wfe}, false)
		}
		list, namespace, err := s.list(cmd.Context(), allNamespaces, selector)
		switch {
		case err != nil:
			return err
		case o.isObject():
			return o.print(list, s.Streams.Out)
		case len(list.Items) == 0 && allNamespaces:
			s.warn("no executions found")
			return nil
		case len(list.Items) == 0:
			s.warn("no executions found in namespace %q", namespace)
			return nil
		}
		return s.printList(o, list.Items, allNamespaces)
	}
	return cmd
}

func (s *session) list(ctx context.Context, allNamespaces bool, selector string) (*wfev1.WorkflowExecutionList, string, error) {
	c, err := s.connect()
	if err != nil {
		return nil, "", err
	}
	options := &client.ListOptions{Namespace: c.namespace, Raw: &metav1.ListOptions{LabelSelector: selector}}
	if allNamespaces {
		options.Namespace = ""
	}
	list := &wfev1.WorkflowExecutionList{}
	if err := c.List(ctx, list, options); err != nil {
		return nil, "", err
	}
	list.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind + "List"))
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
	}
	return list, c.namespace, nil
}

func (s *session) printList(o *output, items []wfev1.WorkflowExecution, allNamespaces bool) error {
	columns := []column{
		{name: "NAME"}, {name: "PHASE"}, {name: "PROGRESS"}, {name: "NOW"}, {name: "TOOK"}, {name: "REASON"}, {name: "AGE"},
		{name: "TARGET", wide: true}, {name: "MESSAGE", wide: true},
	}
	if allNamespaces {
		columns = slices.Insert(columns, 0, column{name: "NAMESPACE"})
	}
	rows := make([][]any, 0, len(items))
	for i := range items {
		wfe := &items[i]
		var reason, message string
		if failure := wfe.Status.Failure; failure != nil {
			reason, message = string(failure.Reason), oneLine(failure.Message)
		}
		row := []any{
			wfe.Name, string(tree.PhaseOf(wfe)), wfe.Status.Progress, strings.Join(tree.ActiveSteps(wfe), ","),
			tree.Elapsed(wfe.Status.StartTime, wfe.Status.CompletionTime, s.Now()), reason,
			duration.HumanDuration(s.Now().Sub(wfe.CreationTimestamp.Time)),
			wfe.Spec.Target.Kind + "/" + wfe.Spec.Target.Name, message,
		}
		if allNamespaces {
			row = slices.Insert(row, 0, any(wfe.Namespace))
		}
		rows = append(rows, row)
	}
	return o.printTable(s.Streams.Out, columns, rows)
}
