package controllers

import (
	"context"
	"strings"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/workflows"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// ignoredGrace is how long after its deadline a Workflow that is to end may still be picked up by Argo.
	ignoredGrace = 30 * time.Second
	// silentGrace is the same for a Workflow that Argo had picked up: its controller may be down for a while.
	silentGrace = 5 * time.Minute
	ignored     = "Argo did not act on the Workflow: check that its controller runs and that --argo-instance-id is its own"

	forceDeleted = "the Workflow was deleted with its finalizer removed"
	deleted      = "the Workflow was deleted"
)

// follow mirrors the Workflow of a run, and decides what the execution needs next.
func (r *Reconciler) follow(ctx context.Context, wfe *wfev1.WorkflowExecution, run run) (ctrl.Result, action, error) {
	wf, err := r.workflows.GetReferenced(ctx, wfe.Namespace, run.ref)
	if err != nil {
		return ctrl.Result{}, nil, err
	}
	if wf == nil {
		result, err := r.concludeVanished(ctx, wfe, run, forceDeleted)
		return result, nil, err
	}
	if workflows.HasLostLabels(wf) {
		if err := r.workflows.Relabel(ctx, wfe, wf, r.settings.Workflow); err != nil {
			return ctrl.Result{}, nil, err
		}
	}
	missing := r.workflows.LoadNodes(ctx, wf)
	setNodesReadable(wfe, missing)
	if missing == nil {
		*run.steps = translate.Steps(*run.steps, wf)
		setProgress(wfe)
	}
	if wf.Status.Fulfilled() {
		result, err := r.conclude(ctx, wfe, run, wf, missing)
		return result, nil, err
	}
	if run.isRollback() {
		return r.driveRollback(ctx, wfe, wf)
	}
	return r.drive(ctx, wfe, wf, missing)
}

// drive decides what a main Workflow that has not ended needs. Where its nodes cannot be read, the steps stay as they were
// last seen.
func (r *Reconciler) drive(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, missing *workflows.MissingNodes) (ctrl.Result, action, error) {
	r.setCause(wfe, wf)
	if missing != nil {
		return r.driveWithoutNodes(ctx, wfe, wf)
	}
	late := overdueSteps(wfe.Status.Steps, mainRun(wfe).stepTimeouts(&wfe.Spec), wf, r.now())
	running := translate.Running(wf)
	setLivePhase(wfe, wf, running, translate.PendingPods(wf), r.now())
	if wfe.Status.Failure != nil {
		running -= len(late.pods) // Argo leaves the pending node of a suspended Workflow as it is (operator.go:1263, :331)
	}
	decided, untilExpiry := decisions(wfe, wf, r.now())
	wait := earliest(late.wait, untilExpiry)
	if wfe.Status.PauseStartTime == nil { // a pause does not count towards the deadline
		wait = earliest(wait, r.settings.untilDeadline(wfe, r.now()))
	}
	return r.shutDownOrEnd(ctx, wfe, wf, wait, r.control(wfe, wf, running, late.pods, decided))
}

// driveWithoutNodes is drive where the nodes cannot be read. What was last seen running is waited for no longer than the deadline.
func (r *Reconciler) driveWithoutNodes(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) (ctrl.Result, action, error) {
	wait := r.settings.untilDeadline(wfe, r.now())
	running := translate.RunningSteps(wfe.Status.Steps)
	if wait <= 0 {
		running = 0
	}
	setLivePhase(wfe, wf, running, 0, r.now())
	if r.workflows.CanLoadLater(wf) {
		wait = earliest(wait, workflows.NodesRetry)
	}
	return r.shutDownOrEnd(ctx, wfe, wf, wait, r.control(wfe, wf, running, nil, nil))
}

// shutDownOrEnd is how a reconcile of a live main Workflow ends. A Workflow that is to end and that Argo does not end, long
// after the deadline, ends the execution all the same: Argo is gone, or never picked the Workflow up. If Argo returns, it
// finds the Workflow shut down and ends it at once.
func (r *Reconciler) shutDownOrEnd(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, wait time.Duration, act action) (ctrl.Result, action, error) {
	if act == nil && wf.Spec.Shutdown != "" {
		if wf.DeletionTimestamp != nil {
			if wait = wf.DeletionTimestamp.Add(ignoredGrace).Sub(r.now()); wait <= 0 {
				result, err := r.concludeVanished(ctx, wfe, mainRun(wfe), deleted)
				return result, nil, err
			}
		} else if wait = r.settings.untilDeadline(wfe, r.now()) + graceOf(wf); wait <= 0 {
			result, err := r.concludeIgnored(ctx, wfe)
			return result, nil, err
		}
	}
	result, act := orNudge(r.workflows, wf, ctrl.Result{RequeueAfter: wait}, act)
	return result, act, nil
}

// graceOf is how long after its deadline Argo may still end a Workflow that was shut down.
func graceOf(wf *wfv1.Workflow) time.Duration {
	if workflows.IsIgnored(wf) {
		return ignoredGrace
	}
	return silentGrace
}

// setCause records why the execution must end before its Workflow would: a critical step failed, the Workflow is being
// deleted, or the time is over. The cause is recorded before anything is done about it, so that it survives a crash in
// between.
func (r *Reconciler) setCause(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) {
	if wfe.Status.Failure != nil || isCancelled(wfe) {
		return
	}
	if failure := translate.CriticalFailure(&wfe.Spec, wfe.Status.Steps); failure != nil {
		wfe.Status.Failure = failure
		return
	}
	if wf.DeletionTimestamp != nil {
		wfe.Status.Failure = &wfev1.Failure{Reason: wfev1.ReasonWorkflowDeleted, Message: deleted}
		return
	}
	if r.settings.untilDeadline(wfe, r.now()) <= 0 {
		wfe.Status.Failure = r.settings.timedOut(wfe)
	}
}

