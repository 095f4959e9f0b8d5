package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/admission"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/workflows"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// predecessorRetry is how often a re-applied execution checks whether its predecessor's Workflow is gone. Its deletion is
// watched too; this only covers one that was gone before it was seen.
const predecessorRetry = 5 * time.Second

// start takes an execution without a recorded Workflow to the one that it gets: validated, admitted, created. A Workflow may
// exist all the same, if the controller stopped before it recorded the Workflow; then that one is followed, even if the
// specification has changed. Before an execution ends or stays suspended, the Workflow is read from the API server.
func (r *Reconciler) start(ctx context.Context, wfe *wfev1.WorkflowExecution, hasPredecessor bool) (ctrl.Result, error) {
	wf, err := r.workflows.Get(ctx, client.ObjectKeyFromObject(wfe))
	if err != nil || workflows.IsOf(wf, wfe) {
		return ctrl.Result{}, r.followUnrecorded(wfe, wf, err)
	}
	untouched := wfe.Status.DeepCopy()
	result, err := r.prepare(ctx, wfe, hasPredecessor)
	if err != nil || wfe.Status.WorkflowRef != nil {
		return result, err
	}
	if wfe.Status.Phase == "" {
		wfe.Status.Phase = wfev1.PhasePending
	}
	if !wfe.Status.Phase.IsTerminal() && !wfe.Spec.Suspended {
		return result, nil
	}
	wf, err = r.workflows.GetLive(ctx, client.ObjectKeyFromObject(wfe))
	if err == nil && !workflows.IsOf(wf, wfe) {
		r.admission.Withdraw(wfe)
		return result, nil
	}
	wfe.Status = *untouched
	return ctrl.Result{}, r.followUnrecorded(wfe, wf, err)
}

// followUnrecorded records a Workflow that exists already, and what must have been true for it to be created. Its steps are
// known from the graph alone: the catalog may have changed since.
func (r *Reconciler) followUnrecorded(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, err error) error {
	if err != nil {
		return err
	}
	setInitialSteps(wfe)
	setProgress(wfe)
	setValid(wfe)
	setNamespaceReady(wfe)
	setAdmitted(wfe)
	r.setStarted(wfe, wf)
	return nil
}

func setInitialSteps(wfe *wfev1.WorkflowExecution) {
	if len(wfe.Status.Steps) == 0 {
		wfe.Status.Steps = translate.InitialSteps(&wfe.Spec)
		setProgress(wfe)
	}
}

// prepare does what comes before the creation, and the creation.
func (r *Reconciler) prepare(ctx context.Context, wfe *wfev1.WorkflowExecution, hasPredecessor bool) (ctrl.Result, error) {
	if wfe.Spec.Cancel != wfev1.CancelNone || wfe.DeletionTimestamp != nil {
		cancel(wfe, "cancelled before it started; nothing ran", r.now())
		return ctrl.Result{}, nil
	}
	planned, err := r.plan(ctx, wfe)
	if err != nil {
		return r.failInvalid(wfe, err)
	}
	setValid(wfe)
	setInitialSteps(wfe)
	pauseBeforeStart(wfe, r.now())
	if wfe.Spec.Suspended {
		setReconciling(wfe, wfev1.ReasonSuspended, "suspended before its start")
		return ctrl.Result{}, nil
	}
	if r.settings.untilStartDeadline(wfe, r.now()) <= 0 {
		fail(wfe, wfev1.Failure{Reason: wfev1.ReasonTimedOut, Message: "the execution timed out before it could start"}, r.now())
		return ctrl.Result{}, nil
	}
	if hasPredecessor {
		awaitPredecessor(wfe)
		return ctrl.Result{RequeueAfter: r.settings.untilStartDeadline(wfe, r.now())}, nil
	}
	if wait, err := r.awaitTarget(wfe); err != nil || wait > 0 || wfe.Status.Phase.IsTerminal() {
		return ctrl.Result{RequeueAfter: wait}, err
	}
	if wait, err := r.awaitNamespace(ctx, wfe, planned.workflow.Spec.ServiceAccountName); err != nil || wait > 0 || wfe.Status.Phase.IsTerminal() {
		return ctrl.Result{RequeueAfter: wait}, err
	}
	obstacle, err := r.admission.Admit(ctx, wfe)
	if err != nil {
		return ctrl.Result{}, err
	}
	if obstacle.Exists() {
		setNotAdmitted(wfe, obstacle)
		return ctrl.Result{RequeueAfter: r.settings.untilStartDeadline(wfe, r.now())}, nil
	}
	setAdmitted(wfe)
	return r.ensureWorkflow(ctx, wfe, planned)
}

// planned is an execution's Workflow, and what its translation is measured by.
type planned struct {
	workflow *wfv1.Workflow
	edges    int
	took     time.Duration
}

