package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/admission"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/catalog"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/engine"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/preflight"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/staleness"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/workflows"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
)

// conflictDelay is how long a reconcile whose write met a newer object waits for the cache to show it.
const conflictDelay = 100 * time.Millisecond

// Dependencies are what a Reconciler works with.
type Dependencies struct {
	// Client reads from the manager's cache, and writes.
	Client client.Client
	// Live reads from the API server where a stale answer could run something twice.
	Live client.Reader
	// Finished reads the executions that have ended, which the Client does not show; SetupWithManager sets it.
	Finished Finished
	// Clock is the only source of the present time.
	Clock clock.PassiveClock
	// Events records what a user should know.
	Events events.EventRecorder
	// Metrics counts what was recorded.
	Metrics *metrics.Recorder
	// ArgoServer returns the nodes that Argo keeps in a database; nil where there is none.
	ArgoServer *ArgoServer
}

// Finished is what is known of the executions that have ended.
type Finished interface {
	// Get reads one of them; the error is NotFound when it is not known.
	Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error
	// ParallelEfficiency is the metric, at a time; false when it is not known.
	ParallelEfficiency(now time.Time) (float64, bool)
}

// ArgoServer is a client of Argo's own API server.
type ArgoServer = workflows.ArgoServer

// Reconciler drives WorkflowExecutions to their end. It owns no state: each of its rooms owns its own.
type Reconciler struct {
	Dependencies
	settings Settings

	admission *admission.Gate
	catalog   *catalog.Catalog
	engine    *engine.Engine
	preflight *preflight.Checker
	statuses  *staleness.Statuses
	workflows *workflows.Store
}

// NewReconciler makes a Reconciler. A manager runs it after SetupWithManager.
func NewReconciler(d Dependencies, settings Settings) *Reconciler {
	statuses := &staleness.Statuses{}
	return &Reconciler{
		Dependencies: d,
		settings:     settings,
		admission: admission.NewGate(d.Client, d.Live, d.Clock, statuses,
			admission.Options{MaxLivePerNamespace: settings.MaxLivePerNamespace, Namespaces: settings.Namespaces}),
		catalog:   catalog.New(d.Client, d.Live, settings.catalogScope()),
		preflight: preflight.New(d.Client, d.Live, d.Clock),
		statuses:  statuses,
		workflows: workflows.NewStore(d.Client, d.Live, d.Clock, d.ArgoServer),
	}
}

// Reconcile brings one execution a step further. Errors are those of the API server and are retried with a backoff; what is
// wrong with an execution itself ends in its status.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	wfe := &wfev1.WorkflowExecution{}
	result, err := ctrl.Result{}, r.Client.Get(ctx, req.NamespacedName, wfe)
	switch {
	case apierrors.IsNotFound(err):
		result, err = r.reconcileEnded(ctx, req.NamespacedName)
	case err == nil && !r.statuses.IsStale(wfe): // the watch event for the controller's own write requeues a stale one
		result, err = r.reconcile(ctx, wfe)
	}
	if errors.Is(err, errDeleted) { // the watch event for its deletion requeues it
		return ctrl.Result{}, nil
	}
	if apierrors.IsConflict(err) {
		log.FromContext(ctx).V(1).Info("Met a newer object", "conflict", err.Error())
		return ctrl.Result{RequeueAfter: conflictDelay}, nil
	}
	return result, err
}

// reconcileEnded reconciles an execution that is not among those that have not ended: it has ended, or no longer exists, or is
// not in the cache yet. Where more is to be done than to clean up, the execution is read from the API server, since one
// cache may be older than the other.
func (r *Reconciler) reconcileEnded(ctx context.Context, key types.NamespacedName) (ctrl.Result, error) {
	r.statuses.Clear(key)
	if err := r.admission.Forget(ctx, key); err != nil {
		return ctrl.Result{}, fmt.Errorf("forget the admission: %w", err)
	}
	wfe := &wfev1.WorkflowExecution{}
	err := r.Finished.Get(ctx, key, wfe)
	if err == nil && wfe.Status.ObservedGeneration == wfe.Generation {
		return r.cleanUp(ctx, wfe)
	}
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("get the WorkflowExecution: %w", err)
	}
	held, heldErr := r.held(ctx, key)
	if apierrors.IsNotFound(err) && len(held) == 0 || heldErr != nil {
		return ctrl.Result{}, heldErr
	}
	err = r.Live.Get(ctx, key, wfe)
	switch {
	case apierrors.IsNotFound(err):
		wait, err := r.retire(ctx, held, "")
		return ctrl.Result{RequeueAfter: wait}, err
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("get the WorkflowExecution: %w", err)
	case !wfe.Status.Phase.IsTerminal(): // the watch event requeues it; until then, its rivals would not see its lock
		return ctrl.Result{}, nil
	}
	return r.reconcile(ctx, wfe)
}

func (r *Reconciler) reconcile(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	if wfe.Status.Phase.IsTerminal() && wfe.Status.ObservedGeneration == wfe.Generation {
		return r.cleanUp(ctx, wfe) // most executions, most of the time: there is nothing to compare
	}
	next := wfe.DeepCopy()
	observeGeneration(next)
	if wfe.Status.Phase.IsTerminal() {
		if err := r.updateStatus(ctx, wfe, next); err != nil {
			return ctrl.Result{}, err
		}
		return r.cleanUp(ctx, next)
	}
	result, act, err := r.advance(ctx, next)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.updateStatus(ctx, wfe, next); err != nil {
		return ctrl.Result{}, err
	}
	if next.Status.Phase.IsTerminal() {
		return r.cleanUp(ctx, next)
	}
	if act != nil {
		return result, act(ctx)
	}
	return result, nil
}

// action is what is to be done once the status that calls for it is recorded.
type action func(ctx context.Context) error

// advance derives the next status of an execution that has not ended, and what is to be done about it.
func (r *Reconciler) advance(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, action, error) {
	if !r.engine.IsAvailable() {
		result, err := r.awaitEngine(ctx, wfe)
		return result, nil, err
	}
	noteEngineAvailable(wfe)
	predecessors, err := r.retireOthers(ctx, wfe)
	if err != nil {
		return ctrl.Result{}, nil, err
	}
	result, act, err := r.advanceOwn(ctx, wfe, predecessors > 0)
	result.RequeueAfter = earliest(result.RequeueAfter, predecessors)
	return result, act, err
}

// advanceOwn is advance for what is the execution's own. Nothing of it starts while a predecessor's Workflow is being stopped.
func (r *Reconciler) advanceOwn(ctx context.Context, wfe *wfev1.WorkflowExecution, hasPredecessor bool) (ctrl.Result, action, error) {
	switch {
	case wfe.Status.WorkflowRef == nil:
		result, err := r.start(ctx, wfe, hasPredecessor)
		return result, nil, err
	case wfe.Status.RollbackRef != nil:
		return r.follow(ctx, wfe, rollbackRun(wfe))
	case wfe.Status.RollbackStartTime != nil:
		return r.retryRollback(ctx, wfe)
	}
	return r.follow(ctx, wfe, mainRun(wfe))
}

func (r *Reconciler) now() time.Time { return r.Clock.Now() }
