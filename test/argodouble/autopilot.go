package argodouble

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

// Autopilot plays Argo's controller for all Workflows of a cluster, and keeps a ledger of what ever existed and ran.
type Autopilot struct {
	// Double is the clock.
	Double Double
	// Script says how steps end.
	Script Script
	// Pace is the time between two looks at a Workflow.
	Pace time.Duration

	client client.Client
	mu     sync.Mutex
	looked map[types.UID]time.Time
	seen   map[types.UID]string
	starts map[string]int
}

// Run plays until the context ends. It survives an API server that goes away.
func (a *Autopilot) Run(ctx context.Context, cfg *rest.Config, options ctrl.Options) error {
	a.looked, a.seen, a.starts = map[types.UID]time.Time{}, map[types.UID]string{}, map[string]int{}
	options.Metrics = metricsserver.Options{BindAddress: "0"}
	options.Controller = config.Controller{SkipNameValidation: ptr.To(true)}
	options.Cache = cache.Options{}
	mgr, err := ctrl.NewManager(cfg, options)
	if err != nil {
		return err
	}
	a.client = mgr.GetClient()
	err = ctrl.NewControllerManagedBy(mgr).Named("argodouble").For(&wfv1.Workflow{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).Complete(a)
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// Reconcile is one look at one Workflow. A copy that is behind meets a conflict, and is looked at again.
func (a *Autopilot) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	was := &wfv1.Workflow{}
	if err := a.client.Get(ctx, request.NamespacedName, was); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if wait := a.wait(was); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	wf := was.DeepCopy()
	if !a.Double.Look(wf, a.Script) {
		return ctrl.Result{}, nil
	}
	if err := a.client.Patch(ctx, wf, client.MergeFromWithOptions(was, client.MergeFromWithOptimisticLock{})); err != nil {
		return ctrl.Result{RequeueAfter: 50 * time.Millisecond}, nil //nolint:nilerr // whatever it is, Argo tries again
	}
	a.note(was, wf)
	return ctrl.Result{}, nil
}

func (a *Autopilot) wait(wf *wfv1.Workflow) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[wf.UID] = wf.Namespace + "/" + wf.Name
	return a.Pace - time.Since(a.looked[wf.UID])
}

func (a *Autopilot) note(was, wf *wfv1.Workflow) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looked[wf.UID] = time.Now()
	for id, node := range wf.Status.Nodes {
		if _, known := was.Status.Nodes[id]; !known && node.Type == wfv1.NodeTypePod {
			a.starts[wf.Namespace+"/"+node.Name]++
		}
	}
}

// Twice lists what existed or ran more than once although its name says that it is the same.
func (a *Autopilot) Twice() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var twice []string
	for node, times := range a.starts {
		if times > 1 {
			twice = append(twice, fmt.Sprintf("step %s ran %d times", node, times))
		}
	}
	existed := map[string]int{}
	for name := range maps.Values(a.seen) {
		existed[name]++
	}
	for name, times := range existed {
		if times > 1 {
			twice = append(twice, fmt.Sprintf("there were %d Workflows %s", times, name))
		}
	}
	return twice
}

// Started is how many attempts of steps ran.
func (a *Autopilot) Started() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.starts)
}
