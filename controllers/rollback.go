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
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/admission"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/workflows"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	rollbackTimedOut = "the rollback ran longer than its timeout"
	// rollbackRetry is how often the creation of a rollback that the API server refused is tried again.
	rollbackRetry = 10 * time.Second
)

// wantsRollback reports whether an execution that failed or was stopped is to be undone.
func wantsRollback(wfe *wfev1.WorkflowExecution, stopped bool) bool {
	if wfe.Spec.RollbackPolicy == wfev1.RollbackNone || wfe.Spec.DryRun || wfe.DeletionTimestamp != nil || wfe.Spec.Cancel == wfev1.CancelTerminate {
		return false
	}
	return (wfe.Status.Failure != nil || stopped) && translate.HasUndo(wfe)
}

// errForeignWorkflow says that the rollback's name belongs to a Workflow of another owner.
var errForeignWorkflow = errors.New("a Workflow of another owner has the name of the rollback")

// startRollback creates the rollback's Workflow, or adopts the one that an earlier attempt created. If nothing of it can run,
// the execution ends with a rollback that failed.
func (r *Reconciler) startRollback(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	actions, err := r.catalog.Actions(ctx, wfe.Namespace, translate.UndoActions(&wfe.Spec))
	if err != nil {
		return r.awaitRollback(wfe, translate.InitialUndoSteps(wfe), err)
	}
	rollback, err := translate.NewRollback(wfe, actions, r.settings.Workflow)
	if err != nil {
		refuseRollback(wfe, translate.InitialUndoSteps(wfe), err.Error(), r.now())
		return ctrl.Result{}, nil
	}
	if rollback.Workflow == nil {
		wfe.Status.RollbackSteps = rollback.Steps
		endRollback(wfe, "", r.now())
		return ctrl.Result{}, nil
	}
	if large, err := describeLarge(rollback.Workflow); large != "" || err != nil {
		if err == nil {
			refuseRollback(wfe, rollback.Steps, large, r.now())
		}
		return ctrl.Result{}, err
	}
	if err := r.checkNotStale(ctx, wfe); err != nil {
		return ctrl.Result{}, err
	}
	wf, err := r.createRollback(ctx, wfe, rollback.Workflow)
	if errors.Is(err, errForeignWorkflow) {
		refuseRollback(wfe, rollback.Steps, err.Error(), r.now())
		return ctrl.Result{}, nil
	}
	if err != nil {
		return r.awaitRollback(wfe, rollback.Steps, err)
	}
	setRollingBack(wfe, wf, r.now())
	wfe.Status.RollbackSteps = rollback.Steps
	return ctrl.Result{RequeueAfter: untilRollbackDeadline(wfe, r.now())}, nil
}

func (r *Reconciler) createRollback(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) (*wfv1.Workflow, error) {
	admission.MarkTarget(wf, wfe)
	err := r.workflows.Create(ctx, wf)
	if !apierrors.IsAlreadyExists(err) {
		return wf, err
	}
	existing, getErr := r.workflows.GetLive(ctx, types.NamespacedName{Namespace: wf.Namespace, Name: wf.Name})
	switch {
	case getErr != nil:
		return nil, getErr
	case existing == nil || existing.DeletionTimestamp != nil || workflows.IsPredecessor(existing, wfe):
		return nil, err
	case !workflows.IsOf(existing, wfe):
		return nil, errForeignWorkflow
	}
	return existing, nil
}

// awaitRollback records that the rollback's Workflow could not be created, which a quota, a webhook or a role that is about to
// be bound can change. The creation is tried again until the rollback's deadline.
func (r *Reconciler) awaitRollback(wfe *wfev1.WorkflowExecution, steps []wfev1.StepStatus, problem error) (ctrl.Result, error) {
	if apierrors.IsConflict(problem) {
		return ctrl.Result{}, problem
	}
	if wfe.Status.RollbackStartTime == nil {
		wfe.Status.RollbackStartTime = wholeSecond(r.now())
	}
	wfe.Status.RollbackSteps = steps
	const begin = "the rollback's Workflow cannot be created, which is tried again: "
	wait := untilRollbackDeadline(wfe, r.now())
	if wait <= 0 {
		refuseRollback(wfe, steps, problem.Error(), r.now())
		return ctrl.Result{}, nil
	}
	accountPause(wfe, wfev1.PhaseRollingBack, r.now())
	wfe.Status.Phase = wfev1.PhaseRollingBack
	if !strings.HasPrefix(reconcilingMessage(wfe), begin) { // numbers in the problem may change at each attempt
		setReconciling(wfe, wfev1.ReasonRollingBack, begin+problem.Error())
	}
	return ctrl.Result{RequeueAfter: min(wait, rollbackRetry)}, nil
}

// retryRollback tries again to create the rollback's Workflow, unless the main one was re-opened meanwhile.
func (r *Reconciler) retryRollback(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, action, error) {
	if main, err := r.reopened(ctx, wfe); main != nil || err != nil {
		return ctrl.Result{RequeueAfter: podRetry}, on(main, r.workflows.ShutDown), err
	}
	if stopped, err := r.awaitPods(ctx, wfe, mainRun(wfe)); !stopped || err != nil {
		return ctrl.Result{RequeueAfter: podRetry}, nil, err
	}
	result, err := r.undoOrEnd(ctx, wfe, true)
	return result, nil, err
}

func refuseRollback(wfe *wfev1.WorkflowExecution, steps []wfev1.StepStatus, why string, now time.Time) {
	wfe.Status.RollbackSteps = steps
	rollbackRun(wfe).stopSteps("")
	endRollback(wfe, "the rollback cannot run: "+why, now)
}

