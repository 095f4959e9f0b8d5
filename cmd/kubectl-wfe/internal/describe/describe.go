// Package describe tells all that is known of an execution, in the form of kubectl describe. It is pure.
package describe

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// maxOutput bounds an output's value in the list.
const maxOutput = 120

// page is what is written on; the first error stays, and is told at the end.
type page struct {
	*tabwriter.Writer
	options tree.Options
}

func (p *page) field(name, value string) {
	if value != "" {
		p.line("%s:\t%s", name, strings.Join(strings.Fields(value), " "))
	}
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p.Writer, format+"\n", args...) }

func (p *page) section(name string) {
	_ = p.Flush() // so that each section has columns of its own; Write tells of an error
	p.line("%s:", name)
}

// Write describes an execution and its events, with its tree as o says.
func Write(out io.Writer, wfe *wfev1.WorkflowExecution, events []corev1.Event, o tree.Options) error {
	p := &page{Writer: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), options: o}
	p.summary(wfe)
	p.approvals(wfe)
	p.section("Steps")
	for _, line := range tree.Draw(wfe, o)[1:] {
		p.line("  %s", line.Text)
	}
	p.outputs("Outputs", wfe.Status.Steps)
	p.outputs("Outputs of the rollback", wfe.Status.RollbackSteps)
	p.conditions(wfe.Status.Conditions)
	p.events(events)
	return p.Flush()
}

func (p *page) summary(wfe *wfev1.WorkflowExecution) {
	spec, status := &wfe.Spec, &wfe.Status
	p.field("Name", wfe.Name)
	p.field("Namespace", wfe.Namespace)
	p.field("Retry of", wfe.Labels[wfev1.LabelRetryOf])
	p.field("Target", fmt.Sprintf("%s/%s (%s)", spec.Target.Kind, spec.Target.Name, spec.Target.APIVersion))
	p.field("Phase", string(tree.PhaseOf(wfe)))
	if spec.DryRun {
		p.field("Dry run", "yes")
	}
	if spec.Cancel != wfev1.CancelNone {
		p.field("Cancel", string(spec.Cancel))
	}
	if spec.Suspended {
		p.field("Suspended", "yes")
	}
	p.field("Progress", status.Progress)
	p.field("Started", p.when(status.StartTime))
	p.field("Ended", p.when(status.CompletionTime))
	p.field("Took", tree.Took(status.StartTime, status.CompletionTime, p.options.Now))
	if seconds := status.ApprovalWaitSeconds; seconds > 0 {
		p.field("Waited for approvals", ofSeconds(seconds))
	}
	if seconds := status.SuspendedSeconds; seconds > 0 {
		p.field("Was suspended", ofSeconds(seconds))
	}
	if spec.TimeoutSeconds != nil {
		p.field("Timeout", ofSeconds(int64(*spec.TimeoutSeconds)))
	}
	p.field("Rollback policy", string(spec.RollbackPolicy))
	p.field("Service account", spec.ServiceAccountName)
	if status.WorkflowRef != nil {
		p.field("Workflow", status.WorkflowRef.Name)
	}
	if status.RollbackRef != nil {
		p.field("Rollback", status.RollbackRef.Name)
	}
	p.field("URL", status.URL)
}

func ofSeconds(seconds int64) string {
	return duration.HumanDuration(time.Duration(seconds) * time.Second)
}

func (p *page) when(t *metav1.Time) string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format(time.RFC3339), p.ago(t.Time))
}

func (p *page) ago(t time.Time) string { return duration.HumanDuration(p.options.Now.Sub(t)) }

func (p *page) approvals(wfe *wfev1.WorkflowExecution) {
	if len(wfe.Spec.Approvals) == 0 {
		return
	}
	p.section("Decisions")
	for _, approval := range wfe.Spec.Approvals {
		what := "rejected"
		if approval.Approved {
			what = "approved"
		}
		if approval.By != "" {
			what += " by " + approval.By
		}
		p.line("  %s\t%s\t%s", approval.Step, what, approval.Reason)
	}
}

func (p *page) outputs(title string, steps []wfev1.StepStatus) {
	begun := false
	for i := range steps {
		for _, output := range steps[i].Outputs {
			if !begun {
				p.section(title)
				begun = true
			}
			value := translate.Truncate(strings.Join(strings.Fields(output.Value), " "), maxOutput)
			p.line("  %s\t%s\t%s", steps[i].Name, output.Name, value)
		}
	}
}

func (p *page) conditions(conditions []metav1.Condition) {
	if len(conditions) == 0 {
		return
	}
	p.section("Conditions")
	for _, c := range conditions {
		p.line("  %s\t%s\t%s\t%s", c.Type, c.Status, c.Reason, c.Message)
	}
}

func (p *page) events(events []corev1.Event) {
	if len(events) == 0 {
		return
	}
	p.section("Events")
	for i := range events {
		e := &events[i]
		p.line("  %s\t%s\t%s\t%s", e.Type, e.Reason, p.ago(seen(e)), strings.Join(strings.Fields(e.Message), " "))
	}
}

// seen is when an event happened last: by the old way of writing events, by the new one, or by its creation.
func seen(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}
