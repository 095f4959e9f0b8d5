package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/selectors"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
)

// NewCache makes caches for managers. They leave out what the controller never reads: other namespaces, Workflows of other
// owners, templates that are not actions, and fields. The executions that have ended are in a cache of their own. Argo's
// kinds are known to the cache also where they are not installed, since a cache resolves all its kinds when it is made;
// nothing reads them before they are served.
func NewCache(settings Settings) cache.NewCacheFunc {
	return func(config *rest.Config, options cache.Options) (cache.Cache, error) {
		options.DefaultNamespaces = cachedNamespaces(settings.Namespaces)
		options.ByObject = map[client.Object]cache.ByObject{
			&wfev1.WorkflowExecution{}:      {Field: selectors.Unended(), Transform: transformExecution},
			&wfv1.Workflow{}:                {Label: selectors.Unobserved(), Transform: transformWorkflow},
			&wfv1.WorkflowTemplate{}:        {Label: selectors.Actions(), Namespaces: cachedNamespaces(settings.catalogScope().TemplateNamespaces())},
			&wfv1.ClusterWorkflowTemplate{}: {Label: selectors.Actions()},
		}
		options.DefaultTransform = cache.TransformStripManagedFields()
		argo := meta.NewDefaultRESTMapper(nil)
		argo.Add(wfv1.SchemeGroupVersion.WithKind("Workflow"), meta.RESTScopeNamespace)
		argo.Add(wfv1.SchemeGroupVersion.WithKind("WorkflowTemplate"), meta.RESTScopeNamespace)
		argo.Add(wfv1.SchemeGroupVersion.WithKind("ClusterWorkflowTemplate"), meta.RESTScopeRoot)
		options.Mapper = meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{argo, options.Mapper}}
		return cache.New(config, options)
	}
}

// cachedNamespaces is nil for all namespaces.
func cachedNamespaces(names []string) map[string]cache.Config {
	if len(names) == 0 {
		return nil
	}
	cached := make(map[string]cache.Config, len(names))
	for _, name := range names {
		cached[name] = cache.Config{}
	}
	return cached
}

// Source returns what the gauges are computed from: the caches alone, and executions that have ended cost nothing.
func (r *Reconciler) Source() *Source { return &Source{reconciler: r} }

// Source implements metrics.Source.
type Source struct{ reconciler *Reconciler }

// IsEngineAvailable reports whether Argo Workflows is installed and watched.
func (s *Source) IsEngineAvailable() bool { return s.reconciler.engine.IsAvailable() }

// Catalog returns the names of the actions and the number of invalid templates. They are unknown while Argo is not installed.
func (s *Source) Catalog(ctx context.Context) (metrics.Catalog, error) {
	if !s.IsEngineAvailable() {
		return metrics.Catalog{}, errors.New("Argo Workflows is not installed") //nolint:staticcheck // a name
	}
	actions, invalid, err := s.reconciler.catalog.List(ctx)
	return metrics.Catalog{Actions: actions, Broken: invalid}, err
}

// VisitUnended visits every execution that has not ended.
func (s *Source) VisitUnended(ctx context.Context, visit func(*wfev1.WorkflowExecution)) error {
	list := &wfev1.WorkflowExecutionList{}
	if err := s.reconciler.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list executions: %w", err)
	}
	for i := range list.Items {
		visit(&list.Items[i])
	}
	return nil
}

// ParallelEfficiency is that of the executions that have ended.
func (s *Source) ParallelEfficiency(now time.Time) (float64, bool) {
	return s.reconciler.Finished.ParallelEfficiency(now)
}
