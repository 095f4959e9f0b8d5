package controllers

import (
	"context"
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
	ignored      = "Argo never picked up the Workflow: check that its controller runs and that --argo-instance-id is its own"

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
		endVanished(wfe, run, forceDeleted, r.now())
		return ctrl.Result{}, nil, nil
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
	switch {
	case wf.Status.Fulfilled() && missing != nil && r.workflows.CanLoadLater(wf):
		return ctrl.Result{RequeueAfter: workflows.NodesRetry}, nil, nil
	case wf.Status.Fulfilled() && run.isRollback():
		concludeRollback(wfe, wf, missing, r.now())
		return ctrl.Result{}, nil, nil
	case wf.Status.Fulfilled():
		result, err := r.conclude(ctx, wfe, wf, missing)
		return result, nil, err
	case wf.DeletionTimestamp != nil:
		endVanished(wfe, run, deleted, r.now())
		return ctrl.Result{}, nil, nil
	case run.isRollback():
		return r.driveRollback(ctx, wfe, wf)
	}
	result, act := r.drive(wfe, wf, missing)
	return result, act, nil
}

// drive decides what a main Workflow that has not ended needs. Where its nodes cannot be read, the steps stay as they were
// last seen.
func (r *Reconciler) drive(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, missing *workflows.MissingNodes) (ctrl.Result, action) {
	if workflows.IsIgnored(wf) {
		wait := r.untilDeadline(wfe) + ignoredGrace
		if wait <= 0 {
			endIgnored(wfe, r.now())
		}
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	r.setCause(wfe)
	if missing != nil {
		return r.driveBlind(wfe, wf)
	}
	running := translate.Running(wf)
	setLivePhase(wfe, wf, running, r.now())
	late := overdueSteps(wfe.Status.Steps, mainRun(wfe).stepTimeouts(&wfe.Spec), wf, r.now())
	decided, untilExpiry := decisions(wfe, wf, r.now())
	wait := earliest(late.wait, untilExpiry)
	if wfe.Status.PauseStartTime == nil { // the clock stands still during a pause
		wait = earliest(wait, r.untilDeadline(wfe))
	}
	return r.orNudge(wf, ctrl.Result{RequeueAfter: wait}, r.control(wfe, wf, running, late.pods, decided))
}

// driveBlind is drive where the nodes cannot be read. What was last seen running is waited for no longer than the deadline.
func (r *Reconciler) driveBlind(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) (ctrl.Result, action) {
	wait := r.untilDeadline(wfe)
	running := translate.RunningSteps(wfe.Status.Steps)
	if wait <= 0 {
		running = 0
	}
	setLivePhase(wfe, wf, running, r.now())
	if r.workflows.CanLoadLater(wf) {
		wait = earliest(wait, workflows.NodesRetry)
	}
	return r.orNudge(wf, ctrl.Result{RequeueAfter: wait}, r.control(wfe, wf, running, nil, nil))
}

// setCause records why the execution must end before its Workflow would: a critical step failed, or its time is over. The
// cause is recorded before anything is done about it, so that it survives a crash in between.
func (r *Reconciler) setCause(wfe *wfev1.WorkflowExecution) {
	if wfe.Status.Failure != nil || isCancelled(wfe) {
		return
	}
	if failure := translate.CriticalFailure(&wfe.Spec, wfe.Status.Steps); failure != nil {
		wfe.Status.Failure = failure
		return
	}
	if r.untilDeadline(wfe) <= 0 {
		wfe.Status.Failure = r.timedOut(wfe)
	}
}

// conclude ends an execution whose main Workflow has ended, or begins to undo what it did. Where the nodes cannot be read,
// nothing is rolled back, and the execution ends as the Workflow did.
func (r *Reconciler) conclude(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, missing *workflows.MissingNodes) (ctrl.Result, error) {
	if missing != nil {
		concludeBlind(wfe, wf, missing, r.now())
		return ctrl.Result{}, nil
	}
	if wfe.Status.Failure == nil && !wasCancelled(wfe, wf) {
		wfe.Status.Failure = translate.MainFailure(&wfe.Spec, wfe.Status.Steps, wf)
	}
	if wantsRollback(wfe, wf, wfe.Status.Failure) {
		return r.startRollback(ctx, wfe)
	}
	if begun, err := r.unrecordedRollback(ctx, wfe); begun != nil || err != nil {
		if err == nil {
			setRollingBack(wfe, begun, r.now())
		}
		return ctrl.Result{}, err
	}
	if wfe.Status.Failure != nil || wasCancelled(wfe, wf) {
		failOrCancel(wfe, r.now())
	} else {
		complete(wfe, "every critical step completed", r.now())
	}
	return ctrl.Result{}, nil
}

func concludeBlind(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, missing *workflows.MissingNodes, now time.Time) {
	switch {
	case wf.Status.Phase == wfv1.WorkflowSucceeded:
		complete(wfe, "the Workflow succeeded; "+missing.Message, now)
	case isCancelled(wfe) || wfe.Status.Failure != nil:
		failOrCancel(wfe, now)
	default:
		fail(wfe, wfev1.Failure{Reason: wfev1.ReasonNodeStatusUnavailable, Message: "the Workflow failed: " + wf.Status.Message + "; " + missing.Message}, now)
	}
}

// endVanished ends an execution whose Workflow no longer reports anything. What had ended stays as it was recorded.
func endVanished(wfe *wfev1.WorkflowExecution, run run, message string, now time.Time) {
	if run.isRollback() {
		run.stopSteps("")
		endRollback(wfe, "the rollback's"+message[len("the"):], now)
		return
	}
	run.stopSteps(message)
	setProgress(wfe)
	switch {
	case isCancelled(wfe):
		cancel(wfe, "cancelled", now)
	case wfe.Status.Failure != nil:
		fail(wfe, *wfe.Status.Failure, now)
	default:
		fail(wfe, wfev1.Failure{Reason: wfev1.ReasonWorkflowDeleted, Message: message}, now)
	}
}

// endIgnored ends an execution whose Workflow Argo never picked up.
func endIgnored(wfe *wfev1.WorkflowExecution, now time.Time) {
	switch failure := wfe.Status.Failure; {
	case failure != nil:
		failure.Message += "; " + ignored
	case !isCancelled(wfe):
		wfe.Status.Failure = &wfev1.Failure{Reason: wfev1.ReasonEngineUnavailable, Message: ignored}
	}
	endVanished(wfe, mainRun(wfe), ignored, now)
}
