package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// conflictDelay is how long a reconcile whose write met a newer object waits for the cache to show it.
const conflictDelay = 100 * time.Millisecond

// Settings are the choices of an installation that the reconciler needs.
type Settings struct {
	// Workflow shapes the Workflows that are created.
	Workflow translate.Options
	// DefaultTimeout bounds an execution that sets no timeoutSeconds; at least one second.
	DefaultTimeout time.Duration
	// NamespacedActions lets WorkflowTemplates of an execution's namespace be actions. Where both have an action, the
	// namespace's wins.
	NamespacedActions bool
	// Namespaces are where executions are driven; none means everywhere.
	Namespaces []string
	// CatalogNamespace is whose WorkflowTemplates are the catalog; empty for the ClusterWorkflowTemplates.
	CatalogNamespace string
	// MaxLivePerNamespace bounds the executions of one namespace that have started and not ended, dry runs among them; zero
	// for no bound.
	MaxLivePerNamespace int
	// ArgoURL is the base URL of the Argo UI for status.url; empty leaves it out.
	ArgoURL string
}

// Reconciler drives WorkflowExecutions to their end.
type Reconciler struct {
	client.Client
	// Live reads from the API server where a stale answer could run something twice.
	Live client.Reader
	// Ended tells of the executions that have ended, which the Client does not show; SetupWithManager sets it.
	Ended Ended
	// Clock tells the time; the pure packages have none.
	Clock clock.PassiveClock
	// Events records what a user should know.
	Events events.EventRecorder
	// Metrics counts what was recorded.
	Metrics *metrics.Recorder
	// Settings are the installation's choices.
	Settings Settings
	// ArgoServer tells the nodes that Argo keeps in a database; nil where there is none.
	ArgoServer *ArgoServer

	engine *engine
	locks  locks
	// written is of Workflows, recorded of the statuses of executions.
	written    written
	recorded   written
	fresh      fresh
	silences   silences
	preflights preflights
	told       told
}

// Reconcile brings one execution a step further. Errors are those of the API server and are retried with a backoff;
// what is wrong with an execution itself ends in its status.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	wfe := &wfev1.WorkflowExecution{}
	result, err := ctrl.Result{}, r.Get(ctx, req.NamespacedName, wfe)
	switch {
	case apierrors.IsNotFound(err):
		result, err = r.reconcileEnded(ctx, req.NamespacedName)
	case err == nil && !r.recorded.isBehind(wfe): // else what we recorded will be seen
		result, err = r.reconcile(ctx, wfe)
	}
	if errors.Is(err, errGone) { // its deletion will be seen
		return ctrl.Result{}, nil
	}
	if apierrors.IsConflict(err) {
		log.FromContext(ctx).V(1).Info("met a newer object", "conflict", err.Error())
		return ctrl.Result{RequeueAfter: conflictDelay}, nil
	}
	return result, err
}

// reconcileEnded looks at an execution that is not among those that have not ended. It has ended, or is gone, or is not seen
// yet; and if there is more to do than to settle it, the API server says which, since one cache may be behind the other.
func (r *Reconciler) reconcileEnded(ctx context.Context, key types.NamespacedName) (ctrl.Result, error) {
	r.recorded.forget(key)
	r.fresh.forget(key)
	if err := r.forgetLocks(ctx, key); err != nil {
		return ctrl.Result{}, fmt.Errorf("forget the locks: %w", err)
	}
	wfe := &wfev1.WorkflowExecution{}
	err := r.Ended.Get(ctx, key, wfe)
	if err == nil && wfe.Status.ObservedGeneration == wfe.Generation {
		return r.settle(ctx, wfe)
	}
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("get the WorkflowExecution: %w", err)
	}
	if apierrors.IsNotFound(err) {
		if held, err := r.held(ctx, key, ""); err != nil || len(held) == 0 {
			return ctrl.Result{}, err
		}
	}
	err = r.Live.Get(ctx, key, wfe)
	switch {
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, r.releaseAbandoned(ctx, key, "")
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("get the WorkflowExecution: %w", err)
	case !wfe.Status.Phase.IsTerminal(): // the cache will show it; before that, others would not see that it holds a lock
		return ctrl.Result{}, nil
	}
	return r.reconcile(ctx, wfe)
}

func (r *Reconciler) reconcile(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	if wfe.Status.Phase.IsTerminal() && wfe.Status.ObservedGeneration == wfe.Generation {
		return r.settle(ctx, wfe) // most executions, most of the time: there is nothing to compare
	}
	next := wfe.DeepCopy()
	observe(next)
	if wfe.Status.Phase.IsTerminal() {
		if err := r.record(ctx, wfe, next); err != nil {
			return ctrl.Result{}, err
		}
		return r.settle(ctx, next)
	}
	result, act, err := r.advance(ctx, next)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.record(ctx, wfe, next); err != nil {
		return ctrl.Result{}, err
	}
	if next.Status.Phase.IsTerminal() {
		return r.settle(ctx, next)
	}
	if act != nil {
		return result, act(ctx)
	}
	return result, nil
}

// observe says that the status is about the present generation. So is every condition: what can be edited changes none of
// those that hold, and kubectl wait passes over one of an earlier generation.
func observe(wfe *wfev1.WorkflowExecution) {
	wfe.Status.ObservedGeneration = wfe.Generation
	for i := range wfe.Status.Conditions {
		wfe.Status.Conditions[i].ObservedGeneration = wfe.Generation
	}
}

// action is what is to be done once the status that calls for it is recorded.
type action func(ctx context.Context) error

// advance derives the next status of an execution that has not ended, and what is to be done about it.
func (r *Reconciler) advance(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, action, error) {
	if !r.engine.isAvailable() {
		awaitEngine(wfe)
		return ctrl.Result{}, nil, nil
	}
	if meta.IsStatusConditionFalse(wfe.Status.Conditions, wfev1.ConditionEngineAvailable) {
		setCondition(wfe, wfev1.ConditionEngineAvailable, metav1.ConditionTrue, "Available", "Argo Workflows is installed")
	}
	if wfe.Status.WorkflowRef == nil {
		result, err := r.start(ctx, wfe)
		return result, nil, err
	}
	if wfe.Status.RollbackRef != nil {
		return r.followRollback(ctx, wfe)
	}
	return r.follow(ctx, wfe)
}

func (r *Reconciler) now() time.Time { return r.Clock.Now() }

// timeout is the bound on an execution's run.
func (r *Reconciler) timeout(wfe *wfev1.WorkflowExecution) time.Duration {
	if wfe.Spec.TimeoutSeconds != nil {
		return time.Duration(*wfe.Spec.TimeoutSeconds) * time.Second
	}
	return r.Settings.DefaultTimeout
}
