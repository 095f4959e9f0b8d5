package controllers

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
)

// Ended is what is known of the executions that have ended.
type Ended interface {
	// Get reads one of them; the error is that of an object that is not there when it is not known.
	Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error
	// ParallelEfficiency is the metric, at a time; false when it is not known.
	ParallelEfficiency(now time.Time) (float64, bool)
}

// ended is the cache of the executions that have ended. There may be very many, and nothing about them is urgent: it is
// filled once the others have been looked at, and keeps of each what settling it and the gauges need. It is a Runnable of
// the manager, and knows of nothing until it is filled.
type ended struct {
	cache      cache.Cache
	controller controller.Controller
	efficiency metrics.Efficiency

	turn   chan struct{} // closed when it is its turn
	once   sync.Once
	filled atomic.Bool
}

// longestWait is how long what has ended waits for its turn, at most: there may always be something else.
const longestWait = time.Minute

// newEnded makes the cache, which takes part in nothing until the manager starts it.
func newEnded(mgr ctrl.Manager, settings Settings) (*ended, error) {
	c, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		DefaultNamespaces: cachedNamespaces(settings.Namespaces),
		ByObject:          map[client.Object]cache.ByObject{&wfev1.WorkflowExecution{}: {Field: inPhases(wfev1.Phase.IsTerminal), Transform: keepEnded}},
	})
	if err != nil {
		return nil, fmt.Errorf("make a cache of what has ended: %w", err)
	}
	return &ended{cache: c, turn: make(chan struct{})}, nil
}

// Start fills the cache when it is its turn, and then lets the controller look at what is in it.
func (e *ended) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-e.turn:
	case <-time.After(longestWait):
	}
	stopped := make(chan error, 1)
	go func() { stopped <- e.cache.Start(ctx) }()
	if err := e.watch(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("watch what has ended: %w", err)
	}
	return <-stopped
}

// watch lets the controller look at what the cache has once it is filled, so that it finds there what it is to look at.
func (e *ended) watch(ctx context.Context) error {
	informer, err := e.cache.GetInformer(ctx, &wfev1.WorkflowExecution{})
	if err != nil {
		return err
	}
	added, err := informer.AddEventHandler(e.account())
	if err != nil {
		return err
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), added.HasSynced) {
		return ctx.Err()
	}
	e.filled.Store(true)
	return e.controller.Watch(source.Kind(e.cache, &wfev1.WorkflowExecution{}, &handler.TypedEnqueueRequestForObject[*wfev1.WorkflowExecution]{}))
}

// account keeps the account of the efficiency by what happens to the cache.
func (e *ended) account() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { e.efficiency.Add(object.(*wfev1.WorkflowExecution)) },
		UpdateFunc: func(before, after any) {
			e.efficiency.Replace(before.(*wfev1.WorkflowExecution), after.(*wfev1.WorkflowExecution))
		},
		DeleteFunc: func(object any) {
			if missed, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = missed.Obj
			}
			if wfe, ok := object.(*wfev1.WorkflowExecution); ok {
				e.efficiency.Remove(wfe)
			}
		},
	}
}

// lastOfAll is looked at when nothing else is left of what the controller found when it started.
var lastOfAll = reconcile.Request{}

// afterTheOthers puts lastOfAll behind everything in the queue.
func afterTheOthers() source.Source {
	return source.Func(func(_ context.Context, q queue) error {
		if ordered, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
			behind := 2 * handler.LowPriority
			ordered.AddWithOpts(priorityqueue.AddOpts{Priority: &behind}, lastOfAll)
			return nil
		}
		q.Add(lastOfAll)
		return nil
	})
}

// notice waits for lastOfAll among what a reconciler is asked to look at.
func (e *ended) notice(r reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
		if request == lastOfAll {
			e.once.Do(func() { close(e.turn) })
			return reconcile.Result{}, nil
		}
		return r.Reconcile(ctx, request)
	})
}

// Get reads what is known of an execution that has ended.
func (e *ended) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if !e.filled.Load() {
		return apierrors.NewNotFound(wfev1.GroupVersion.WithResource("workflowexecutions").GroupResource(), key.Name)
	}
	return e.cache.Get(ctx, key, object, options...)
}

// ParallelEfficiency is that of the executions that have ended; false also while they are not known.
func (e *ended) ParallelEfficiency(now time.Time) (float64, bool) {
	if !e.filled.Load() {
		return 0, false
	}
	return e.efficiency.Ratio(now)
}
