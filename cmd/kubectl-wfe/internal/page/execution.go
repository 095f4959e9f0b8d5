package page

import (
	"fmt"
	"html/template"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/graph"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// maxOutput bounds the length of an output's value.
const maxOutput = 400

type executionView struct {
	frame
	Namespace, Name string
	Phase           phase
	Progress        string
	Bar             []segment
	Took            string
	Facts           []fact
	Failure         *failureView
	// RolledBack is the result of the rollback; Undone is true when it undid every step that it had to.
	RolledBack string
	Undone     bool
	// Waits is what a pending execution waits for.
	Waits    []string
	Advice   []Advice
	Timeline timeline
	Graph    template.HTML
	// NoGraph is the reason why there is no graph.
	NoGraph    string
	Outputs    []outputView
	Decisions  []wfev1.Approval
	Conditions []metav1.Condition
	URL        string
}

type fact struct {
	Name, Value string
	Time        *moment
}

type failureView struct {
	Reason, Step, Message string
	Anchor                string
}

type outputView struct{ Step, Name, Value string }

type notFoundView struct {
	frame
	Namespace, Name string
}

// NotFound writes the page of an execution that does not exist, or its main part.
func NotFound(w io.Writer, whole bool, namespace, name string, o Options) error {
	return write(w, "not-found", whole, notFoundView{
		frame:     frame{Options: o, Title: name + " does not exist", Live: LivePathOf(PathOf(namespace, name))},
		Namespace: namespace, Name: name,
	})
}

// Execution writes the page of an execution, or its main part.
func Execution(w io.Writer, whole bool, wfe *wfev1.WorkflowExecution, o Options) error {
	status := &wfe.Status
	view := executionView{
		frame:     frame{Options: o, Live: LivePathOf(PathOf(wfe.Namespace, wfe.Name))},
		Namespace: wfe.Namespace, Name: wfe.Name,
		Phase: phaseOf(wfe), Progress: status.Progress, Bar: progress(wfe), Took: tree.Elapsed(status.StartTime, status.CompletionTime, o.Now),
		Facts: o.facts(wfe), Advice: Advise(wfe, o.Flags), Timeline: o.timeline(wfe),
		Decisions: wfe.Spec.Approvals, Conditions: status.Conditions, URL: status.URL,
	}
	view.Title = fmt.Sprintf("%s %s · %s", view.Phase.Mark, wfe.Name, view.Phase.Word)
	if failure := status.Failure; failure != nil {
		view.Failure = &failureView{Reason: string(failure.Reason), Step: failure.Step, Message: failure.Message, Anchor: anchor("step", failure.Step)}
	}
	if c := meta.FindStatusCondition(status.Conditions, wfev1.ConditionRolledBack); c != nil {
		view.RolledBack, view.Undone = c.Message, c.Status == metav1.ConditionTrue
	}
	if tree.PhaseOf(wfe) == wfev1.PhasePending {
		view.Waits = tree.Reasons(wfe)
	}
	for _, steps := range [][]wfev1.StepStatus{status.Steps, status.RollbackSteps} {
		for i := range steps {
			for _, output := range steps[i].Outputs {
				view.Outputs = append(view.Outputs, outputView{steps[i].Name, output.Name, translate.Truncate(output.Value, maxOutput)})
			}
		}
	}
	picture, err := graph.Picture(wfe, func(step string) string { return "#" + anchor("step", step) })
	if err != nil {
		view.NoGraph = flatten(err.Error())
	}
	view.Graph = template.HTML(picture) //nolint:gosec // package graph escapes every name, which its tests verify
	return write(w, "execution", whole, view)
}

func anchor(kind, step string) string { return kind + "-" + step }

func (o *Options) facts(wfe *wfev1.WorkflowExecution) []fact {
	spec, status := &wfe.Spec, &wfe.Status
	var facts []fact
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{Name: name, Value: value})
		}
	}
	add("Target", targetOf(wfe))
	for _, when := range []struct {
		name string
		at   *metav1.Time
	}{{"Created", &wfe.CreationTimestamp}, {"Started", status.StartTime}, {"Ended", status.CompletionTime}} {
		if m := o.moment(when.at); m != nil {
			facts = append(facts, fact{Name: when.name, Time: m})
		}
	}
	if spec.TimeoutSeconds != nil {
		add("Timeout", seconds(int64(*spec.TimeoutSeconds)))
	}
	if n := status.ApprovalWaitSeconds; n > 0 {
		add("Waited for approvals", seconds(n))
	}
	if n := status.SuspendedSeconds; n > 0 {
		add("Was suspended", seconds(n))
	}
	if spec.Cancel != wfev1.CancelNone {
		add("Cancelled by", "spec.cancel: "+string(spec.Cancel))
	}
	if spec.DryRun {
		add("Dry run", "the steps change nothing")
	}
	add("Retry of", wfe.Labels[wfev1.LabelRetryOf])
	add("Service account", spec.ServiceAccountName)
	if status.WorkflowRef != nil {
		add("Argo Workflow", status.WorkflowRef.Name)
	}
	return facts
}

func seconds(n int64) string { return duration.HumanDuration(time.Duration(n) * time.Second) }
