package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// reappliedDelay is how often a re-applied execution looks whether its predecessor's Workflow is gone. The deletion is
// watched too; this only covers one that was gone before it was seen.
const reappliedDelay = 5 * time.Second

// start takes an execution that has no recorded Workflow to the one that it gets: validated, admitted, created. One may
// exist all the same, if whoever created it died before recording it; then that is followed, whatever the specification
// asks for by now. Before an execution is ended, or left waiting by its user's wish, the API server is asked for it.
func (r *Reconciler) start(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	if wf, err := r.cachedWorkflow(ctx, wfe); wf != nil || err != nil {
		return ctrl.Result{}, r.followUnrecorded(wfe, wf, err)
	}
	untouched := wfe.Status.DeepCopy()
	result, err := r.prepare(ctx, wfe)
	if err != nil || wfe.Status.WorkflowRef != nil {
		return result, err
	}
	if wfe.Status.Phase == "" {
		wfe.Status.Phase = wfev1.PhasePending
	}
	if !wfe.Status.Phase.IsTerminal() && !wfe.Spec.Suspended {
		return result, nil
	}
	wf, err := r.ownWorkflow(ctx, wfe, wfe.Name)
	if wf == nil && client.IgnoreNotFound(err) == nil {
		return result, nil
	}
	wfe.Status = *untouched
	return ctrl.Result{}, r.followUnrecorded(wfe, wf, err)
}

// cachedWorkflow is the execution's Workflow as the cache has it; nil when it has none.
func (r *Reconciler) cachedWorkflow(ctx context.Context, wfe *wfev1.WorkflowExecution) (*wfv1.Workflow, error) {
	wf := &wfv1.Workflow{}
	if err := r.Get(ctx, client.ObjectKeyFromObject(wfe), wf); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if owner := metav1.GetControllerOf(wf); owner == nil || owner.UID != wfe.UID {
		return nil, nil
	}
	return wf, nil
}

// followUnrecorded records a Workflow that exists already, and what must have been so for it to be created. Its steps are
// known from the graph alone: the catalog may have changed since.
func (r *Reconciler) followUnrecorded(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, err error) error {
	if err != nil {
		return err
	}
	if len(wfe.Status.Steps) == 0 {
		wfe.Status.Steps = translate.InitialSteps(&wfe.Spec)
	}
	setProgress(wfe)
	setValid(wfe)
	setAdmitted(wfe)
	setNamespaceReady(wfe)
	r.setStarted(wfe, wf)
	return nil
}

func setValid(wfe *wfev1.WorkflowExecution) {
	setCondition(wfe, wfev1.ConditionValid, metav1.ConditionTrue, "Accepted", "the specification fits the catalog")
}

func setAdmitted(wfe *wfev1.WorkflowExecution) {
	setCondition(wfe, wfev1.ConditionAdmitted, metav1.ConditionTrue, "TargetFree", "the execution holds the lock on its target")
}

// prepare does what comes before the creation, and the creation.
func (r *Reconciler) prepare(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	if wfe.Spec.Cancel != wfev1.CancelNone || wfe.DeletionTimestamp != nil {
		r.finish(wfe, wfev1.PhaseCancelled, "Cancelled", "cancelled before it started; nothing ran")
		return ctrl.Result{}, nil
	}
	began := r.now()
	plan, err := r.plan(ctx, wfe)
	if err != nil {
		return r.failInvalid(wfe, err)
	}
	setValid(wfe)
	if len(wfe.Status.Steps) == 0 {
		wfe.Status.Steps = translate.InitialSteps(&wfe.Spec)
		setProgress(wfe)
	}
	r.pauseBeforeStart(wfe)
	if wfe.Spec.Suspended {
		setReconciling(wfe, "Suspended", "suspended before its start")
		return ctrl.Result{}, nil
	}
	deadline := wfe.CreationTimestamp.Add(r.timeout(wfe) + time.Duration(wfe.Status.SuspendedSeconds)*time.Second)
	if !r.now().Before(deadline) {
		r.fail(wfe, wfev1.Failure{Reason: wfev1.ReasonTimedOut, Message: "the execution timed out before it could start"})
		return ctrl.Result{}, nil
	}
	inTheWay, err := r.admit(ctx, wfe)
	if err != nil {
		return ctrl.Result{}, err
	}
	if inTheWay.reason != "" {
		setCondition(wfe, wfev1.ConditionAdmitted, metav1.ConditionFalse, inTheWay.reason, inTheWay.message)
		setReconciling(wfe, inTheWay.reason, inTheWay.waiting)
		return ctrl.Result{RequeueAfter: deadline.Sub(r.now())}, nil
	}
	setAdmitted(wfe)
	wf := plan.Workflow(r.Settings.Workflow)
	resolved := r.now().Sub(began)
	if wait, err := r.awaitNamespace(ctx, wfe, wf.Spec.ServiceAccountName); err != nil || wait > 0 || wfe.Status.Phase.IsTerminal() {
		return ctrl.Result{RequeueAfter: wait}, err
	}
	return r.ensureWorkflow(ctx, wfe, wf, plan.Graph().Edges(), resolved)
}

