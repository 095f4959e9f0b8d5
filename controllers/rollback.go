package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const defaultRollbackTimeout = 600

// rollingBackTimedOut is the reason of the condition RolledBack that notes, before anything is done about it, that the
// rollback's time is up.
const rollingBackTimedOut = "TimedOut"

// wantsRollback reports whether an execution whose main Workflow has ended is to be undone.
func wantsRollback(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, failure *wfev1.Failure) bool {
	if wfe.Spec.RollbackPolicy == wfev1.RollbackNone || wfe.Spec.DryRun || wfe.DeletionTimestamp != nil || wfe.Spec.Cancel == wfev1.CancelTerminate {
		return false
	}
	stopped := wfe.Spec.Cancel == wfev1.CancelStop || wf.Spec.Shutdown == wfv1.ShutdownStrategyStop
	return (failure != nil || stopped) && translate.HasUndo(wfe)
}

// startRollback creates the rollback's Workflow, or adopts the one that an earlier attempt created. What cannot be
// translated ends the execution with a rollback that failed.
func (r *Reconciler) startRollback(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	catalog, err := r.catalog(ctx, wfe.Namespace, translate.UndoActions(&wfe.Spec))
	if err != nil {
		return ctrl.Result{}, err
	}
	rollback, err := translate.NewRollback(wfe, catalog, r.Settings.Workflow)
	var invalid *translate.InvalidError
	if errors.As(err, &invalid) {
		wfe.Status.RollbackSteps = translate.InitialUndoSteps(wfe)
		r.stopRollbackSteps(wfe)
		r.endRollback(wfe, "the rollback cannot run: "+invalid.Error())
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	wf := rollback.Workflow
	if large, err := describeLarge(wf); large != "" || err != nil {
		if err == nil {
			wfe.Status.RollbackSteps = rollback.Steps
			r.stopRollbackSteps(wfe)
			r.endRollback(wfe, "the rollback cannot run: "+large)
		}
		return ctrl.Result{}, err
	}
	if err := r.checkFresh(ctx, wfe); err != nil {
		return ctrl.Result{}, err
	}
	err = r.Create(ctx, wf)
	if apierrors.IsAlreadyExists(err) {
		wf, err = r.ownWorkflow(ctx, wfe, wf.Name)
		if err == nil && wf == nil {
			r.endRollback(wfe, fmt.Sprintf("a Workflow %q that belongs to somebody else is in the namespace", rollback.Workflow.Name))
			return ctrl.Result{}, nil
		}
	}
	if isRefusal(err) {
		r.endRollback(wfe, "the API server refused the rollback's Workflow: "+err.Error())
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("create the rollback's Workflow: %w", err)
	}
	r.setRollingBack(wfe, wf)
	return ctrl.Result{RequeueAfter: r.untilRollbackDeadline(wfe)}, nil
}

// setRollingBack records the rollback's Workflow.
func (r *Reconciler) setRollingBack(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) {
	started := wf.CreationTimestamp
	wfe.Status.RollbackRef = &wfev1.WorkflowReference{Name: wf.Name, UID: wf.UID}
	wfe.Status.RollbackStartTime = &started
	wfe.Status.RollbackSteps = translate.InitialUndoSteps(wfe)
	r.accountPause(wfe, wfev1.PhaseRollingBack)
	wfe.Status.Phase = wfev1.PhaseRollingBack
	setReconciling(wfe, "RollingBack", "undoing the completed steps in reverse order")
}

// unrecordedRollback finds a rollback that was begun and not recorded, before an execution is ended without one: by now
// its user may have asked to end at once, and then it is the rollback that must be ended.
func (r *Reconciler) unrecordedRollback(ctx context.Context, wfe *wfev1.WorkflowExecution) (*wfv1.Workflow, error) {
	if early := wfe.Spec.Cancel == wfev1.CancelTerminate || wfe.DeletionTimestamp != nil; !early || !translate.HasUndo(wfe) {
		return nil, nil
	}
	wf, err := r.ownWorkflow(ctx, wfe, wfe.Name+wfev1.RollbackSuffix)
	return wf, client.IgnoreNotFound(err)
}

// followRollback mirrors the rollback's Workflow. It is never suspended: what is half undone is worse than either end.
func (r *Reconciler) followRollback(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, action, error) {
	wf, err := r.workflow(ctx, wfe, wfe.Status.RollbackRef)
	if err != nil {
		return ctrl.Result{}, nil, err
	}
	if wf == nil {
		r.stopRollbackSteps(wfe)
		r.endRollback(wfe, "the rollback's Workflow was forced away by somebody else")
		return ctrl.Result{}, nil, nil
	}
	seen := r.see(ctx, wfe, wf)
	if !seen && wf.Status.Fulfilled() {
		return r.followRollbackBlind(wfe, wf), nil, nil
	}
	if seen {
		wfe.Status.RollbackSteps = translate.Steps(wfe.Status.RollbackSteps, wf)
	}
	if wf.Status.Fulfilled() {
		r.endRollback(wfe, "")
		return ctrl.Result{}, nil, nil
	}
	if wf.DeletionTimestamp != nil {
		r.stopRollbackSteps(wfe)
		r.endRollback(wfe, "the rollback's Workflow was deleted by somebody else")
		return ctrl.Result{}, nil, nil
	}
	wait := r.untilRollbackDeadline(wfe)
	if wait <= 0 {
		setCondition(wfe, wfev1.ConditionRolledBack, metav1.ConditionUnknown, rollingBackTimedOut, "the rollback ran longer than its timeout")
	}
	if grace := wait + ignoredGrace; isIgnored(wf) && grace <= 0 {
		r.stopRollbackSteps(wfe)
		r.endRollback(wfe, ignored)
		return ctrl.Result{}, nil, nil
	} else if isIgnored(wf) {
		return ctrl.Result{RequeueAfter: grace}, nil, nil
	}
	if main, err := r.reopened(ctx, wfe); main != nil || err != nil {
		return ctrl.Result{RequeueAfter: wait}, func(ctx context.Context) error { return r.shutDown(ctx, main) }, err
	}
	stop := wait <= 0 || wfe.Spec.Cancel == wfev1.CancelTerminate || wfe.DeletionTimestamp != nil
	if stop && wf.Spec.Shutdown == "" && !r.written.isBehind(wf) {
		return ctrl.Result{}, func(ctx context.Context) error { return r.shutDown(ctx, wf) }, nil
	}
	late := r.overdueSteps(wfe.Status.RollbackSteps, rollbackTimeouts(&wfe.Spec), wf)
	var act action
	if len(late.pods) > 0 {
		act = func(ctx context.Context) error { return r.deletePods(ctx, wfe.Namespace, late.pods) }
	}
	result, act := r.orRemind(wf, ctrl.Result{RequeueAfter: earliest(wait, late.wait)}, act)
	return result, act, nil
}

// reopened is the main Workflow when somebody let it go on in Argo: no step may go forward beside the rollback.
func (r *Reconciler) reopened(ctx context.Context, wfe *wfev1.WorkflowExecution) (*wfv1.Workflow, error) {
	ref, wf := wfe.Status.WorkflowRef, &wfv1.Workflow{}
	err := r.Get(ctx, client.ObjectKey{Namespace: wfe.Namespace, Name: ref.Name}, wf)
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if wf.UID != ref.UID || wf.Status.Fulfilled() || wf.Spec.Shutdown != "" || r.written.isBehind(wf) {
		return nil, nil
	}
	return wf, nil
}

func (r *Reconciler) untilRollbackDeadline(wfe *wfev1.WorkflowExecution) time.Duration {
	timeout := time.Duration(ptr.Deref(wfe.Spec.RollbackTimeoutSeconds, defaultRollbackTimeout)) * time.Second
	return wfe.Status.RollbackStartTime.Add(timeout).Sub(r.now())
}

func (r *Reconciler) stopRollbackSteps(wfe *wfev1.WorkflowExecution) {
	for i := range wfe.Status.RollbackSteps {
		if undo := &wfe.Status.RollbackSteps[i]; !undo.Phase.IsTerminal() {
			undo.Phase = wfev1.StepCancelled
		}
	}
}

// endRollback ends the execution with its rollback: as it would have ended, and with what is left undone.
func (r *Reconciler) endRollback(wfe *wfev1.WorkflowExecution, problem string) {
	left := translate.LeftUndone(wfe)
	timedOut := false
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionRolledBack); c != nil {
		timedOut = c.Reason == rollingBackTimedOut
	}
	if problem == "" && len(left) == 0 {
		setCondition(wfe, wfev1.ConditionRolledBack, metav1.ConditionTrue, "RolledBack", "every completed step that has a rollback was undone")
		r.endAsCaused(wfe)
		return
	}
	message := problem
	if timedOut {
		message = "the rollback ran longer than its timeout"
	}
	if len(left) > 0 {
		message = strings.TrimPrefix(message+"; left undone: "+strings.Join(left, ", "), "; ")
	}
	setCondition(wfe, wfev1.ConditionRolledBack, metav1.ConditionFalse, string(wfev1.ReasonRollbackFailed), message)
	if cause := wfe.Status.Failure; cause != nil {
		wfe.Status.Failure = &wfev1.Failure{
			Step: cause.Step, Action: cause.Action, Reason: wfev1.ReasonRollbackFailed,
			Message: fmt.Sprintf("%s. It was to be rolled back after %s: %s", message, cause.Reason, cause.Message),
		}
	}
	r.endAsCaused(wfe)
}

// endAsCaused ends an execution in the phase that its cause calls for: Failed after a failure, else Cancelled.
func (r *Reconciler) endAsCaused(wfe *wfev1.WorkflowExecution) {
	if wfe.Status.Failure != nil {
		r.fail(wfe, *wfe.Status.Failure)
		return
	}
	message := "cancelled while it ran; nothing was rolled back"
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionRolledBack); c != nil {
		message = "cancelled while it ran; " + c.Message
	}
	r.finish(wfe, wfev1.PhaseCancelled, "Cancelled", message)
}
