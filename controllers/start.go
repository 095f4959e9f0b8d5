package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/admission"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/workflows"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// predecessorRetry is how often a re-applied execution checks whether its predecessor's Workflow is gone. Its deletion is
	// watched too; this only covers one that was gone before it was seen.
	predecessorRetry = 5 * time.Second
	// applyGrace is how long after its creation an execution waits for what it needs and does not exist yet: when everything is
	// applied at once, the order is not the user's choice. applyRetry is how often it checks.
	applyGrace = 15 * time.Second
	applyRetry = 3 * time.Second
)

// start takes an execution without a recorded Workflow to the one that it gets: validated, admitted, created. A Workflow may
// exist all the same, if its creator died before recording it; then that one is followed, whatever the specification asks
// for by now. Before the execution ends, or is left waiting by its user's wish, the API server is read for it.
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

// awaitEngine records that Argo's kinds are not served. The watch that begins once they are reconciles the execution again;
// cancellation and timeout work meanwhile.
func (r *Reconciler) awaitEngine(wfe *wfev1.WorkflowExecution) ctrl.Result {
	if wfe.Status.Phase == "" {
		wfe.Status.Phase = wfev1.PhasePending
	}
	message := "Argo Workflows is not installed in the cluster: its CustomResourceDefinitions are missing"
	setCondition(wfe, wfev1.ConditionEngineAvailable, metav1.ConditionFalse, string(wfev1.ReasonEngineUnavailable), message)
	wait := r.untilStartDeadline(wfe)
	if wfe.Status.WorkflowRef != nil {
		wait = r.untilDeadline(wfe)
	}
	switch {
	case isCancelled(wfe) && wfe.Status.WorkflowRef == nil:
		cancel(wfe, "cancelled before it started; nothing ran", r.now())
	case wait <= 0 && wfe.Status.Failure != nil:
		fail(wfe, *wfe.Status.Failure, r.now())
	case wait <= 0:
		fail(wfe, wfev1.Failure{Reason: wfev1.ReasonEngineUnavailable, Message: message}, r.now())
	default:
		setReconciling(wfe, string(wfev1.ReasonEngineUnavailable), message)
		return ctrl.Result{RequeueAfter: wait}
	}
	return ctrl.Result{}
}

// awaitPredecessor records that a Workflow of an earlier execution of the same name is being stopped.
func awaitPredecessor(wfe *wfev1.WorkflowExecution) {
	if wfe.Status.Phase == "" {
		wfe.Status.Phase = wfev1.PhasePending
	}
	setReconciling(wfe, wfev1.ReasonPredecessorEnding, "waiting until the Workflow of an earlier WorkflowExecution of this name has stopped")
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
	if r.untilStartDeadline(wfe) <= 0 {
		fail(wfe, wfev1.Failure{Reason: wfev1.ReasonTimedOut, Message: "the execution timed out before it could start"}, r.now())
		return ctrl.Result{}, nil
	}
	if hasPredecessor {
		awaitPredecessor(wfe)
		return ctrl.Result{RequeueAfter: r.untilStartDeadline(wfe)}, nil
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
		return ctrl.Result{RequeueAfter: r.untilStartDeadline(wfe)}, nil
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
	if err := r.checkFresh(ctx, wfe); err != nil {
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
	owner := metav1.GetControllerOf(wf)
	switch {
	case workflows.IsOf(wf, wfe):
		return wf, nil
	case wf.DeletionTimestamp != nil || owner != nil && owner.Kind == wfev1.Kind && owner.Name == wfe.Name:
		awaitPredecessor(wfe)
		_, err := r.retirePredecessors(ctx, wfe)
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
