package finished

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
)

// Cache holds the executions that have ended. It is a Runnable of the manager, started on the leader.
type Cache struct {
	cache      cache.Cache
	controller controller.Controller
	efficiency metrics.Efficiency
	filled     atomic.Bool
}

// NewCache makes the cache of the executions that a selector selects. It holds nothing until the manager starts it.
func NewCache(mgr ctrl.Manager, namespaces map[string]cache.Config, ended fields.Selector) (*Cache, error) {
	c, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		DefaultNamespaces: namespaces,
		ByObject:          map[client.Object]cache.ByObject{&wfev1.WorkflowExecution{}: {Field: ended, Transform: Transform}},
	})
	if err != nil {
		return nil, fmt.Errorf("make a cache of the executions that have ended: %w", err)
	}
	return &Cache{cache: c}, nil
}

// Reconciles sets the controller that cleans up what is in the cache.
func (c *Cache) Reconciles(by controller.Controller) { c.controller = by }

// Start fills the cache, and then lets the controller reconcile what is in it.
func (c *Cache) Start(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() { stopped <- c.cache.Start(ctx) }()
	if err := c.watch(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("watch the executions that have ended: %w", err)
	}
	return <-stopped
}

// watch adds the source to the controller once the cache is filled: a reconcile then finds there what it is about, and a
// controller that starts does not wait for it.
func (c *Cache) watch(ctx context.Context) error {
	informer, err := c.cache.GetInformer(ctx, &wfev1.WorkflowExecution{})
	if err != nil {
		return err
	}
	added, err := informer.AddEventHandler(c.account())
	if err != nil {
		return err
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), added.HasSynced) {
		return ctx.Err()
	}
	c.filled.Store(true)
	return c.controller.Watch(source.Kind(c.cache, &wfev1.WorkflowExecution{}, enqueueLast()))
}

// account adds each execution that ends to the efficiency. One that is deleted stays in it: it ended all the same.
func (c *Cache) account() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { c.efficiency.Add(object.(*wfev1.WorkflowExecution)) },
	}
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// enqueueLast enqueues executions that have ended behind all others, those that a controller finds when it starts among
// them.
func enqueueLast() handler.TypedEventHandler[*wfev1.WorkflowExecution, reconcile.Request] {
	last := 2 * handler.LowPriority
	enqueue := func(wfe *wfev1.WorkflowExecution, q queue) {
		request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(wfe)}
		if ordered, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
			ordered.AddWithOpts(priorityqueue.AddOpts{Priority: &last}, request)
			return
		}
		q.Add(request)
	}
	return handler.TypedFuncs[*wfev1.WorkflowExecution, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*wfev1.WorkflowExecution], q queue) {
			enqueue(e.Object, q)
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*wfev1.WorkflowExecution], q queue) {
			enqueue(e.ObjectNew, q)
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*wfev1.WorkflowExecution], q queue) {
			enqueue(e.Object, q)
		},
	}
}

// Get reads what is kept of an execution that has ended. The error is NotFound also while the cache is not filled.
func (c *Cache) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if !c.filled.Load() {
		return apierrors.NewNotFound(wfev1.GroupVersion.WithResource("workflowexecutions").GroupResource(), key.Name)
	}
	return c.cache.Get(ctx, key, object, options...)
}

// ParallelEfficiency is that of the executions that have ended; false also while the cache is not filled.
func (c *Cache) ParallelEfficiency(now time.Time) (float64, bool) {
	if !c.filled.Load() {
		return 0, false
	}
	return c.efficiency.Ratio(now)
}
