package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// stepsAreRunning is the message from the start to the end of an ordinary run, so that neither costs a write of its own.
const stepsAreRunning = "steps are running"

const (
	// ignoredGrace is how long after its deadline a Workflow that is to end may still be picked up by Argo.
	ignoredGrace = 30 * time.Second
	ignored      = "Argo never picked up the Workflow: is its controller running, and is --argo-instance-id its own?"
)

// isIgnored reports whether Argo never looked at a Workflow that it has been asked to end. Nothing ran, and if Argo comes
// after all, it ends it at once.
func isIgnored(wf *wfv1.Workflow) bool { return wf.Status.Phase == "" && wf.Spec.Shutdown != "" }

// follow mirrors a Workflow that exists, and decides what the execution needs next.
func (r *Reconciler) follow(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, action, error) {
	wf, err := r.workflow(ctx, wfe, wfe.Status.WorkflowRef)
	if err != nil {
		return ctrl.Result{}, nil, err
	}
	if wf == nil {
		r.endVanished(wfe, "the Workflow was forced away by somebody else")
		return ctrl.Result{}, nil, nil
	}
	if !r.see(ctx, wfe, wf) {
		return r.followBlind(wfe, wf)
	}
	wfe.Status.Steps = translate.Steps(wfe.Status.Steps, wf)
	setProgress(wfe)
	if wf.Status.Fulfilled() {
		result, err := r.conclude(ctx, wfe, wf)
		return result, nil, err
	}
	if wf.DeletionTimestamp != nil {
		r.endVanished(wfe, "the Workflow was deleted by somebody else")
		return ctrl.Result{}, nil, nil
	}
	if isIgnored(wf) {
		wait := r.untilDeadline(wfe) + ignoredGrace
		if wait <= 0 {
			r.endIgnored(wfe)
		}
		return ctrl.Result{RequeueAfter: wait}, nil, nil
	}
	r.setCause(wfe)
	running := translate.Running(wf)
	r.setLivePhase(wfe, wf, running)
	late := r.overdueSteps(wfe.Status.Steps, stepTimeouts(&wfe.Spec), wf)
	decided, untilExpiry := r.decisions(wfe, wf)
	wait := earliest(late.wait, untilExpiry)
	if wfe.Status.PauseStartTime == nil { // the clock stands still during a pause
		wait = earliest(wait, r.untilDeadline(wfe))
	}
	result, act := r.orRemind(wf, ctrl.Result{RequeueAfter: wait}, r.control(wfe, wf, running, late.pods, decided))
	return result, act, nil
}

// workflow reads a Workflow that the status names. The cache may not show yet what we created ourselves, so only the
// API server's word counts when it is missing. It is nil when it is gone.
func (r *Reconciler) workflow(ctx context.Context, wfe *wfev1.WorkflowExecution, ref *wfev1.WorkflowReference) (*wfv1.Workflow, error) {
	key := types.NamespacedName{Namespace: wfe.Namespace, Name: ref.Name}
	wf := &wfv1.Workflow{}
	err := r.Get(ctx, key, wf)
	if apierrors.IsNotFound(err) || err == nil && wf.UID != ref.UID {
		wf = &wfv1.Workflow{} // nothing of another Workflow may stay in it
		err = r.Live.Get(ctx, key, wf)
	}
	if apierrors.IsNotFound(err) || err == nil && wf.UID != ref.UID {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get Workflow: %w", err)
	}
	if wf.Labels[wfev1.LabelRole] == "" || wf.Labels[wfev1.LabelObserved] != "" {
		return wf, r.relabel(ctx, wfe, wf)
	}
	return wf, nil
}

// relabel puts back the labels that somebody took off a live Workflow, and takes off the one that hides it: we would see
// nothing of it any more, and hold it back for ever; without Argo's, Argo would not see it either.
func (r *Reconciler) relabel(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) error {
	role := wfev1.RoleMain
	if wf.Name != wfe.Name {
		role = wfev1.RoleRollback
	}
	labels := map[string]any{wfev1.LabelObserved: nil}
	for key, value := range translate.Labels(wfe, role, r.Settings.Workflow) {
		labels[key] = value
	}
	return r.patchWorkflow(ctx, wf, map[string]any{"metadata": map[string]any{"labels": labels}})
}

// endVanished ends an execution whose Workflow is no longer there to tell. What had ended stays as it was recorded.
func (r *Reconciler) endVanished(wfe *wfev1.WorkflowExecution, message string) {
	for i := range wfe.Status.Steps {
		if step := &wfe.Status.Steps[i]; !step.Phase.IsTerminal() {
			step.Phase = wfev1.StepCancelled
			step.Message = message
		}
	}
	setProgress(wfe)
	switch {
	case isCancelled(wfe):
		r.finish(wfe, wfev1.PhaseCancelled, "Cancelled", "cancelled")
	case wfe.Status.Failure != nil:
		r.fail(wfe, *wfe.Status.Failure)
	default:
		r.fail(wfe, wfev1.Failure{Reason: wfev1.ReasonWorkflowDeleted, Message: message})
	}
}

// endIgnored ends an execution whose Workflow Argo never picked up.
func (r *Reconciler) endIgnored(wfe *wfev1.WorkflowExecution) {
	switch failure := wfe.Status.Failure; {
	case failure != nil:
		failure.Message += "; " + ignored
	case !isCancelled(wfe):
		wfe.Status.Failure = &wfev1.Failure{Reason: wfev1.ReasonEngineUnavailable, Message: ignored}
	}
	r.endVanished(wfe, ignored)
}

func isCancelled(wfe *wfev1.WorkflowExecution) bool {
	return wfe.DeletionTimestamp != nil || wfe.Status.Failure == nil && wfe.Spec.Cancel != wfev1.CancelNone
}