// pauseBeforeStart keeps the account of the time that an execution is suspended before its start, which does not count
// as waiting.
func (r *Reconciler) pauseBeforeStart(wfe *wfev1.WorkflowExecution) {
	since := wfe.Status.PauseStartTime
	switch {
	case wfe.Spec.Suspended && since == nil:
		now := metav1.NewTime(r.now().Truncate(time.Second))
		wfe.Status.PauseStartTime = &now
	case !wfe.Spec.Suspended && since != nil:
		wfe.Status.SuspendedSeconds += max(0, int64(r.now().Sub(since.Time).Seconds()))
		wfe.Status.PauseStartTime = nil
	}
}

// plan validates the execution against the catalog in the cache.
func (r *Reconciler) plan(ctx context.Context, wfe *wfev1.WorkflowExecution) (*translate.Plan, error) {
	catalog, err := r.catalog(ctx, wfe.Namespace, translate.Actions(&wfe.Spec))
	if err != nil {
		return nil, err
	}
	return translate.NewPlan(wfe, catalog)
}

// failInvalid ends an execution that can never run; any other error is returned, to be tried again.
func (r *Reconciler) failInvalid(wfe *wfev1.WorkflowExecution, err error) (ctrl.Result, error) {
	var invalid *translate.InvalidError
	if !errors.As(err, &invalid) {
		return ctrl.Result{}, err
	}
	first := invalid.First()
	message := shorten(invalid.Error())
	if first.Reason == wfev1.ReasonUnknownAction && r.engine.isNew(r.now()) {
		setReconciling(wfe, string(first.Reason), message)
		return ctrl.Result{RequeueAfter: namespaceRetry}, nil
	}
	setCondition(wfe, wfev1.ConditionValid, metav1.ConditionFalse, string(first.Reason), message)
	r.fail(wfe, wfev1.Failure{Step: first.Step, Reason: first.Reason, Message: message})
	return ctrl.Result{}, nil
}

// ensureWorkflow creates the Workflow, or adopts the one that an earlier attempt created.
//
// Refused for ever, too large or in somebody else's way: each ends the execution.
func (r *Reconciler) ensureWorkflow(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, edges int, resolved time.Duration) (ctrl.Result, error) {
	if tooLarge, err := r.refuseLarge(wfe, wf); tooLarge || err != nil {
		return ctrl.Result{}, err
	}
	if err := r.checkFresh(ctx, wfe); err != nil {
		return ctrl.Result{}, err
	}
	began := r.now()
	err := r.Create(ctx, wf)
	switch {
	case err == nil && wfe.Spec.DryRun:
	case err == nil:
		r.Metrics.ObserveCreation(r.now().Sub(began))
		r.Metrics.ObserveResolution(resolved, edges, len(wfe.Spec.Steps))
	case apierrors.IsAlreadyExists(err):
		adopted, err := r.adopt(ctx, wfe, wf.Name)
		if adopted == nil || err != nil {
			return ctrl.Result{RequeueAfter: reappliedDelay}, err
		}
		wf = adopted
	case isRefusal(err):
		r.fail(wfe, wfev1.Failure{Reason: refusalReason(err), Message: shorten("the API server refused the Workflow: " + err.Error())})
		return ctrl.Result{}, nil
	default:
		return ctrl.Result{}, fmt.Errorf("create Workflow: %w", err)
	}
	r.setStarted(wfe, wf)
	return ctrl.Result{RequeueAfter: r.timeout(wfe)}, nil
}

