package simulator

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// Controller plays Argo's controller for all Workflows of a cluster, and records which Workflows and steps existed.
type Controller struct {
	// Argo makes the changes.
	Argo Argo
	// Script decides how steps end.
	Script Script
	// Pace is the shortest time between two changes of one Workflow.
	Pace time.Duration

	client    client.Client
	mu        sync.Mutex
	changed   map[types.UID]time.Time
	workflows map[types.UID]string
	starts    map[string]int
}

// Run plays until the context ends. It survives an API server that goes away.
func (c *Controller) Run(ctx context.Context, cfg *rest.Config, options ctrl.Options) error {
	c.changed, c.workflows, c.starts = map[types.UID]time.Time{}, map[types.UID]string{}, map[string]int{}
	options.Metrics = metricsserver.Options{BindAddress: "0"}
	options.Controller = config.Controller{SkipNameValidation: ptr.To(true)}
	options.Cache = cache.Options{}
	mgr, err := ctrl.NewManager(cfg, options)
	if err != nil {
		return err
	}
	c.client = mgr.GetClient()
	err = ctrl.NewControllerManagedBy(mgr).Named("argo-simulator").For(&wfv1.Workflow{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).Complete(c)
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// Reconcile operates one Workflow once. A stale copy causes a conflict, and is operated again.
func (c *Controller) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	before := &wfv1.Workflow{}
	if err := c.client.Get(ctx, request.NamespacedName, before); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if wait := c.wait(before); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	wf := before.DeepCopy()
	if !c.Argo.Operate(wf, c.Script) {
		return ctrl.Result{}, nil
	}
	if err := c.client.Patch(ctx, wf, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return ctrl.Result{RequeueAfter: 50 * time.Millisecond}, nil //nolint:nilerr // Argo retries after any error
	}
	c.record(before, wf)
	return ctrl.Result{}, nil
}

func (c *Controller) wait(wf *wfv1.Workflow) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.workflows[wf.UID] = wf.Namespace + "/" + wf.Name
	return c.Pace - time.Since(c.changed[wf.UID])
}

func (c *Controller) record(before, wf *wfv1.Workflow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed[wf.UID] = time.Now()
	for id, node := range wf.Status.Nodes {
		if _, known := before.Status.Nodes[id]; !known && node.Type == wfv1.NodeTypePod {
			c.starts[wf.Namespace+"/"+node.Name]++
		}
	}
}

// Duplicates lists the Workflow names that existed more than once and the attempts of steps that started more than once.
func (c *Controller) Duplicates() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var duplicates []string
	for node, times := range c.starts {
		if times > 1 {
			duplicates = append(duplicates, fmt.Sprintf("step %s started %d times", node, times))
		}
	}
	existed := map[string]int{}
	for name := range maps.Values(c.workflows) {
		existed[name]++
	}
	for name, times := range existed {
		if times > 1 {
			duplicates = append(duplicates, fmt.Sprintf("Workflow %s existed %d times", name, times))
		}
	}
	return duplicates
}

// StartedAttempts is the number of attempts of steps that started.
func (c *Controller) StartedAttempts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.starts)
}