// conclude ends an execution whose Workflow has ended, or begins to undo what it did.
func (r *Reconciler) conclude(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) (ctrl.Result, error) {
	if wfe.Status.Failure == nil && !wasCancelled(wfe, wf) {
		wfe.Status.Failure = translate.MainFailure(&wfe.Spec, wfe.Status.Steps, wf)
	}
	if wantsRollback(wfe, wf, wfe.Status.Failure) {
		return r.startRollback(ctx, wfe)
	}
	if begun, err := r.unrecordedRollback(ctx, wfe); begun != nil || err != nil {
		if err == nil {
			r.setRollingBack(wfe, begun)
		}
		return ctrl.Result{}, err
	}
	switch {
	case wfe.Status.Failure != nil || wasCancelled(wfe, wf):
		r.endAsCaused(wfe)
	default:
		r.finish(wfe, wfev1.PhaseCompleted, "Completed", "every critical step completed")
	}
	return ctrl.Result{}, nil
}

// wasCancelled reports whether the Workflow ended early because somebody wanted it to, by the specification or in Argo,
// and no critical step had failed before.
func wasCancelled(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) bool {
	if wfe.Status.Failure != nil || translate.CriticalFailure(&wfe.Spec, wfe.Status.Steps) != nil {
		return false
	}
	stopped := wf.Spec.Shutdown != "" && translate.MainFailure(&wfe.Spec, wfe.Status.Steps, wf) != nil
	return isCancelled(wfe) || stopped
}

// setCause records why the execution must end before its Workflow would: a critical step failed, or time is up. It is
// recorded before anything is done about it, so that a crash in between forgets nothing.
func (r *Reconciler) setCause(wfe *wfev1.WorkflowExecution) {
	if wfe.Status.Failure != nil || isCancelled(wfe) {
		return
	}
	if failure := translate.CriticalFailure(&wfe.Spec, wfe.Status.Steps); failure != nil {
		wfe.Status.Failure = failure
		return
	}
	if wait := r.untilDeadline(wfe); wait <= 0 {
		wfe.Status.Failure = &wfev1.Failure{
			Reason:  wfev1.ReasonTimedOut,
			Message: fmt.Sprintf("the execution ran longer than its timeout of %s", r.timeout(wfe)),
		}
	}
}

// untilDeadline is the time left to the execution, without the time that it was paused; zero or less when it is up.
func (r *Reconciler) untilDeadline(wfe *wfev1.WorkflowExecution) time.Duration {
	paused := time.Duration(wfe.Status.ApprovalWaitSeconds+wfe.Status.SuspendedSeconds) * time.Second
	now := r.now()
	if since := wfe.Status.PauseStartTime; since != nil {
		paused += now.Sub(since.Time)
	}
	return wfe.Status.StartTime.Add(r.timeout(wfe) + paused).Sub(now)
}

// setLivePhase sets the phase of an execution whose Workflow has not ended, and keeps the account of the time that it
// is paused. It is paused only while nothing runs.
func (r *Reconciler) setLivePhase(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, running int) {
	phase := wfev1.PhaseRunning
	if idle := running == 0 && wfe.Status.Failure == nil; idle && isSuspended(wf) {
		phase = wfev1.PhaseSuspended
	} else if idle && translate.AwaitsApproval(wfe.Status.Steps) {
		phase = wfev1.PhaseAwaitingApproval
	}
	r.accountPause(wfe, phase)
	wfe.Status.Phase = phase
	switch {
	case wfe.Status.Failure != nil:
		setReconciling(wfe, "Ending", "ending after a failure: "+string(wfe.Status.Failure.Reason))
	case isCancelled(wfe):
		setReconciling(wfe, "Cancelling", "stopping the running steps")
	case phase == wfev1.PhaseAwaitingApproval:
		setReconciling(wfe, "AwaitingApproval", "waiting for a decision in spec.approvals on "+strings.Join(awaited(wfe), ", "))
	case phase == wfev1.PhaseSuspended:
		setReconciling(wfe, "Suspended", "suspended before the next step")
	case wfe.Spec.Suspended:
		setReconciling(wfe, "Suspending", "running steps finish before the pause")
	default:
		setReconciling(wfe, "Running", stepsAreRunning)
	}
}

// awaited is the steps that wait for a decision.
func awaited(wfe *wfev1.WorkflowExecution) []string {
	var names []string
	for i := range wfe.Status.Steps {
		if wfe.Status.Steps[i].Phase == wfev1.StepAwaitingApproval {
			names = append(names, wfe.Status.Steps[i].Name)
		}
	}
	return names
}

// accountPause adds a pause that is over to the account of its kind, and notes when one begins.
func (r *Reconciler) accountPause(wfe *wfev1.WorkflowExecution, phase wfev1.Phase) {
	status := &wfe.Status
	if phase == status.Phase {
		return
	}
	if since := status.PauseStartTime; since != nil {
		seconds := max(0, int64(r.now().Sub(since.Time).Seconds()))
		if status.Phase == wfev1.PhaseAwaitingApproval {
			status.ApprovalWaitSeconds += seconds
		} else {
			status.SuspendedSeconds += seconds
		}
		status.PauseStartTime = nil
	}
	if phase == wfev1.PhaseSuspended || phase == wfev1.PhaseAwaitingApproval {
		now := metav1.NewTime(r.now().Truncate(time.Second))
		status.PauseStartTime = &now
	}
}

func isSuspended(wf *wfv1.Workflow) bool { return wf.Spec.Suspend != nil && *wf.Spec.Suspend }

// earliest is the shorter of two waits, where zero means none.
func earliest(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}
