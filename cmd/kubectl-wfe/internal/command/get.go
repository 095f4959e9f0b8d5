package command

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// maxActivity bounds the width of the NOW column, except with -o wide.
const maxActivity = 60

func (s *session) newGet() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:     "get [NAME]",
		Aliases: []string{"list", "ls"},
		GroupID: groupInspect,
		Short:   "List executions with their current steps and failure reasons",
		Long: `Lists executions, the newest first. The column NOW shows the running steps, the question of an approval, or what a pending
execution waits for.`,
		Example: examples("kubectl wfe get -A --failed --since 24h", "kubectl wfe get --target Deployment/payment-api --watch",
			"kubectl wfe get --sort duration", "kubectl wfe get payment-api-oom -o yaml"),
		Args:              optionalArguments(1),
		ValidArgsFunction: s.executions(nil),
	}
	o := newOutput(cmd, "", formatJSON, formatYAML, formatWide)
	q := newQuery(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "After the list, print a row for each change until interrupted.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := q.check(args, watch, o); err != nil {
			return err
		}
		c, err := s.connect()
		if err != nil {
			return err
		}
		list, err := s.find(cmd.Context(), c, q, args)
		if err != nil {
			return err
		}
		t := s.newExecutionTable(o, q.allNamespaces)
		switch {
		case watch:
			return s.watchTable(cmd.Context(), c, q, args, t, list)
		case o.isObject() && len(args) == 1:
			return o.print(&list.Items[0], s.Streams.Out)
		case o.isObject():
			return o.print(list, s.Streams.Out)
		case len(list.Items) == 0:
			s.warn("%s", q.emptyMessage(c.namespace))
			return nil
		}
		return t.print(list.Items)
	}
	return cmd
}

// find returns the execution that the argument names, or those that match the query, in its order.
func (s *session) find(ctx context.Context, c *connection, q *query, args []string) (*wfev1.WorkflowExecutionList, error) {
	list := &wfev1.WorkflowExecutionList{}
	list.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind + "List"))
	if len(args) == 1 {
		wfe, err := c.get(ctx, args[0])
		if err != nil {
			return nil, err
		}
		list.Items = []wfev1.WorkflowExecution{*wfe}
		return list, nil
	}
	if err := c.List(ctx, list, q.options(c, metav1.ListOptions{})); err != nil {
		return nil, err
	}
	now := s.Now()
	list.Items = slices.DeleteFunc(list.Items, func(wfe wfev1.WorkflowExecution) bool { return !q.matches(&wfe, now) })
	slices.SortFunc(list.Items, q.order(now))
	list.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind + "List"))
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
	}
	return list, nil
}

// executionTable prints executions as rows.
type executionTable struct {
	session       *session
	table         *table
	allNamespaces bool
	isWide        bool
}

func (s *session) newExecutionTable(o *output, allNamespaces bool) *executionTable {
	columns := []column{
		{name: "NAME"}, {name: "PHASE"}, {name: "PROGRESS"}, {name: "TARGET"}, {name: "NOW"}, {name: "TOOK"}, {name: "REASON"}, {name: "AGE"},
		{name: "MESSAGE", wide: true},
	}
	if allNamespaces {
		columns = slices.Insert(columns, 0, column{name: "NAMESPACE"})
	}
	return &executionTable{session: s, table: o.newTable(s.Streams.Out, columns), allNamespaces: allNamespaces, isWide: o.format == formatWide}
}

func (t *executionTable) print(items []wfev1.WorkflowExecution) error {
	rows := make([][]any, len(items))
	for i := range items {
		rows[i] = t.row(&items[i])
	}
	return t.table.print(rows)
}

func (t *executionTable) row(wfe *wfev1.WorkflowExecution) []any {
	now := t.session.Now()
	var reason, message string
	if failure := wfe.Status.Failure; failure != nil {
		reason, message = string(failure.Reason), oneLine(failure.Message)
	}
	activity := tree.Activity(wfe)
	if !t.isWide {
		activity = translate.Truncate(activity, maxActivity)
	}
	row := []any{
		wfe.Name, string(tree.PhaseOf(wfe)), wfe.Status.Progress, targetOf(wfe), activity,
		tree.Elapsed(wfe.Status.StartTime, wfe.Status.CompletionTime, now), reason,
		duration.HumanDuration(now.Sub(wfe.CreationTimestamp.Time)), message,
	}
	if t.allNamespaces {
		row = slices.Insert(row, 0, any(wfe.Namespace))
	}
	return row
}

func targetOf(wfe *wfev1.WorkflowExecution) string {
	return wfe.Spec.Target.Kind + "/" + wfe.Spec.Target.Name
}

// watchTable prints a list, and then a row for each change until the context is done.
func (s *session) watchTable(ctx context.Context, c *connection, q *query, args []string, t *executionTable, list *wfev1.WorkflowExecutionList) error {
	printed := map[string]string{}
	for i := range list.Items {
		printed[string(list.Items[i].UID)] = list.Items[i].ResourceVersion
	}
	if err := t.print(list.Items); err != nil {
		return err
	}
	options := func(raw metav1.ListOptions) *client.ListOptions { return q.options(c, raw) }
	if len(args) == 1 {
		options = func(raw metav1.ListOptions) *client.ListOptions { return named(&list.Items[0], raw) }
	}
	return c.watchAll(ctx, options, func(wfe *wfev1.WorkflowExecution) error {
		if printed[string(wfe.UID)] == wfe.ResourceVersion || !q.matches(wfe, s.Now()) {
			return nil
		}
		printed[string(wfe.UID)] = wfe.ResourceVersion
		return t.print([]wfev1.WorkflowExecution{*wfe})
	})
}
