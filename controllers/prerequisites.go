package controllers

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/admission"
)

const (
	// applyGrace is how long after its creation an execution waits for what it needs and does not exist yet: when everything is
	// applied at once, the order is not the user's choice. applyRetry is how often it checks.
	applyGrace = 15 * time.Second
	applyRetry = 3 * time.Second
)

// awaitEngine records that Argo's kinds are not served. The watch that begins once they are reconciles the execution again;
// cancellation and timeout work meanwhile.
func (r *Reconciler) awaitEngine(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	if wfe.Status.Phase == "" {
		wfe.Status.Phase = wfev1.PhasePending
	}
	const message = "Argo Workflows is not installed in the cluster: its CustomResourceDefinitions are missing"
	setCondition(wfe, wfev1.ConditionEngineAvailable, metav1.ConditionFalse, string(wfev1.ReasonEngineUnavailable), message)
	wait := r.untilEnd(wfe)
	if wait > 0 && !isCancelled(wfe) {
		setReconciling(wfe, string(wfev1.ReasonEngineUnavailable), message)
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	for _, run := range []run{mainRun(wfe), rollbackRun(wfe)} {
		if run.ref == nil {
			continue
		}
		if stopped, err := r.awaitPods(ctx, wfe, run); !stopped || err != nil {
			return ctrl.Result{RequeueAfter: podRetry}, err
		}
		run.stopSteps(message)
	}
	if wfe.Status.RollbackStartTime != nil {
		rollbackRun(wfe).stopSteps(message)
		endRollback(wfe, message, r.now())
		return ctrl.Result{}, nil
	}
	if wfe.Status.WorkflowRef == nil && isCancelled(wfe) {
		cancel(wfe, "cancelled before it started; nothing ran", r.now())
		return ctrl.Result{}, nil
	}
	if wfe.Status.Failure == nil && !isCancelled(wfe) {
		wfe.Status.Failure = &wfev1.Failure{Reason: wfev1.ReasonEngineUnavailable, Message: message}
	}
	failOrCancel(wfe, r.now())
	return ctrl.Result{}, nil
}

// untilEnd is the time left to an execution in its present state.
func (r *Reconciler) untilEnd(wfe *wfev1.WorkflowExecution) time.Duration {
	switch {
	case wfe.Status.RollbackStartTime != nil:
		return untilRollbackDeadline(wfe, r.now())
	case wfe.Status.WorkflowRef != nil:
		return r.settings.untilDeadline(wfe, r.now())
	}
	pauseBeforeStart(wfe, r.now())
	return r.settings.untilStartDeadline(wfe, r.now())
}

// awaitPredecessor records that a Workflow of an earlier execution of the same name is being stopped.
func awaitPredecessor(wfe *wfev1.WorkflowExecution) {
	if wfe.Status.Phase == "" {
		wfe.Status.Phase = wfev1.PhasePending
	}
	setReconciling(wfe, wfev1.ReasonPredecessorEnding, "waiting until the Workflow of an earlier WorkflowExecution of this name has stopped")
}

// awaitTarget returns how long to wait for the kind of the target, whose definition may be about to be applied, and ends the
// execution when it has waited long enough. A dry run takes no lock and needs no kind.
func (r *Reconciler) awaitTarget(wfe *wfev1.WorkflowExecution) (time.Duration, error) {
	if wfe.Spec.DryRun {
		return 0, nil
	}
	err := r.admission.CheckTarget(wfe)
	var unknown *admission.UnknownKindError
	if !errors.As(err, &unknown) {
		return 0, err
	}
	message := "spec.target: " + unknown.Error()
	if r.now().Sub(wfe.CreationTimestamp.Time) < applyGrace {
		setReconciling(wfe, string(wfev1.ReasonInvalidSpec), message)
		return applyRetry, nil
	}
	setInvalid(wfe, wfev1.ReasonInvalidSpec, message)
	fail(wfe, wfev1.Failure{Reason: wfev1.ReasonInvalidSpec, Message: message}, r.now())
	return 0, nil
}

// awaitNamespace records whether the namespace is ready. It returns how long to wait before checking again, and ends the
// execution when it has waited long enough.
func (r *Reconciler) awaitNamespace(ctx context.Context, wfe *wfev1.WorkflowExecution, serviceAccount string) (time.Duration, error) {
	missing, err := r.preflight.Missing(ctx, types.NamespacedName{Namespace: wfe.Namespace, Name: serviceAccount})
	if err != nil {
		return 0, err
	}
	if missing == "" {
		setNamespaceReady(wfe)
		return 0, nil
	}
	setCondition(wfe, wfev1.ConditionNamespaceReady, metav1.ConditionFalse, string(wfev1.ReasonNamespaceNotReady), missing)
	if r.now().Sub(wfe.CreationTimestamp.Time) >= applyGrace {
		fail(wfe, wfev1.Failure{Reason: wfev1.ReasonNamespaceNotReady, Message: missing}, r.now())
		return 0, nil
	}
	setReconciling(wfe, string(wfev1.ReasonNamespaceNotReady), missing)
	return applyRetry, nil
}
