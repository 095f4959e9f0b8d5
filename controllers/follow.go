package controllers

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

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
	wfe.Status.Steps = translate.Steps(wfe.Status.Steps, wf)
	setProgress(wfe)
	if wf.Status.Fulfilled() {
		r.conclude(wfe, wf)
		return ctrl.Result{}, nil, nil
	}
	if wf.DeletionTimestamp != nil {
		r.endVanished(wfe, "the Workflow was deleted by somebody else")
		return ctrl.Result{}, nil, nil
	}
	r.setCause(wfe)
	r.setLivePhase(wfe, wf)
	next := r.overdueSteps(wfe, wf)
	return ctrl.Result{RequeueAfter: earliest(r.untilDeadline(wfe), next.wait)}, r.control(wfe, wf, next.pods), nil
}

// workflow reads a Workflow that the status names. The cache may not show yet what we created ourselves, so only the
// API server's word counts when it is missing. It is nil when it is gone, and an unpacked copy otherwise.
func (r *Reconciler) workflow(ctx context.Context, wfe *wfev1.WorkflowExecution, ref *wfev1.WorkflowReference) (*wfv1.Workflow, error) {
	key := types.NamespacedName{Namespace: wfe.Namespace, Name: ref.Name}
	wf := &wfv1.Workflow{}
	err := r.Get(ctx, key, wf)
	if apierrors.IsNotFound(err) || err == nil && wf.UID != ref.UID {
		err = r.Live.Get(ctx, key, wf)
	}
	if apierrors.IsNotFound(err) || err == nil && wf.UID != ref.UID {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get Workflow: %w", err)
	}
	if err := translate.Decompress(wf); err != nil {
		return nil, fmt.Errorf("unpack the nodes of Workflow %s: %w", key, err)
	}
	return wf, nil
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

func isCancelled(wfe *wfev1.WorkflowExecution) bool {
	return wfe.DeletionTimestamp != nil || wfe.Status.Failure == nil && wfe.Spec.Cancel != wfev1.CancelNone
}

// conclude ends an execution whose Workflow has ended.
func (r *Reconciler) conclude(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) {
	failure := wfe.Status.Failure
	if failure == nil {
		failure = translate.MainFailure(&wfe.Spec, wfe.Status.Steps, wf)
	}
	switch {
	case failure != nil && !stoppedOnly(wfe, wf, failure):
		r.fail(wfe, *failure)
	case isCancelled(wfe) || wf.Spec.Shutdown != "" && failure != nil:
		r.finish(wfe, wfev1.PhaseCancelled, "Cancelled", "cancelled while it ran; nothing was rolled back")
	default:
		r.finish(wfe, wfev1.PhaseCompleted, "Completed", "every critical step completed")
	}
}

// stoppedOnly reports whether nothing failed but for steps that a shutdown kept from ending: the execution was
// cancelled, by its specification or in Argo, and did not fail.
func stoppedOnly(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, failure *wfev1.Failure) bool {
	return wf.Spec.Shutdown != "" && wfe.Status.Failure == nil && translate.CriticalFailure(&wfe.Spec, wfe.Status.Steps) == nil && failure.Reason == wfev1.ReasonUnknown
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
func (r *Reconciler) setLivePhase(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) {
	phase := wfev1.PhaseRunning
	if translate.Running(wf) == 0 && wfe.Status.Failure == nil && isSuspended(wf) {
		phase = wfev1.PhaseSuspended
	}
	r.accountPause(wfe, phase)
	wfe.Status.Phase = phase
	switch {
	case wfe.Status.Failure != nil:
		setReconciling(wfe, "Ending", "ending after a failure: "+string(wfe.Status.Failure.Reason))
	case isCancelled(wfe):
		setReconciling(wfe, "Cancelling", "stopping the running steps")
	case phase == wfev1.PhaseSuspended:
		setReconciling(wfe, "Suspended", "suspended before the next step")
	case wfe.Spec.Suspended:
		setReconciling(wfe, "Suspending", "running steps finish before the pause")
	default:
		setReconciling(wfe, "Running", "steps are running")
	}
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

// settle is all that is left to do for an execution that has ended: let its Workflows go.
func (r *Reconciler) settle(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	for _, ref := range []*wfev1.WorkflowReference{wfe.Status.WorkflowRef, wfe.Status.RollbackRef} {
		if ref == nil {
			continue
		}
		wf := &wfv1.Workflow{}
		err := r.Get(ctx, client.ObjectKey{Namespace: wfe.Namespace, Name: ref.Name}, wf)
		if apierrors.IsNotFound(err) || err == nil && wf.UID != ref.UID {
			continue
		}
		if err != nil {
			return ctrl.Result{}, fmt.Errorf("get Workflow: %w", err)
		}
		if _, err := r.release(ctx, wf); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, nil
}