// plan validates the execution against the catalog in the cache and translates it. Only that is measured.
func (r *Reconciler) plan(ctx context.Context, wfe *wfev1.WorkflowExecution) (planned, error) {
	actions, err := r.catalog.Actions(ctx, wfe.Namespace, translate.Actions(&wfe.Spec))
	if err != nil {
		return planned{}, err
	}
	began := r.now()
	plan, err := translate.NewPlan(wfe, actions)
	if err != nil {
		return planned{}, err
	}
	wf := plan.Workflow(r.settings.Workflow)
	took := r.now().Sub(began)
	if err := plan.CheckSize(wf); err != nil {
		return planned{}, err
	}
	return planned{workflow: wf, edges: plan.Graph().Edges(), took: took}, nil
}

// failInvalid ends an execution that can never run; any other error is returned, to be tried again.
func (r *Reconciler) failInvalid(wfe *wfev1.WorkflowExecution, err error) (ctrl.Result, error) {
	var invalid *translate.InvalidError
	if !errors.As(err, &invalid) {
		return ctrl.Result{}, err
	}
	first := invalid.First()
	message := shorten(invalid.Error())
	if first.Reason == wfev1.ReasonUnknownAction && r.engine.IsNew() {
		setReconciling(wfe, string(first.Reason), message)
		return ctrl.Result{RequeueAfter: applyRetry}, nil
	}
	setInvalid(wfe, first.Reason, message)
	fail(wfe, wfev1.Failure{Step: first.Step, Reason: first.Reason, Message: message}, r.now())
	return ctrl.Result{}, nil
}

// ensureWorkflow creates the Workflow, or adopts the one that an earlier attempt created. A Workflow that the API server will
// never accept, is too large, or whose name belongs to another owner ends the execution.
func (r *Reconciler) ensureWorkflow(ctx context.Context, wfe *wfev1.WorkflowExecution, planned planned) (ctrl.Result, error) {
	wf := planned.workflow
	if tooLarge, err := describeLarge(wf); tooLarge != "" || err != nil {
		if err == nil {
			setInvalid(wfe, wfev1.ReasonWorkflowTooLarge, tooLarge)
			fail(wfe, wfev1.Failure{Reason: wfev1.ReasonWorkflowTooLarge, Message: tooLarge}, r.now())
		}
		return ctrl.Result{}, err
	}
	if err := r.checkNotStale(ctx, wfe); err != nil {
		return ctrl.Result{}, err
	}
	admission.MarkTarget(wf, wfe)
	began := r.now()
	err := r.workflows.Create(ctx, wf)
	switch {
	case err == nil && wfe.Spec.DryRun:
	case err == nil:
		r.Metrics.ObserveCreation(r.now().Sub(began))
		r.Metrics.ObserveResolution(planned.took, planned.edges, len(wfe.Spec.Steps))
	case apierrors.IsAlreadyExists(err):
		adopted, err := r.adopt(ctx, wfe)
		if adopted == nil || err != nil {
			return ctrl.Result{RequeueAfter: predecessorRetry}, err
		}
		wf = adopted
	case isRefusal(err):
		fail(wfe, wfev1.Failure{Reason: refusalReason(err), Message: shorten("the API server refused the Workflow: " + err.Error())}, r.now())
		return ctrl.Result{}, nil
	default:
		return ctrl.Result{}, fmt.Errorf("create Workflow: %w", err)
	}
	r.setStarted(wfe, wf)
	return ctrl.Result{RequeueAfter: r.settings.timeout(wfe)}, nil
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

// isRefusal reports whether the API server will never accept the same Workflow.
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

// adopt reads the Workflow that has the execution's name. It returns it when it is the execution's own, and nothing when it
// belongs to a predecessor of the same name that is being deleted; any other owner ends the execution.
func (r *Reconciler) adopt(ctx context.Context, wfe *wfev1.WorkflowExecution) (*wfv1.Workflow, error) {
	wf, err := r.workflows.GetLive(ctx, client.ObjectKeyFromObject(wfe))
	if wf == nil || err != nil {
		return nil, err
	}
	switch {
	case workflows.IsOf(wf, wfe):
		return wf, nil
	case wf.DeletionTimestamp != nil || workflows.IsPredecessor(wf, wfe):
		awaitPredecessor(wfe)
		_, err := r.retireOthers(ctx, wfe)
		return nil, err
	}
	message := fmt.Sprintf("metadata.name: a Workflow %q of another owner is in the namespace; choose another name", wf.Name)
	setInvalid(wfe, wfev1.ReasonInvalidSpec, message)
	fail(wfe, wfev1.Failure{Reason: wfev1.ReasonInvalidSpec, Message: message}, r.now())
	return nil, nil
}

func (r *Reconciler) setStarted(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) {
	started := wf.CreationTimestamp
	wfe.Status.WorkflowRef = &wfev1.WorkflowReference{Name: wf.Name, UID: wf.UID}
	wfe.Status.StartTime = &started
	wfe.Status.Phase = wfev1.PhaseRunning
	// The time that the execution was suspended before its start is no part of the run.
	wfe.Status.PauseStartTime, wfe.Status.SuspendedSeconds = nil, 0
	if r.settings.ArgoURL != "" {
		wfe.Status.URL = fmt.Sprintf("%s/workflows/%s/%s", r.settings.ArgoURL, wfe.Namespace, wf.Name)
	}
	setReconciling(wfe, wfev1.ReasonRunning, stepsAreRunning)
}
