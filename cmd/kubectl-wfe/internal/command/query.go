package command

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// The values of --sort.
const (
	sortByAge      = "age"
	sortByDuration = "duration"
)

// query has the flags that select and order executions.
type query struct {
	allNamespaces bool
	labels        string
	fields        string
	target        string
	failed        bool
	since         time.Duration
	sort          string
}

func newQuery(cmd *cobra.Command) *query {
	q := &query{}
	flags := cmd.Flags()
	flags.BoolVarP(&q.allNamespaces, "all-namespaces", "A", false, "List the executions in all namespaces.")
	flags.StringVarP(&q.labels, "selector", "l", "", "Label selector of the executions to list.")
	flags.StringVar(&q.fields, "field-selector", "", "Field selector, such as metadata.name=payment-api-oom.")
	flags.StringVar(&q.target, "target", "", "List the executions on this target, as KIND/NAME.")
	flags.BoolVar(&q.failed, "failed", false, "List the executions that failed.")
	flags.DurationVar(&q.since, "since", 0, "List the executions created within this duration, such as 2h; 0 lists all.")
	flags.StringVar(&q.sort, "sort", sortByAge, "Order: age lists the newest first, duration the longest first.")
	mustComplete(cmd, "sort", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{sortByAge, sortByDuration}, cobra.ShellCompDirectiveNoFileComp
	})
	return q
}

// check validates the flags before the first request.
func (q *query) check(args []string, watch bool, o *output) error {
	kind, name, isTarget := strings.Cut(q.target, "/")
	switch {
	case q.target != "" && (!isTarget || kind == "" || name == ""):
		return fmt.Errorf("invalid --target %q: must be KIND/NAME, such as Deployment/payment-api", q.target)
	case q.sort != sortByAge && q.sort != sortByDuration:
		return fmt.Errorf("invalid --sort value %q: must be age or duration", q.sort)
	case watch && o.isObject():
		return fmt.Errorf("--watch prints rows: remove -o %s", o.format)
	case len(args) == 1 && (q.allNamespaces || q.labels != "" || q.fields != "" || q.target != "" || q.failed || q.since > 0):
		return errors.New("NAME selects a single execution: remove the other selections")
	}
	return nil
}

// options returns the part of the query that the API server evaluates.
func (q *query) options(c *connection, raw metav1.ListOptions) *client.ListOptions {
	raw.LabelSelector = q.labels
	raw.FieldSelector = q.fields
	options := &client.ListOptions{Raw: &raw}
	if !q.allNamespaces {
		options.Namespace = c.namespace
	}
	return options
}

// matches evaluates the rest of the query. The kind of the target is case-insensitive.
func (q *query) matches(wfe *wfev1.WorkflowExecution, now time.Time) bool {
	kind, name, isTarget := strings.Cut(q.target, "/")
	switch {
	case isTarget && (!strings.EqualFold(kind, wfe.Spec.Target.Kind) || name != wfe.Spec.Target.Name):
		return false
	case q.failed && wfe.Status.Phase != wfev1.PhaseFailed:
		return false
	}
	return q.since == 0 || now.Sub(wfe.CreationTimestamp.Time) <= q.since
}

func (q *query) order(now time.Time) func(a, b wfev1.WorkflowExecution) int {
	if q.sort == sortByAge {
		return newestFirst
	}
	return func(a, b wfev1.WorkflowExecution) int {
		return cmp.Or(cmp.Compare(elapsed(&b, now), elapsed(&a, now)), newestFirst(a, b))
	}
}

// elapsed returns how long an execution took until now; negative before its start.
func elapsed(wfe *wfev1.WorkflowExecution, now time.Time) time.Duration {
	switch {
	case wfe.Status.StartTime == nil:
		return -1
	case wfe.Status.CompletionTime != nil:
		now = wfe.Status.CompletionTime.Time
	}
	return now.Sub(wfe.Status.StartTime.Time)
}

func (q *query) emptyMessage(namespace string) string {
	parts := []string{"no executions found"}
	if !q.allNamespaces {
		parts = append(parts, fmt.Sprintf("in namespace %q", namespace))
	}
	if q.labels+q.fields+q.target != "" || q.failed || q.since > 0 {
		parts = slices.Insert(parts, 1, "for this selection")
	}
	return strings.Join(parts, " ")
}
