// Package describe formats the details of an execution in the layout of kubectl describe. It is pure.
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

// maxOutput bounds the length of an output's value.
const maxOutput = 120

// printer writes sections in columns. The tab writer keeps the first error, which the last Flush returns.
type printer struct {
	*tabwriter.Writer
	options tree.Options
}

func (p *printer) field(name, value string) {
	if value != "" {
		p.line("%s:\t%s", name, strings.Join(strings.Fields(value), " "))
	}
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p.Writer, format+"\n", args...) }

func (p *printer) section(name string) {
	_ = p.Flush() // each section has its own column widths; Write returns the error
	p.line("%s:", name)
}

// Write writes the details, the tree and the events of an execution.
func Write(out io.Writer, wfe *wfev1.WorkflowExecution, events []corev1.Event, o tree.Options) error {
	p := &printer{Writer: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), options: o}
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

func (p *printer) summary(wfe *wfev1.WorkflowExecution) {
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
	p.field("Took", tree.Elapsed(status.StartTime, status.CompletionTime, p.options.Now))
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

func (p *printer) when(t *metav1.Time) string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format(time.RFC3339), p.ago(t.Time))
}

func (p *printer) ago(t time.Time) string { return duration.HumanDuration(p.options.Now.Sub(t)) }

func (p *printer) approvals(wfe *wfev1.WorkflowExecution) {
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

func (p *printer) outputs(title string, steps []wfev1.StepStatus) {
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

func (p *printer) conditions(conditions []metav1.Condition) {
	if len(conditions) == 0 {
		return
	}
	p.section("Conditions")
	for _, c := range conditions {
		p.line("  %s\t%s\t%s\t%s", c.Type, c.Status, c.Reason, c.Message)
	}
}

func (p *printer) events(events []corev1.Event) {
	if len(events) == 0 {
		return
	}
	p.section("Events")
	for i := range events {
		e := &events[i]
		p.line("  %s\t%s\t%s\t%s", e.Type, e.Reason, p.ago(lastSeen(e)), strings.Join(strings.Fields(e.Message), " "))
	}
}

// lastSeen returns the time of an event's last occurrence. The core API and events.k8s.io use different fields.
func lastSeen(e *corev1.Event) time.Time {
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
