package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/describe"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

func (s *session) newGet() *cobra.Command {
	var everywhere bool
	var selector string
	cmd := &cobra.Command{
		Use:               "get [NAME]",
		Aliases:           []string{"list", "ls"},
		GroupID:           groupLook,
		Short:             "List executions, with what they do now and why they failed",
		Example:           examples("kubectl wfe get -A", "kubectl wfe get NAME -o yaml"),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.executions(nil),
	}
	o := newOutput(cmd, "", formatJSON, formatYAML, formatWide)
	cmd.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "List the executions of all namespaces.")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "List the executions with these labels only.")
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
		list, namespace, err := s.list(cmd.Context(), everywhere, selector)
		switch {
		case err != nil:
			return err
		case o.isObject():
			return o.print(list, s.Streams.Out)
		case len(list.Items) == 0 && everywhere:
			s.warn("there are no executions")
			return nil
		case len(list.Items) == 0:
			s.warn("there are no executions in namespace %q", namespace)
			return nil
		}
		return s.printList(o, list.Items, everywhere)
	}
	return cmd
}

func (s *session) list(ctx context.Context, everywhere bool, selector string) (*wfev1.WorkflowExecutionList, string, error) {
	c, err := s.connect()
	if err != nil {
		return nil, "", err
	}
	options := &client.ListOptions{Namespace: c.namespace, Raw: &metav1.ListOptions{LabelSelector: selector}}
	if everywhere {
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

func (s *session) printList(o *output, items []wfev1.WorkflowExecution, everywhere bool) error {
	columns := []column{
		{name: "NAME"}, {name: "PHASE"}, {name: "PROGRESS"}, {name: "NOW"}, {name: "TOOK"}, {name: "REASON"}, {name: "AGE"},
		{name: "TARGET", wide: true}, {name: "MESSAGE", wide: true},
	}
	if everywhere {
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
			wfe.Name, string(tree.PhaseOf(wfe)), wfe.Status.Progress, strings.Join(tree.UnderWay(wfe), ","),
			tree.Took(wfe.Status.StartTime, wfe.Status.CompletionTime, s.Now()), reason,
			duration.HumanDuration(s.Now().Sub(wfe.CreationTimestamp.Time)),
			wfe.Spec.Target.Kind + "/" + wfe.Spec.Target.Name, message,
		}
		if everywhere {
			row = slices.Insert(row, 0, any(wfe.Namespace))
		}
		rows = append(rows, row)
	}
	return o.printTable(s.Streams.Out, columns, rows)
}

func (s *session) newTree() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "tree NAME",
		GroupID:           groupLook,
		Short:             "Show the steps of an execution as a tree",
		Long:              "Shows the steps of an execution, each below the one that it waits for last, and its rollback. -o wide adds pods and outputs.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.executions(nil),
	}
	o := newOutput(cmd, "", formatJSON, formatYAML, formatWide)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, wfe, err := s.open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if o.isObject() {
			return o.print(wfe, s.Streams.Out)
		}
		drawing := s.drawing()
		drawing.Wide = o.format == formatWide
		if drawing.Wide {
			drawing.Width = 0
		}
		for _, line := range tree.Draw(wfe, drawing) {
			s.say("%s", line.Text)
		}
		return nil
	}
	return cmd
}

func (s *session) newDescribe() *cobra.Command {
	return &cobra.Command{
		Use:               "describe NAME",
		GroupID:           groupLook,
		Short:             "Tell all that is known of an execution",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.executions(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, wfe, err := s.open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			events, err := c.kube.CoreV1().Events(wfe.Namespace).List(cmd.Context(), metav1.ListOptions{
				FieldSelector: fields.Set{"involvedObject.uid": string(wfe.UID)}.String(),
			})
			if err != nil {
				s.warn("the events cannot be read: %s", explain(err))
				events = &corev1.EventList{}
			}
			drawing := s.drawing()
			drawing.Width = 0
			return describe.Write(s.Streams.Out, wfe, events.Items, drawing)
		},
	}
}

// namesOf is a list of names as it is said.
func namesOf(names []string) string { return fmt.Sprintf("%q", names) }
