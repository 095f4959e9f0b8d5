package controllers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	// catalogGrace is how long after Argo's kinds appeared the actions of waiting executions may be missing.
	catalogGrace = time.Minute
	// servedAttempts is how often, servedRetry apart, it is tried whether a changed definition is served.
	servedAttempts = 30
	servedRetry    = time.Second
	// discoveryRetry is how often Argo's kinds are looked for where their definitions may not be watched.
	discoveryRetry = 10 * time.Second
)

// engine waits for Argo's kinds and then watches them: a watch on a kind that is not there would end the manager. It is
// a Runnable of the manager, and does nothing when the kinds are there from the start.
type engine struct {
	mgr        ctrl.Manager
	controller controller.Controller
	reconciler *Reconciler

	mu        sync.Mutex
	available bool
	appeared  time.Time // unset where the kinds were there from the start
}

// isAvailable reports whether Argo's kinds are there and watched; a reconciler that no manager set up takes them to be.
func (e *engine) isAvailable() bool {
	if e == nil {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.available
}

// isNew reports whether Argo was installed just now. Its catalog cannot have been there before, and an action that is
// missing may yet come.
func (e *engine) isNew(now time.Time) bool {
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Sub(e.appeared) < catalogGrace
}

// open watches Argo's kinds if they are there now.
func (e *engine) open(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.available || !e.hasKinds() {
		return nil
	}
	mapper, cache := e.mgr.GetRESTMapper(), e.mgr.GetCache()
	// A manager that starts fills this cache beside that of the executions, and not after it.
	if _, err := cache.GetInformer(ctx, &wfv1.Workflow{}, ctrlcache.BlockUntilSynced(false)); err != nil {
		return fmt.Errorf("watch Workflows: %w", err)
	}
	owner := handler.TypedEnqueueRequestForOwner[*wfv1.Workflow](e.mgr.GetScheme(), mapper, &wfev1.WorkflowExecution{}, handler.OnlyControllerOwner())
	sources := []source.Source{
		source.Kind(cache, &wfv1.Workflow{}, owner),
		// Every execution is looked at again: those that were waiting for the engine are among them.
		source.Kind(cache, &wfev1.WorkflowExecution{}, &handler.TypedEnqueueRequestForObject[*wfev1.WorkflowExecution]{}),
	}
	if e.reconciler.Settings.hasClusterCatalog() {
		sources = append(sources, source.Kind[client.Object](cache, &wfv1.ClusterWorkflowTemplate{}, e.reconciler.learnActions()))
	}
	if e.reconciler.Settings.readsTemplates() {
		sources = append(sources, source.Kind[client.Object](cache, &wfv1.WorkflowTemplate{}, e.reconciler.learnActions()))
	}
	for _, s := range sources {
		if err := e.controller.Watch(s); err != nil {
			return fmt.Errorf("watch Argo's kinds: %w", err)
		}
	}
	e.available = true
	return nil
}

// appear opens an engine that was not there when the manager started.
func (e *engine) appear(ctx context.Context) error {
	if err := e.open(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.available && e.appeared.IsZero() {
		e.appeared = e.reconciler.now()
	}
	return nil
}

func (e *engine) hasKinds() bool {
	for _, kind := range []string{"Workflow", "ClusterWorkflowTemplate", "WorkflowTemplate"} {
		_, err := e.mgr.GetRESTMapper().RESTMapping(schema.GroupKind{Group: wfv1.SchemeGroupVersion.Group, Kind: kind}, wfv1.SchemeGroupVersion.Version)
		if err != nil {
			return false
		}
	}
	return true
}

// Start looks again whenever one of Argo's CustomResourceDefinitions changes, until all of them are served.
func (e *engine) Start(ctx context.Context) error {
	if e.isAvailable() {
		return nil
	}
	ctrl.Log.Info("Argo Workflows is not installed; waiting for its CustomResourceDefinitions")
	if e.reconciler.Settings.isNamespaced() {
		return e.lookFor(ctx)
	}
	definitions := &metav1.PartialObjectMetadata{}
	definitions.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	informer, err := e.mgr.GetCache().GetInformer(ctx, definitions)
	if err != nil {
		return fmt.Errorf("watch CustomResourceDefinitions: %w", err)
	}
	changed := make(chan struct{}, 1)
	note := func(object any) {
		definition, err := meta.Accessor(object)
		if err != nil || !strings.HasSuffix(definition.GetName(), "."+wfv1.SchemeGroupVersion.Group) {
			return
		}
		select {
		case changed <- struct{}{}:
		default: // it will be looked anyway
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    note,
		UpdateFunc: func(_, object any) { note(object) },
	})
	if err != nil {
		return fmt.Errorf("watch CustomResourceDefinitions: %w", err)
	}
	return e.await(ctx, changed)
}

// await tries after each change, and some times more: a kind is served a little later than its definition says.
func (e *engine) await(ctx context.Context, changed <-chan struct{}) error {
	for attempts := 0; !e.isAvailable(); {
		var again <-chan time.Time
		if attempts > 0 {
			again = time.After(servedRetry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			attempts = servedAttempts
		case <-again:
			attempts--
		}
		if err := e.appear(ctx); err != nil {
			ctrl.Log.Error(err, "cannot watch Argo's kinds")
		}
	}
	return nil
}

// lookFor tries now and then: definitions belong to the cluster, and a controller of some namespaces may not watch them.
func (e *engine) lookFor(ctx context.Context) error {
	ticker := time.NewTicker(discoveryRetry)
	defer ticker.Stop()
	for !e.isAvailable() {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := e.appear(ctx); err != nil {
			ctrl.Log.Error(err, "cannot watch Argo's kinds")
		}
	}
	return nil
}

// NeedLeaderElection lets a standby be ready to lead, too.
func (e *engine) NeedLeaderElection() bool { return false }

// awaitEngine records that Argo is not there. What is to be done about it comes when it is.
func awaitEngine(wfe *wfev1.WorkflowExecution) {
	if wfe.Status.Phase == "" {
		wfe.Status.Phase = wfev1.PhasePending
	}
	message := "Argo Workflows is not installed in the cluster: its CustomResourceDefinitions are missing"
	setCondition(wfe, wfev1.ConditionEngineAvailable, metav1.ConditionFalse, string(wfev1.ReasonEngineUnavailable), message)
	setReconciling(wfe, string(wfev1.ReasonEngineUnavailable), message)
}
