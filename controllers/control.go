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

// startGrace is how much longer than its timeout a pod may take to start before it is deleted: Argo ends what it can end by
// itself first.
const startGrace = 2 * time.Second

// control is what the recorded status asks of a main Workflow in which so many steps run, or nil. Each write repeats what is
// wanted: doing one twice does nothing.
func (r *Reconciler) control(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, running int, overdue []string, decided []translate.Decision) action {
	isSuspended := workflows.IsSuspended(wf)
	switch {
	case wf.Spec.Shutdown != "" || r.workflows.IsStale(wf):
		return nil
	case wfe.Spec.Cancel != wfev1.CancelNone, wfe.DeletionTimestamp != nil, wf.DeletionTimestamp != nil,
		wfe.Status.Failure != nil && (running <= 0 && isSuspended || r.settings.untilDeadline(wfe, r.now()) <= 0):
		return on(wf, r.workflows.ShutDown)
	case (wfe.Status.Failure != nil || wfe.Spec.Suspended) && !isSuspended:
		return on(wf, r.workflows.Suspend)
	case !wfe.Spec.Suspended && wfe.Status.Failure == nil && workflows.IsSuspendedByController(wf):
		return on(wf, r.workflows.Resume)
	case len(decided) > 0 && !isSuspended:
		return func(ctx context.Context) error { return r.decide(ctx, wfe, wf, decided) }
	case len(overdue) > 0:
		return deleteOverdue(r.workflows, wfe.Namespace, mainRun(wfe), overdue)
	}
	return nil
}

// on makes an action of a write on a Workflow.
func on(wf *wfv1.Workflow, write func(context.Context, *wfv1.Workflow) error) action {
	return func(ctx context.Context) error { return write(ctx, wf) }
}

// orNudge nudges Argo about a Workflow that needs nothing else, once Argo has not acted on it for too long.
func orNudge(store *workflows.Store, wf *wfv1.Workflow, result ctrl.Result, act action) (ctrl.Result, action) {
	if act != nil {
		store.ClearNudge(wf)
		return result, act
	}
	wait, owed := store.UntilNudge(wf)
	switch {
	case !owed:
		return result, nil
	case wait > 0:
		result.RequeueAfter = earliest(result.RequeueAfter, wait)
		return result, nil
	}
	return result, on(wf, store.Nudge)
}

func deleteOverdue(store *workflows.Store, namespace string, run run, pods []string) action {
	return func(ctx context.Context) error { return store.DeletePodsNamed(ctx, namespace, run.ref, pods) }
}

// setLivePhase sets the phase of an execution whose Workflow has not ended, and keeps the account of the time that it is
// paused. It is paused only while nothing runs; in a suspended one, pods that wait for a node do not count. Once the Workflow
// is shut down there is no pause: from then on only wall time counts.
func setLivePhase(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, running, pending int, now time.Time) {
	phase := wfev1.PhaseRunning
	if ending := wfe.Status.Failure != nil || wf.Spec.Shutdown != ""; !ending && running <= pending && workflows.IsSuspended(wf) {
		phase = wfev1.PhaseSuspended
	} else if !ending && running == 0 && translate.AwaitsApproval(wfe.Status.Steps) {
		phase = wfev1.PhaseAwaitingApproval
	}
	accountPause(wfe, phase, now)
	wfe.Status.Phase = phase
	switch {
	case wfe.Status.Failure != nil:
		setReconciling(wfe, wfev1.ReasonEnding, "ending after a failure: "+string(wfe.Status.Failure.Reason))
	case isCancelled(wfe):
		setReconciling(wfe, wfev1.ReasonCancelling, "stopping the running steps")
	case phase == wfev1.PhaseAwaitingApproval:
		setReconciling(wfe, wfev1.ReasonAwaitingApproval, "waiting for a decision in spec.approvals on "+strings.Join(awaitingApproval(wfe), ", "))
	case phase == wfev1.PhaseSuspended:
		setReconciling(wfe, wfev1.ReasonSuspended, "suspended before the next step")
	case wfe.Spec.Suspended:
		setReconciling(wfe, wfev1.ReasonSuspending, "running steps finish before the pause")
	default:
		setReconciling(wfe, wfev1.ReasonRunning, stepsAreRunning)
	}
}

// overdue is the pods that did not start within their step's timeout, and how long until the next one is late.
type overdue struct {
	pods []string
	wait time.Duration
}

// overdueSteps finds the steps whose pod did not start in time. Under a retry strategy Argo reports only the Retry node,
// which runs (operator.go:2102); and a pod that starts after all must not do so after the rollback. The step records why it
// is late before its pod is deleted.
func overdueSteps(steps []wfev1.StepStatus, timeouts map[string]time.Duration, wf *wfv1.Workflow, now time.Time) overdue {
	var found overdue
	for i := range steps {
		step := &steps[i]
		timeout, bounded := timeouts[step.Name]
		if !bounded || step.Phase.IsTerminal() {
			continue
		}
		since, pod := translate.PendingSince(wf, step.Name)
		if since == nil {
			continue
		}
		wait := since.Add(timeout + startGrace).Sub(now)
		if wait > 0 {
			found.wait = earliest(found.wait, wait)
			continue
		}
		if step.Reason == "" {
			step.Reason = wfev1.ReasonDeadlineExceeded
		}
		found.pods = append(found.pods, pod)
	}
	return found
}