// conclude ends an execution whose Workflow has ended, or begins to undo what it did, once no pod of it runs any more. Where
// the nodes cannot be read, nothing is rolled back, and the execution ends as the Workflow did.
func (r *Reconciler) conclude(ctx context.Context, wfe *wfev1.WorkflowExecution, run run, wf *wfv1.Workflow, missing *workflows.MissingNodes) (ctrl.Result, error) {
	if missing != nil && r.workflows.CanLoadLater(wf) {
		return ctrl.Result{RequeueAfter: workflows.NodesRetry}, nil
	}
	if !isPlainSuccess(run, wf) {
		if stopped, err := r.awaitPods(ctx, wfe, run); !stopped || err != nil {
			return ctrl.Result{RequeueAfter: podRetry}, err
		}
	}
	switch {
	case run.isRollback():
		concludeRollback(wfe, wf, missing, r.now())
		return ctrl.Result{}, nil
	case missing != nil:
		concludeWithoutNodes(wfe, wf, missing, r.now())
		return ctrl.Result{}, nil
	}
	return r.concludeMain(ctx, wfe, wf)
}

func (r *Reconciler) concludeMain(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) (ctrl.Result, error) {
	if wfe.Status.Failure == nil && !wasCancelled(wfe, wf) {
		wfe.Status.Failure = translate.MainFailure(&wfe.Spec, wfe.Status.Steps, wf)
	}
	ended := wfe.Status.Failure != nil || wasCancelled(wfe, wf)
	stopped := wfe.Spec.Cancel == wfev1.CancelStop || wf.Spec.Shutdown == wfv1.ShutdownStrategyStop
	if ended || stopped && translate.HasUndo(wfe) {
		return r.undoOrEnd(ctx, wfe, stopped)
	}
	complete(wfe, "every critical step completed", r.now())
	return ctrl.Result{}, nil
}

// undoOrEnd begins to undo what an execution did that failed or was stopped, or ends it. A rollback that was begun and not
// recorded is followed, even if the specification has changed: it is read from the API server before every end.
func (r *Reconciler) undoOrEnd(ctx context.Context, wfe *wfev1.WorkflowExecution, stopped bool) (ctrl.Result, error) {
	if translate.HasUndo(wfe) {
		begun, err := r.ownRollback(ctx, wfe)
		if err != nil {
			return ctrl.Result{}, err
		}
		if begun != nil {
			setRollingBack(wfe, begun, r.now())
			return ctrl.Result{}, nil
		}
	}
	switch {
	case wantsRollback(wfe, stopped):
		return r.startRollback(ctx, wfe)
	case wfe.Status.RollbackStartTime != nil:
		rollbackRun(wfe).stopSteps("")
		endRollback(wfe, "the rollback was cancelled before it started", r.now())
	default:
		failOrCancel(wfe, r.now())
	}
	return ctrl.Result{}, nil
}

func concludeWithoutNodes(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, missing *workflows.MissingNodes, now time.Time) {
	switch {
	case wf.Status.Phase == wfv1.WorkflowSucceeded:
		complete(wfe, "the Workflow succeeded; "+missing.Message, now)
	case isCancelled(wfe) || wfe.Status.Failure != nil:
		failOrCancel(wfe, now)
	default:
		fail(wfe, wfev1.Failure{Reason: wfev1.ReasonNodeStatusUnavailable, Message: "the Workflow failed: " + wf.Status.Message + "; " + missing.Message}, now)
	}
}

// concludeVanished ends an execution whose Workflow no longer exists, or begins to undo what it did, once no pod of it runs
// any more. What had ended stays as it was recorded.
func (r *Reconciler) concludeVanished(ctx context.Context, wfe *wfev1.WorkflowExecution, run run, message string) (ctrl.Result, error) {
	if stopped, err := r.awaitPods(ctx, wfe, run); !stopped || err != nil {
		return ctrl.Result{RequeueAfter: podRetry}, err
	}
	if run.isRollback() {
		run.stopSteps("")
		endRollback(wfe, message, r.now())
		return ctrl.Result{}, nil
	}
	run.stopSteps(message)
	setProgress(wfe)
	if wfe.Status.Failure == nil && !isCancelled(wfe) {
		wfe.Status.Failure = &wfev1.Failure{Reason: wfev1.ReasonWorkflowDeleted, Message: message}
	}
	return r.undoOrEnd(ctx, wfe, wfe.Spec.Cancel == wfev1.CancelStop)
}

// concludeIgnored ends an execution whose main Workflow Argo does not end. Nothing is rolled back: that would need Argo, too.
func (r *Reconciler) concludeIgnored(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	if stopped, err := r.awaitPods(ctx, wfe, mainRun(wfe)); !stopped || err != nil {
		return ctrl.Result{RequeueAfter: podRetry}, err
	}
	switch failure := wfe.Status.Failure; {
	case failure != nil && !strings.HasSuffix(failure.Message, ignored):
		failure.Message += "; " + ignored
	case failure == nil && !isCancelled(wfe):
		wfe.Status.Failure = &wfev1.Failure{Reason: wfev1.ReasonEngineUnavailable, Message: ignored}
	}
	mainRun(wfe).stopSteps(ignored)
	setProgress(wfe)
	failOrCancel(wfe, r.now())
	return ctrl.Result{}, nil
}
