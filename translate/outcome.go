package translate

import (
	"fmt"
	"slices"
	"sort"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// CriticalFailure returns the failure that fails the execution: that of the critical step that failed first, or nil if none
// failed. Among steps that failed in the same second, the first in plan order counts.
func CriticalFailure(spec *wfev1.WorkflowExecutionSpec, steps []wfev1.StepStatus) *wfev1.Failure {
	critical := criticalSteps(spec)
	first := firstFailed(steps, func(step *wfev1.StepStatus) bool { return critical[step.Name] })
	if first == nil {
		return nil
	}
	return failureOf(first)
}

func criticalSteps(spec *wfev1.WorkflowExecutionSpec) map[string]bool {
	critical := make(map[string]bool, len(spec.Steps))
	for i := range spec.Steps {
		critical[spec.Steps[i].Name] = spec.Steps[i].IsCritical()
	}
	return critical
}

func firstFailed(steps []wfev1.StepStatus, counts func(*wfev1.StepStatus) bool) *wfev1.StepStatus {
	var first *wfev1.StepStatus
	for i := range steps {
		step := &steps[i]
		if step.Phase != wfev1.StepFailed || !counts(step) {
			continue
		}
		if first == nil || endedBefore(step.CompletionTime, first.CompletionTime) {
			first = step
		}
	}
	return first
}

func endedBefore(a, b *metav1.Time) bool { return a != nil && (b == nil || a.Before(b)) }

func failureOf(step *wfev1.StepStatus) *wfev1.Failure {
	return &wfev1.Failure{Step: step.Name, Action: step.Action, Reason: step.Reason, Message: step.Message}
}

// MainFailure returns the reason why an execution whose main Workflow has ended did not complete, or nil if it completed. It
// depends on the steps and on which of them are critical; Argo's phase counts only if no step explains it.
func MainFailure(spec *wfev1.WorkflowExecutionSpec, steps []wfev1.StepStatus, wf *wfv1.Workflow) *wfev1.Failure {
	if failure := CriticalFailure(spec, steps); failure != nil {
		return failure
	}
	if wf.Status.Phase != wfv1.WorkflowSucceeded && len(wf.Status.Nodes) == 0 && wf.Status.CompressedNodes == "" && wf.Status.OffloadNodeStatusVersion == "" {
		return &wfev1.Failure{
			Reason:  wfev1.ReasonEngineRefused,
			Message: Truncate("Argo did not run the Workflow: "+wf.Status.Message, maxMessageBytes),
		}
	}
	critical := criticalSteps(spec)
	for i := range steps {
		if critical[steps[i].Name] && !isSatisfied(&steps[i]) {
			return blockedFailure(spec, &steps[i], steps)
		}
	}
	return nil
}

// isSatisfied reports whether a critical step completed, or was skipped because its condition did not hold.
func isSatisfied(step *wfev1.StepStatus) bool {
	if step.Phase == wfev1.StepSkipped {
		return step.ArgoPhase == string(wfv1.NodeSkipped)
	}
	return step.Phase == wfev1.StepCompleted
}

// blockedFailure returns the failure of a critical step that could not run: a step that is not critical failed and did not
// deliver an output that the critical step needs.
func blockedFailure(spec *wfev1.WorkflowExecutionSpec, step *wfev1.StepStatus, steps []wfev1.StepStatus) *wfev1.Failure {
	failure := &wfev1.Failure{Step: step.Name, Action: step.Action, Reason: wfev1.ReasonUnknown}
	if step.Phase != wfev1.StepSkipped {
		failure.Message = fmt.Sprintf("step %q did not end: its phase is %s", step.Name, step.Phase)
		return failure
	}
	var read []string
	for i := range spec.Steps {
		if spec.Steps[i].Name == step.Name {
			read = readSteps(&spec.Steps[i])
		}
	}
	cause := firstFailed(steps, func(s *wfev1.StepStatus) bool { return slices.Contains(read, s.Name) })
	if cause == nil && step.ArgoPhase == string(wfv1.NodeOmitted) {
		cause = firstFailed(steps, func(*wfev1.StepStatus) bool { return true }) // an ancestor could not run
	}
	if cause == nil {
		failure.Message = fmt.Sprintf("step %q did not run although no step failed: its phase is %s", step.Name, step.Phase)
		return failure
	}
	failure.Reason = cause.Reason
	failure.Message = Truncate(fmt.Sprintf("step %q could not run because step %q failed: %s", step.Name, cause.Name, cause.Message), maxMessageBytes)
	return failure
}

// RunningSteps returns the number of steps that are recorded as running.
func RunningSteps(steps []wfev1.StepStatus) int {
	running := 0
	for i := range steps {
		if steps[i].Phase == wfev1.StepRunning {
			running++
		}
	}
	return running
}

// Ended returns the number of steps that have ended.
func Ended(steps []wfev1.StepStatus) int {
	ended := 0
	for i := range steps {
		if steps[i].Phase.IsTerminal() {
			ended++
		}
	}
	return ended
}

// ParallelSteps returns the number of executed steps that ran while another step ran, which may have been stopped. Runs are
// half-open intervals: a step that starts in the second in which another ends does not overlap it. Approvals do not run.
func ParallelSteps(steps []wfev1.StepStatus) int32 {
	var runs []*wfev1.StepStatus
	for i := range steps {
		step := &steps[i]
		if step.Action != "" && step.StartTime != nil && step.CompletionTime != nil && step.StartTime.Before(step.CompletionTime) {
			runs = append(runs, step)
		}
	}
	sort.SliceStable(runs, func(a, b int) bool { return runs[a].StartTime.Before(runs[b].StartTime) })
	overlaps := make([]bool, len(runs))
	latest := -1 // the run, among those before, that ends last
	for i, run := range runs {
		if latest >= 0 && run.StartTime.Before(runs[latest].CompletionTime) {
			overlaps[i], overlaps[latest] = true, true
		}
		if latest < 0 || runs[latest].CompletionTime.Before(run.CompletionTime) {
			latest = i
		}
	}
	var parallel int32
	for i, run := range runs {
		if overlaps[i] && run.IsExecuted() {
			parallel++
		}
	}
	return parallel
}
