package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// The indices of the cache: indexTarget finds executions by targetKey, indexSlot by slotOf.
const (
	indexTarget = "target"
	indexSlot   = "slot"
)

// NewCache makes caches for managers. They keep out of memory what is nobody's business of ours: other namespaces, other
// people's Workflows, templates that are not actions, and of the others what is never read. What has ended is in a cache of
// its own, which the Reconciler makes. They know Argo's kinds also where they are not installed, since a cache asks about
// all its kinds when it is made; nothing reads them before they are.
func NewCache(settings Settings) cache.NewCacheFunc {
	return func(config *rest.Config, options cache.Options) (cache.Cache, error) {
		return newCache(settings, config, options)
	}
}

func newCache(settings Settings, config *rest.Config, options cache.Options) (cache.Cache, error) {
	options.DefaultNamespaces = cachedNamespaces(settings.Namespaces)
	options.ByObject = map[client.Object]cache.ByObject{
		&wfev1.WorkflowExecution{}:      {Field: unended(), Transform: keepExecution},
		&wfv1.Workflow{}:                {Label: unobserved(), Transform: keepWorkflow},
		&wfv1.WorkflowTemplate{}:        {Label: actions(), Namespaces: cachedNamespaces(settings.templateNamespaces())},
		&wfv1.ClusterWorkflowTemplate{}: {Label: actions()},
	}
	options.DefaultTransform = cache.TransformStripManagedFields()
	argo := meta.NewDefaultRESTMapper(nil)
	argo.Add(wfv1.SchemeGroupVersion.WithKind("Workflow"), meta.RESTScopeNamespace)
	argo.Add(wfv1.SchemeGroupVersion.WithKind("WorkflowTemplate"), meta.RESTScopeNamespace)
	argo.Add(wfv1.SchemeGroupVersion.WithKind("ClusterWorkflowTemplate"), meta.RESTScopeRoot)
	options.Mapper = meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{argo, options.Mapper}}
	return cache.New(config, options)
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

// unended selects the executions that have not ended.
func unended() fields.Selector {
	return inPhases(func(phase wfev1.Phase) bool { return !phase.IsTerminal() })
}

// inPhases selects executions by their phase, of which the definition of the kind makes a field for selectors. None at all
// is a phase too: that of an execution that nobody has looked at.
func inPhases(wanted func(wfev1.Phase) bool) fields.Selector {
	var terms []fields.Selector
	for _, phase := range append([]wfev1.Phase{""}, wfev1.Phases...) {
		if !wanted(phase) {
			terms = append(terms, fields.OneTermNotEqualSelector("status.phase", string(phase)))
		}
	}
	return fields.AndSelectors(terms...)
}

// unobserved selects our Workflows whose end has not been recorded: of the others there may be many, with many nodes.
func unobserved() labels.Selector {
	return labels.NewSelector().Add(label(wfev1.LabelRole, selection.Exists), label(wfev1.LabelObserved, selection.DoesNotExist))
}

// actions selects the templates of the catalog.
func actions() labels.Selector {
	return labels.NewSelector().Add(label(wfev1.LabelAction, selection.Exists))
}

func label(key string, operator selection.Operator) labels.Requirement {
	requirement, err := labels.NewRequirement(key, operator, nil)
	if err != nil {
		panic(err) // the keys are constants of package api, and valid
	}
	return *requirement
}

// addIndices must run before the cache starts.
func addIndices(ctx context.Context, indexer client.FieldIndexer, settings Settings) error {
	err := indexer.IndexField(ctx, &wfev1.WorkflowExecution{}, indexTarget, func(object client.Object) []string {
		return []string{targetKey(&object.(*wfev1.WorkflowExecution).Spec.Target)}
	})
	if err != nil {
		return fmt.Errorf("index by target: %w", err)
	}
	if settings.MaxLivePerNamespace == 0 {
		return nil
	}
	err = indexer.IndexField(ctx, &wfev1.WorkflowExecution{}, indexSlot, func(object client.Object) []string {
		return slotOf(object.(*wfev1.WorkflowExecution))
	})
	if err != nil {
		return fmt.Errorf("index by slot: %w", err)
	}
	return nil
}

// Source reads what the gauges describe from the caches; executions that have ended cost nothing. It implements
// metrics.Source.
type Source struct {
	// Cache is the manager's cache.
	Cache client.Reader
	// Ended is what the Reconciler knows of the executions that have ended.
	Ended Ended
	// Broken counts the broken templates of the catalog.
	Broken func(ctx context.Context) (int, error)
}

// CountBrokenTemplates counts the templates that carry the label of an action and are none.
func (s Source) CountBrokenTemplates(ctx context.Context) (int, error) { return s.Broken(ctx) }

// VisitUnended visits every execution that has not ended.
func (s Source) VisitUnended(ctx context.Context, visit func(*wfev1.WorkflowExecution)) error {
	list := &wfev1.WorkflowExecutionList{}
	if err := s.Cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list executions: %w", err)
	}
	for i := range list.Items {
		visit(&list.Items[i])
	}
	return nil
}

// ParallelEfficiency is that of what has ended.
func (s Source) ParallelEfficiency(now time.Time) (float64, bool) {
	return s.Ended.ParallelEfficiency(now)
}
