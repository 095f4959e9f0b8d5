package controllers

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// emit sends an Event for each step that failed between two recorded statuses, and one for a new phase.
func emit(recorder events.EventRecorder, before, after *wfev1.WorkflowExecution) {
	known := make(map[string]wfev1.StepPhase, len(before.Status.Steps))
	for i := range before.Status.Steps {
		known[before.Status.Steps[i].Name] = before.Status.Steps[i].Phase
	}
	for i := range after.Status.Steps {
		step := &after.Status.Steps[i]
		if step.Phase == wfev1.StepFailed && known[step.Name] != wfev1.StepFailed {
			// Events that differ in their note alone count as repetitions of one, so the action names the step.
			recorder.Eventf(after, nil, corev1.EventTypeWarning, wfev1.EventStepFailed, "Run/"+step.Name,
				"Step %s failed: %s: %s", step.Name, step.Reason, step.Message)
		}
	}
	switch {
	case before.Status.Phase != after.Status.Phase:
		emitPhase(recorder, before.Status.Phase, after)
	case after.Status.Phase == wfev1.PhaseRollingBack && isLateStop(after) && reconcilingMessage(before) != reconcilingMessage(after):
		recorder.Eventf(after, nil, corev1.EventTypeNormal, wfev1.EventCancelIgnored, "Cancel", "%s", reconcilingMessage(after))
	}
}

func reconcilingMessage(wfe *wfev1.WorkflowExecution) string {
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionReconciling); c != nil {
		return c.Message
	}
	return ""
}

// emitPhase sends the Event for an execution's new phase. Events that differ in their note alone count as repetitions of one,
// so the action names what sets each apart.
func emitPhase(recorder events.EventRecorder, before wfev1.Phase, wfe *wfev1.WorkflowExecution) {
	kind, reason, action := corev1.EventTypeNormal, string(wfe.Status.Phase), "Wait"
	note := reconcilingMessage(wfe)
	switch wfe.Status.Phase {
	case wfev1.PhaseRunning:
		action, note = "Run", fmt.Sprintf("Workflow %s runs the steps", wfe.Name)
		if before == wfev1.PhaseAwaitingApproval || before == wfev1.PhaseSuspended {
			action, note = "Resume", note+" again"
		}
	case wfev1.PhaseAwaitingApproval:
		action += "/" + strings.Join(awaitingApproval(wfe), ",")
	case wfev1.PhaseFailed:
		kind, reason = corev1.EventTypeWarning, string(wfe.Status.Failure.Reason)
		action, note = "End", fmt.Sprintf("Failed at %s: %s%s", wfe.Status.Progress, note, rollbackNote(wfe))
	case wfev1.PhaseCompleted, wfev1.PhaseCancelled:
		action, note = "End", fmt.Sprintf("%s: %s%s", wfe.Status.Progress, note, rollbackNote(wfe))
	case wfev1.PhasePending, wfev1.PhaseSuspended, wfev1.PhaseRollingBack:
	}
	recorder.Eventf(wfe, nil, kind, reason, action, "%s", shorten(note))
}

// rollbackNote says how the rollback ended, if there was one.
func rollbackNote(wfe *wfev1.WorkflowExecution) string {
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionRolledBack); c != nil {
		return "; rollback: " + c.Message
	}
	return ""
}
