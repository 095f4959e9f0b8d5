package retry

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// maxName is the longest name of an execution.
const maxName = 54

// Retry is a new execution and what it leaves out of the old one.
type Retry struct {
	Execution *wfev1.WorkflowExecution
	// Done are the steps that are left out because they completed, Skipped those whose condition is false.
	Done, Skipped []string
	// NotUndone are the done steps with a rollback, which the new execution does not have.
	NotUndone []string
}

// New builds the new execution. Without a name it derives one from the old name. The catalog needs only the actions whose
// outputs are replaced.
func New(wfe *wfev1.WorkflowExecution, catalog translate.Catalog, name string) (*Retry, error) {
	switch wfe.Status.Phase {
	case wfev1.PhaseFailed, wfev1.PhaseCancelled:
	case wfev1.PhaseCompleted:
		return nil, fmt.Errorf("%q completed: there is nothing to retry", wfe.Name)
	case wfev1.PhasePending, wfev1.PhaseRunning, wfev1.PhaseAwaitingApproval, wfev1.PhaseSuspended, wfev1.PhaseRollingBack:
		return nil, fmt.Errorf("%q has not ended: it is %s", wfe.Name, wfe.Status.Phase)
	default:
		return nil, fmt.Errorf("%q has no status yet: the controller has not processed it", wfe.Name)
	}
	graph, problems := translate.NewGraph(wfe.Spec.Steps)
	if len(problems) > 0 {
		return nil, fmt.Errorf("the specification is invalid: %w", &translate.InvalidError{Problems: problems})
	}
	s := newSelection(wfe, catalog)
	for _, i := range graph.Order() {
		if err := s.decide(i, graph); err != nil {
			return nil, err
		}
	}
	if len(s.kept) == 0 {
		return nil, fmt.Errorf("every step of %q is done: there is nothing to retry", wfe.Name)
	}
	steps, err := s.steps()
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = nextName(wfe.Name, "retry")
	}
	made := copySpec(wfe, name)
	made.Labels[wfev1.LabelRetryOf] = wfe.Name
	made.Spec.Steps = steps
	r := &Retry{Execution: made}
	for i := range wfe.Spec.Steps {
		step := &wfe.Spec.Steps[i]
		phase, removed := s.removed[step.Name]
		switch {
		case !removed:
			continue
		case phase == wfev1.StepSkipped:
			r.Skipped = append(r.Skipped, step.Name)
			continue
		}
		r.Done = append(r.Done, step.Name)
		if step.Rollback != nil && wfe.Spec.RollbackPolicy != wfev1.RollbackNone {
			r.NotUndone = append(r.NotUndone, step.Name)
		}
	}
	return r, nil
}

// Rerun builds a new execution with all steps of another one. Without a name it derives one from the old name.
func Rerun(wfe *wfev1.WorkflowExecution, name string) *wfev1.WorkflowExecution {
	if name == "" {
		name = nextName(wfe.Name, "rerun")
	}
	made := copySpec(wfe, name)
	delete(made.Labels, wfev1.LabelRetryOf)
	return made
}

// copySpec returns a new execution with the labels and the specification of another one, without its decisions.
func copySpec(wfe *wfev1.WorkflowExecution, name string) *wfev1.WorkflowExecution {
	made := &wfev1.WorkflowExecution{
		TypeMeta:   metav1.TypeMeta{APIVersion: wfev1.GroupVersion.String(), Kind: wfev1.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: wfe.Namespace, Labels: map[string]string{}},
		Spec:       *wfe.Spec.DeepCopy(),
	}
	maps.Copy(made.Labels, wfe.Labels)
	made.Spec.Cancel, made.Spec.Suspended, made.Spec.Approvals = wfev1.CancelNone, false, nil
	return made
}

// nextName returns a-retry-1 for a, and a-retry-2 for a-retry-1; likewise for other infixes.
func nextName(name, infix string) string {
	base, n := name, 0
	numbered := regexp.MustCompile(`^(.+)-` + infix + `-(\d{1,4})$`)
	if match := numbered.FindStringSubmatch(name); match != nil {
		base = match[1]
		n, _ = strconv.Atoi(match[2]) // digits only
	}
	suffix := fmt.Sprintf("-%s-%d", infix, n+1)
	if len(base) > maxName-len(suffix) {
		base = base[:maxName-len(suffix)]
	}
	return strings.TrimRight(base, "-") + suffix
}

// isDone reports whether the recorded status of a step allows leaving it out: it completed or its condition was false,
// and its rollback did not start.
func isDone(step *wfev1.StepStatus, undo *wfev1.StepStatus) bool {
	if step == nil || undo != nil && undo.StartTime != nil {
		return false
	}
	return step.Phase == wfev1.StepCompleted || wasSkipped(step)
}

// wasSkipped reports whether the condition of a step was false. A step that was never reached has another Argo phase.
func wasSkipped(step *wfev1.StepStatus) bool {
	return step.Phase == wfev1.StepSkipped && step.ArgoPhase == "Skipped"
}

func index(steps []wfev1.StepStatus) map[string]*wfev1.StepStatus {
	byName := make(map[string]*wfev1.StepStatus, len(steps))
	for i := range steps {
		byName[steps[i].Name] = &steps[i]
	}
	return byName
}

// dropRemoved returns the dependencies without the steps that are left out.
func dropRemoved(names []string, removed map[string]wfev1.StepPhase) []string {
	kept := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, gone := removed[name]
		return gone
	})
	if len(kept) == 0 {
		return nil
	}
	return kept
}
