package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// maxMessageBytes bounds a condition's message.
const maxMessageBytes = 1024

// errGone says that the execution was deleted while it was looked at; what is left of it is released as abandoned.
var errGone = errors.New("the WorkflowExecution is gone")

// record writes the next status if it differs, in one update that fails on a newer object; only then are counters moved
// and events sent. The error is errGone when there is nothing to write to.
func (r *Reconciler) record(ctx context.Context, before, after *wfev1.WorkflowExecution) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	key, written := client.ObjectKeyFromObject(after), withStatusOnly(after)
	err := r.Status().Update(ctx, written)
	if apierrors.IsNotFound(err) {
		return errGone
	}
	if err != nil {
		if !apierrors.IsConflict(err) {
			r.fresh.doubt(key)
		}
		return fmt.Errorf("update the status: %w", err)
	}
	after.ResourceVersion = written.ResourceVersion
	r.recorded.note(written)
	r.Metrics.Observe(before, after)
	r.emit(before, after)
	return nil
}

// withStatusOnly is what an update of the status sends: the API server takes nothing but the status from it, and keeps the
// rest as it is. More of the object would be more to decode, and a patch would have to be applied. The status is shared.
func withStatusOnly(wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	return &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: wfe.Namespace, Name: wfe.Name, ResourceVersion: wfe.ResourceVersion},
		Status:     wfe.Status,
	}
}

// finish ends the execution in a phase.
func (r *Reconciler) finish(wfe *wfev1.WorkflowExecution, phase wfev1.Phase, reason, message string) {
	status := &wfe.Status
	r.accountPause(wfe, phase)
	now := metav1.NewTime(r.now().Truncate(time.Second))
	status.Phase, status.CompletionTime = phase, &now
	if status.WorkflowRef == nil {
		endUnstarted(wfe)
	}
	if status.StartTime != nil {
		parallel := translate.ParallelSteps(status.Steps)
		status.ParallelSteps = &parallel
		status.Duration = &metav1.Duration{Duration: now.Sub(status.StartTime.Time)}
	}
	setProgress(wfe)
	setCondition(wfe, wfev1.ConditionReconciling, metav1.ConditionFalse, reason, message)
	if phase == wfev1.PhaseCompleted {
		setCondition(wfe, wfev1.ConditionComplete, metav1.ConditionTrue, reason, message)
	}
	if phase == wfev1.PhaseFailed {
		setCondition(wfe, wfev1.ConditionFailed, metav1.ConditionTrue, reason, message)
		setCondition(wfe, wfev1.ConditionStalled, metav1.ConditionTrue, reason, message)
	}
}

// endUnstarted ends the steps of an execution of which nothing ran. They are not skipped: no condition of theirs was
// looked at.
func endUnstarted(wfe *wfev1.WorkflowExecution) {
	for i := range wfe.Status.Steps {
		wfe.Status.Steps[i].Phase, wfe.Status.Steps[i].Message = wfev1.StepCancelled, "never started"
	}
}

// fail ends the execution in phase Failed, with the failure as condition and status.
func (r *Reconciler) fail(wfe *wfev1.WorkflowExecution, failure wfev1.Failure) {
	failure.Message = shorten(failure.Message)
	wfe.Status.Failure = &failure
	message := failure.Message
	if failure.Step != "" && !strings.HasPrefix(message, "step ") {
		message = shorten(fmt.Sprintf("step %q: %s", failure.Step, message))
	}
	r.finish(wfe, wfev1.PhaseFailed, string(failure.Reason), message)
}

func setProgress(wfe *wfev1.WorkflowExecution) {
	wfe.Status.Progress = fmt.Sprintf("%d/%d", translate.Ended(wfe.Status.Steps), len(wfe.Spec.Steps))
}

func setReconciling(wfe *wfev1.WorkflowExecution, reason, message string) {
	setCondition(wfe, wfev1.ConditionReconciling, metav1.ConditionTrue, reason, message)
}

func setCondition(wfe *wfev1.WorkflowExecution, conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&wfe.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: shorten(message), ObservedGeneration: wfe.Generation,
	})
}

// emit tells what changed between two recorded statuses: at most one event for the phase, and one for each step that
// failed.
func (r *Reconciler) emit(before, after *wfev1.WorkflowExecution) {
	known := make(map[string]wfev1.StepPhase, len(before.Status.Steps))
	for i := range before.Status.Steps {
		known[before.Status.Steps[i].Name] = before.Status.Steps[i].Phase
	}
	for i := range after.Status.Steps {
		step := &after.Status.Steps[i]
		if step.Phase == wfev1.StepFailed && known[step.Name] != wfev1.StepFailed {
			r.Events.Eventf(after, nil, corev1.EventTypeWarning, "StepFailed", stepAction(step.Name), "Step %s failed: %s: %s", step.Name, step.Reason, step.Message)
		}
	}
	if before.Status.Phase != after.Status.Phase {
		r.emitPhase(before.Status.Phase, after)
	}
}

// emitPhase tells of an execution's new phase. Two events are repetitions of one, and only counted, if they differ in their
// note alone; so an action names what sets it apart.
func (r *Reconciler) emitPhase(before wfev1.Phase, wfe *wfev1.WorkflowExecution) {
	kind, reason, action := corev1.EventTypeNormal, string(wfe.Status.Phase), "Wait"
	note := ""
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionReconciling); c != nil {
		note = c.Message
	}
	switch wfe.Status.Phase {
	case wfev1.PhaseRunning:
		action, note = "Run", fmt.Sprintf("Workflow %s runs the steps", wfe.Name)
		if before == wfev1.PhaseAwaitingApproval || before == wfev1.PhaseSuspended {
			action, note = "Resume", note+" again"
		}
	case wfev1.PhaseAwaitingApproval:
		action += "/" + strings.Join(awaited(wfe), ",")
	case wfev1.PhaseFailed:
		kind, reason = corev1.EventTypeWarning, string(wfe.Status.Failure.Reason)
		action, note = "End", fmt.Sprintf("Failed at %s: %s%s", wfe.Status.Progress, note, undone(wfe))
	case wfev1.PhaseCompleted, wfev1.PhaseCancelled:
		action, note = "End", fmt.Sprintf("%s: %s%s", wfe.Status.Progress, note, undone(wfe))
	case wfev1.PhasePending, wfev1.PhaseSuspended, wfev1.PhaseRollingBack:
	}
	r.Events.Eventf(wfe, nil, kind, reason, action, "%s", shorten(note))
}

// undone says how the rollback ended, if there was one.
func undone(wfe *wfev1.WorkflowExecution) string {
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionRolledBack); c != nil {
		return "; rollback: " + c.Message
	}
	return ""
}

// stepAction is an event's action for a step: events that differ in their note alone are taken for repetitions of one.
func stepAction(step string) string { return "Run/" + step }

// shorten bounds a message.
func shorten(message string) string { return translate.Truncate(message, maxMessageBytes) }
