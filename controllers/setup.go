package controllers

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/engine"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/finished"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/selectors"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/workflows"
)

// SetupWithManager adds the indices and the watches, and the cache of the executions that have ended. An execution is
// reconciled when it changes, when one of its Workflows changes, and when the execution that it waited for leaves the
// manager's cache or no longer blocks it.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, concurrency int) error {
	if err := r.admission.AddIndices(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	ended, err := finished.NewCache(mgr, cachedNamespaces(r.settings.Namespaces), selectors.Ended())
	if err != nil {
		return err
	}
	r.Finished = ended
	building := ctrl.NewControllerManagedBy(mgr).
		Named("workflowexecution").
		For(&wfev1.WorkflowExecution{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency})
	for _, watch := range r.admission.Watches() {
		building = building.Watches(&wfev1.WorkflowExecution{}, watch)
	}
	c, err := building.Build(r)
	if err != nil {
		return err
	}
	ended.Reconciles(c)
	if err := mgr.Add(ended); err != nil {
		return err
	}
	r.engine, err = engine.New(ctx, mgr, r.Clock, func(ctx context.Context) error { return r.watchArgo(ctx, mgr, c) })
	if err != nil {
		return err
	}
	return mgr.Add(r.engine)
}

// watchArgo watches Argo's kinds, and the executions once more: each that waited for the kinds is reconciled again.
func (r *Reconciler) watchArgo(ctx context.Context, mgr ctrl.Manager, c controller.Controller) error {
	cache := mgr.GetCache()
	// A manager that starts fills this cache beside that of the executions, and not after it.
	if _, err := cache.GetInformer(ctx, &wfv1.Workflow{}, ctrlcache.BlockUntilSynced(false)); err != nil {
		return fmt.Errorf("watch Workflows: %w", err)
	}
	if err := r.admission.AddWorkflowIndex(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	sources := []source.Source{
		source.Kind[client.Object](cache, &wfv1.Workflow{}, enqueueExecution()),
		source.Kind[client.Object](cache, &wfv1.Workflow{}, r.admission.WorkflowWatch()),
		source.Kind(cache, &wfev1.WorkflowExecution{}, &handler.TypedEnqueueRequestForObject[*wfev1.WorkflowExecution]{}),
	}
	announce := func(action string) { r.Metrics.SetActions([]string{action}) }
	if scope := r.settings.catalogScope(); scope.IsCluster() {
		sources = append(sources, source.Kind[client.Object](cache, &wfv1.ClusterWorkflowTemplate{}, r.catalog.OnChange(r.Events, announce)))
	}
	if scope := r.settings.catalogScope(); scope.HasNamespaced() {
		sources = append(sources, source.Kind[client.Object](cache, &wfv1.WorkflowTemplate{}, r.catalog.OnChange(r.Events, announce)))
	}
	for _, s := range sources {
		if err := c.Watch(s); err != nil {
			return fmt.Errorf("watch Argo's kinds: %w", err)
		}
	}
	return nil
}

// enqueueExecution is the handler of the watch on Workflows. A Workflow that lost its owner is found by its label, and one that
// lost its label by its owner.
func enqueueExecution() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, wf client.Object) []reconcile.Request {
		name := wf.GetLabels()[wfev1.LabelName]
		if owner := metav1.GetControllerOf(wf); owner != nil && owner.Kind == wfev1.Kind {
			name = owner.Name
		}
		if name == "" {
			return nil
		}
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: wf.GetNamespace(), Name: name}}}
	})
}

// NewArgoServer makes a client of the Argo server at a base URL. The configuration says how to trust it and which token to
// send; its Host is not used. The error says what is not valid.
func NewArgoServer(base string, config *rest.Config) (*ArgoServer, error) {
	return workflows.NewArgoServer(base, config)
}