func (r *Reconciler) refuseLarge(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) (bool, error) {
	message, err := describeLarge(wf)
	if message == "" || err != nil {
		return false, err
	}
	setCondition(wfe, wfev1.ConditionValid, metav1.ConditionFalse, string(wfev1.ReasonWorkflowTooLarge), message)
	r.fail(wfe, wfev1.Failure{Reason: wfev1.ReasonWorkflowTooLarge, Message: message})
	return true, nil
}

// describeLarge says that a Workflow is too large to be sent; empty when it is not.
func describeLarge(wf *wfv1.Workflow) (string, error) {
	encoded, err := json.Marshal(wf)
	if err != nil {
		return "", fmt.Errorf("encode Workflow: %w", err)
	}
	if len(encoded) <= translate.MaxWorkflowBytes {
		return "", nil
	}
	return fmt.Sprintf("the Workflow would have %d bytes and at most %d are sent: use fewer steps or smaller values", len(encoded), translate.MaxWorkflowBytes), nil
}

// isRefusal reports whether the API server will refuse the same Workflow for ever.
func isRefusal(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err)
}

func refusalReason(err error) wfev1.FailureReason {
	if apierrors.IsForbidden(err) {
		return wfev1.ReasonForbidden
	}
	if apierrors.IsRequestEntityTooLargeError(err) {
		return wfev1.ReasonWorkflowTooLarge
	}
	return wfev1.ReasonEngineRefused
}

// ownWorkflow reads the Workflow of this name from the API server; it is nil when it is not the execution's.
func (r *Reconciler) ownWorkflow(ctx context.Context, wfe *wfev1.WorkflowExecution, name string) (*wfv1.Workflow, error) {
	wf := &wfv1.Workflow{}
	if err := r.Live.Get(ctx, client.ObjectKey{Namespace: wfe.Namespace, Name: name}, wf); err != nil {
		return nil, fmt.Errorf("get Workflow: %w", err)
	}
	if owner := metav1.GetControllerOf(wf); owner == nil || owner.UID != wfe.UID {
		return nil, nil
	}
	return wf, nil
}

// adopt looks at the Workflow that has our name. It returns it when it is ours, nothing when it belongs to a
// predecessor of the same name that is going away, and ends the execution when it is somebody else's.
func (r *Reconciler) adopt(ctx context.Context, wfe *wfev1.WorkflowExecution, name string) (*wfv1.Workflow, error) {
	wf := &wfv1.Workflow{}
	if err := r.Live.Get(ctx, client.ObjectKey{Namespace: wfe.Namespace, Name: name}, wf); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	owner := metav1.GetControllerOf(wf)
	switch {
	case owner != nil && owner.UID == wfe.UID:
		return wf, nil
	case wf.DeletionTimestamp != nil || owner != nil && owner.Kind == wfev1.Kind && owner.Name == wfe.Name:
		setReconciling(wfe, "PredecessorEnding", "waiting until the Workflow of an earlier WorkflowExecution of this name is gone")
		return nil, r.releaseAbandoned(ctx, client.ObjectKeyFromObject(wfe), wfe.UID)
	}
	message := fmt.Sprintf("metadata.name: a Workflow %q that belongs to somebody else is in the namespace; choose another name", name)
	setCondition(wfe, wfev1.ConditionValid, metav1.ConditionFalse, string(wfev1.ReasonInvalidSpec), message)
	r.fail(wfe, wfev1.Failure{Reason: wfev1.ReasonInvalidSpec, Message: message})
	return nil, nil
}

func (r *Reconciler) setStarted(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) {
	started := wf.CreationTimestamp
	wfe.Status.WorkflowRef = &wfev1.WorkflowReference{Name: wf.Name, UID: wf.UID}
	wfe.Status.StartTime = &started
	wfe.Status.Phase = wfev1.PhaseRunning
	// What was spent suspended before the start is no part of the run.
	wfe.Status.PauseStartTime, wfe.Status.SuspendedSeconds = nil, 0
	if r.Settings.ArgoURL != "" {
		wfe.Status.URL = fmt.Sprintf("%s/workflows/%s/%s", r.Settings.ArgoURL, wfe.Namespace, wf.Name)
	}
	setReconciling(wfe, "Running", stepsAreRunning)
}