// setRollingBack records the rollback's Workflow.
func setRollingBack(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, now time.Time) {
	started := wf.CreationTimestamp
	wfe.Status.RollbackRef = &wfev1.WorkflowReference{Name: wf.Name, UID: wf.UID}
	wfe.Status.RollbackStartTime = &started
	wfe.Status.RollbackSteps = translate.InitialUndoSteps(wfe)
	accountPause(wfe, wfev1.PhaseRollingBack, now)
	wfe.Status.Phase = wfev1.PhaseRollingBack
	setReconciling(wfe, wfev1.ReasonRollingBack, rollingBackMessage(wfe))
}

// ownRollback reads the execution's rollback from the API server; nil when there is none of its own.
func (r *Reconciler) ownRollback(ctx context.Context, wfe *wfev1.WorkflowExecution) (*wfv1.Workflow, error) {
	wf, err := r.workflows.GetLive(ctx, types.NamespacedName{Namespace: wfe.Namespace, Name: wfe.Name + wfev1.RollbackSuffix})
	if err != nil || !workflows.IsOf(wf, wfe) {
		return nil, err
	}
	return wf, nil
}

// driveRollback decides what a rollback that has not ended needs. It is never suspended: half an undo is worse than either
// end.
func (r *Reconciler) driveRollback(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) (ctrl.Result, action, error) {
	run, wait := rollbackRun(wfe), untilRollbackDeadline(wfe, r.now())
	if wait <= 0 {
		setCondition(wfe, wfev1.ConditionRolledBack, metav1.ConditionUnknown, string(wfev1.ReasonTimedOut), rollbackTimedOut)
	}
	setReconciling(wfe, wfev1.ReasonRollingBack, rollingBackMessage(wfe))
	grace := wait + graceOf(wf)
	if deleted := wf.DeletionTimestamp; deleted != nil {
		grace = deleted.Add(ignoredGrace).Sub(r.now())
	}
	if wf.Spec.Shutdown != "" && grace <= 0 {
		result, err := r.concludeVanished(ctx, wfe, run, ignored)
		return result, nil, err
	}
	if workflows.IsIgnored(wf) {
		return ctrl.Result{RequeueAfter: grace}, nil, nil
	}
	if main, err := r.reopened(ctx, wfe); main != nil || err != nil {
		return ctrl.Result{RequeueAfter: wait}, on(main, r.workflows.ShutDown), err
	}
	stop := wait <= 0 || wfe.Spec.Cancel == wfev1.CancelTerminate || wfe.DeletionTimestamp != nil || wf.DeletionTimestamp != nil
	if stop && wf.Spec.Shutdown == "" && !r.workflows.IsStale(wf) {
		return ctrl.Result{}, on(wf, r.workflows.ShutDown), nil
	}
	late := overdueSteps(wfe.Status.RollbackSteps, run.stepTimeouts(&wfe.Spec), wf, r.now())
	var act action
	if len(late.pods) > 0 {
		act = deleteOverdue(r.workflows, wfe.Namespace, run, late.pods)
	}
	if wait = earliest(wait, late.wait); wf.Spec.Shutdown != "" {
		wait = grace
	}
	result, act := orNudge(r.workflows, wf, ctrl.Result{RequeueAfter: wait}, act)
	return result, act, nil
}

// isLateStop reports whether a cancellation by Stop came when a failure had already caused the rollback.
func isLateStop(wfe *wfev1.WorkflowExecution) bool {
	return wfe.Spec.Cancel == wfev1.CancelStop && wfe.Status.Failure != nil
}

// rollingBackMessage says what happens, and that a cancellation by Stop came too late to change it.
func rollingBackMessage(wfe *wfev1.WorkflowExecution) string {
	message := "undoing the completed steps in reverse order"
	if isLateStop(wfe) {
		message += "; cancel: Stop has no effect on a rollback, cancel: Terminate stops it"
	}
	return message
}

// reopened is the main Workflow when it was re-opened in Argo: no step may run beside the rollback.
func (r *Reconciler) reopened(ctx context.Context, wfe *wfev1.WorkflowExecution) (*wfv1.Workflow, error) {
	ref := wfe.Status.WorkflowRef
	wf, err := r.workflows.Get(ctx, types.NamespacedName{Namespace: wfe.Namespace, Name: ref.Name})
	if err != nil || wf == nil || wf.UID != ref.UID || wf.Status.Fulfilled() || wf.Spec.Shutdown != "" || r.workflows.IsStale(wf) {
		return nil, err
	}
	return wf, nil
}

// concludeRollback ends an execution whose rollback has ended.
func concludeRollback(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, missing *workflows.MissingNodes, now time.Time) {
	if missing == nil {
		endRollback(wfe, "", now)
		return
	}
	rollbackRun(wfe).stopSteps("")
	endRollback(wfe, missing.Message+": what it undid is not known; it ended as "+string(wf.Status.Phase), now)
}

// endRollback ends the execution with its rollback: as it would have ended, and with what is left undone.
func endRollback(wfe *wfev1.WorkflowExecution, problem string, now time.Time) {
	left := translate.LeftUndone(wfe)
	if problem == "" && len(left) == 0 {
		setCondition(wfe, wfev1.ConditionRolledBack, metav1.ConditionTrue, wfev1.ReasonRolledBack, "every completed step that has a rollback was undone")
		failOrCancel(wfe, now)
		return
	}
	message := problem
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionRolledBack); c != nil && c.Reason == string(wfev1.ReasonTimedOut) {
		message = rollbackTimedOut
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
	failOrCancel(wfe, now)
}
