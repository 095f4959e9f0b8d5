package controllers

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// An execution ends by one of three verbs: complete, fail and cancel. Every path to an end goes through them.

// complete ends the execution in phase Completed.
func complete(wfe *wfev1.WorkflowExecution, message string, now time.Time) {
	end(wfe, wfev1.PhaseCompleted, now)
	setCondition(wfe, wfev1.ConditionReconciling, metav1.ConditionFalse, wfev1.ReasonCompleted, message)
	setCondition(wfe, wfev1.ConditionComplete, metav1.ConditionTrue, wfev1.ReasonCompleted, message)
}

// fail ends the execution in phase Failed, with the failure as condition and status.
func fail(wfe *wfev1.WorkflowExecution, failure wfev1.Failure, now time.Time) {
	failure.Message = shorten(failure.Message)
	wfe.Status.Failure = &failure
	message := failure.Message
	if failure.Step != "" && !strings.HasPrefix(message, "step ") {
		message = fmt.Sprintf("step %q: %s", failure.Step, message)
	}
	end(wfe, wfev1.PhaseFailed, now)
	setCondition(wfe, wfev1.ConditionReconciling, metav1.ConditionFalse, string(failure.Reason), message)
	setCondition(wfe, wfev1.ConditionFailed, metav1.ConditionTrue, string(failure.Reason), message)
	setCondition(wfe, wfev1.ConditionStalled, metav1.ConditionTrue, string(failure.Reason), message)
}

// cancel ends the execution in phase Cancelled.
func cancel(wfe *wfev1.WorkflowExecution, message string, now time.Time) {
	end(wfe, wfev1.PhaseCancelled, now)
	setCondition(wfe, wfev1.ConditionReconciling, metav1.ConditionFalse, wfev1.ReasonCancelled, message)
}

// failOrCancel ends the execution in the phase that its cause calls for: Failed after a failure, else Cancelled.
func failOrCancel(wfe *wfev1.WorkflowExecution, now time.Time) {
	if wfe.Status.Failure != nil {
		fail(wfe, *wfe.Status.Failure, now)
		return
	}
	message := "cancelled while it ran; nothing was rolled back"
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionRolledBack); c != nil {
		message = "cancelled while it ran; " + c.Message
	}
	cancel(wfe, message, now)
}

// end records what every end has in common.
func end(wfe *wfev1.WorkflowExecution, phase wfev1.Phase, now time.Time) {
	status := &wfe.Status
	accountPause(wfe, phase, now)
	status.Phase, status.CompletionTime = phase, wholeSecond(now)
	if status.WorkflowRef == nil {
		// These steps are not skipped: no condition of theirs was evaluated.
		for i := range status.Steps {
			status.Steps[i].Phase, status.Steps[i].Message = wfev1.StepCancelled, "never started"
		}
	}
	if status.StartTime != nil {
		status.ParallelSteps = ptr.To(translate.ParallelSteps(status.Steps))
		status.ExecutedSteps = ptr.To(int32(metrics.ExecutedSteps(status))) //nolint:gosec // at most 500
		status.Duration = &metav1.Duration{Duration: status.CompletionTime.Sub(status.StartTime.Time)}
	}
	setProgress(wfe)
}

func setProgress(wfe *wfev1.WorkflowExecution) {
	wfe.Status.Progress = fmt.Sprintf("%d/%d", translate.Ended(wfe.Status.Steps), len(wfe.Spec.Steps))
}

// isCancelled reports whether the execution is to end because its user wants it to.
func isCancelled(wfe *wfev1.WorkflowExecution) bool {
	return wfe.DeletionTimestamp != nil || wfe.Status.Failure == nil && wfe.Spec.Cancel != wfev1.CancelNone
}

// wasCancelled reports whether the Workflow ended early by a user's wish, in the specification or in Argo, and no critical
// step had failed before.
func wasCancelled(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) bool {
	if wfe.Status.Failure != nil || translate.CriticalFailure(&wfe.Spec, wfe.Status.Steps) != nil {
		return false
	}
	stopped := wf.Spec.Shutdown != "" && translate.MainFailure(&wfe.Spec, wfe.Status.Steps, wf) != nil
	return isCancelled(wfe) || stopped
}
