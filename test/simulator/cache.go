package simulator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Objects are the executions and Workflows of one namespace, by their names.
type Objects struct {
	Executions map[string]*wfev1.WorkflowExecution
	Workflows  map[string]*wfv1.Workflow
}

// NewObjects makes an empty set of objects.
func NewObjects() *Objects {
	return &Objects{Executions: map[string]*wfev1.WorkflowExecution{}, Workflows: map[string]*wfv1.Workflow{}}
}

// Put adds a copy of an object, or replaces the object of its name.
func (o *Objects) Put(object client.Object) {
	switch object := object.(type) {
	case *wfev1.WorkflowExecution:
		o.Executions[object.Name] = object.DeepCopy()
	case *wfv1.Workflow:
		o.Workflows[object.Name] = object.DeepCopy()
	}
}

// Names are the names of all objects.
func (o *Objects) Names() map[string]bool {
	names := map[string]bool{}
	for name := range o.Executions {
		names[name] = true
	}
	for name := range o.Workflows {
		names[name] = true
	}
	return names
}

// Watches are the handlers of a manager's watches.
type Watches struct {
	// Executions handle the executions that have not ended.
	Executions []handler.EventHandler
	// Finished handle the executions that have ended.
	Finished []handler.EventHandler
	// Workflows handle the Workflows.
	Workflows []handler.EventHandler
}

// Cache plays the caches of a manager: one of the objects that have not ended, and one of the ended executions. It shows each
// object as it was when it was delivered last. Writes go to the client.
type Cache struct {
	client.WithWatch
	*Objects
	// Finished are the executions that have ended.
	Finished FinishedCache
	// Templates are the catalog.
	Templates []*wfv1.ClusterWorkflowTemplate

	watches Watches
	queue   *Queue
	indices map[string]client.IndexerFunc
}

// NewCache makes an empty cache. transform is the transformation of the cache of ended executions.
func NewCache(writer client.WithWatch, templates []*wfv1.ClusterWorkflowTemplate, transform func(any) (any, error)) *Cache {
	return &Cache{
		WithWatch: writer, Objects: NewObjects(), Templates: templates,
		Finished: FinishedCache{executions: map[string]*wfev1.WorkflowExecution{}, transform: transform},
	}
}

// IndexField adds an index. Each has a name of its own.
func (c *Cache) IndexField(_ context.Context, _ client.Object, field string, extract client.IndexerFunc) error {
	c.indices[field] = extract
	return nil
}

// Restart forgets the indices, sets the watches and the queue of the next manager, and handles all objects as created.
// addIndices adds the indices of the next manager.
func (c *Cache) Restart(ctx context.Context, watches Watches, queue *Queue, addIndices func(context.Context, client.FieldIndexer) error) error {
	c.watches, c.queue, c.indices = watches, queue, map[string]client.IndexerFunc{}
	if err := addIndices(ctx, c); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Executions)) {
		notify(ctx, watches.Executions, queue, nil, c.Executions[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Workflows)) {
		notify(ctx, watches.Workflows, queue, nil, c.Workflows[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Finished.executions)) {
		notify(ctx, watches.Finished, queue, nil, c.Finished.executions[name])
	}
	return nil
}

// Deliver delivers the objects of one name as they are now. An execution that has ended leaves one cache before the next
// delivery adds it to the other.
func (c *Cache) Deliver(ctx context.Context, now *Objects, name string) {
	wfe, exists := now.Executions[name]
	_, known := c.Executions[name]
	finished := c.Finished.executions[name]
	switch {
	case exists && !wfe.Status.Phase.IsTerminal():
		update(ctx, c.watches.Executions, c.queue, c.Executions, name, wfe)
	case exists && !known:
		update(ctx, c.watches.Finished, c.queue, c.Finished.executions, name, wfe)
	default:
		remove(ctx, c.watches.Executions, c.queue, c.Executions, name)
	}
	if !exists || finished != nil && finished.UID != wfe.UID {
		remove(ctx, c.watches.Finished, c.queue, c.Finished.executions, name)
	}
	if wf, exists := now.Workflows[name]; exists {
		update(ctx, c.watches.Workflows, c.queue, c.Workflows, name, wf)
	} else {
		remove(ctx, c.watches.Workflows, c.queue, c.Workflows, name)
	}
}

func update[T client.Object](ctx context.Context, handlers []handler.EventHandler, queue *Queue, objects map[string]T, name string, object T) {
	before, known := objects[name]
	objects[name] = object
	switch {
	case !known:
		notify(ctx, handlers, queue, nil, object)
	case before.GetUID() != object.GetUID() || before.GetResourceVersion() != object.GetResourceVersion():
		notify(ctx, handlers, queue, before, object)
	}
}

func remove[T client.Object](ctx context.Context, handlers []handler.EventHandler, queue *Queue, objects map[string]T, name string) {
	if before, known := objects[name]; known {
		delete(objects, name)
		notify(ctx, handlers, queue, before, nil)
	}
}

// notify calls handlers with the event that turns one object into another. nil is no object.
func notify(ctx context.Context, handlers []handler.EventHandler, queue *Queue, before, after client.Object) {
	for _, h := range handlers {
		switch {
		case before == nil:
			h.Create(ctx, event.CreateEvent{Object: after}, queue)
		case after == nil:
			h.Delete(ctx, event.DeleteEvent{Object: before}, queue)
		default:
			h.Update(ctx, event.UpdateEvent{ObjectOld: before, ObjectNew: after}, queue)
		}
	}
}

// Get reads an object as it was delivered last.
func (c *Cache) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	switch into := object.(type) {
	case *wfev1.WorkflowExecution:
		if wfe, ok := c.Executions[key.Name]; ok {
			wfe.DeepCopyInto(into)
			return nil
		}
	case *wfv1.Workflow:
		if wf, ok := c.Workflows[key.Name]; ok {
			wf.DeepCopyInto(into)
			return nil
		}
	default:
		return fmt.Errorf("the simulated cache has no %T", object)
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

// List lists executions or Workflows by an index, or the catalog by a label.
func (c *Cache) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	options := (&client.ListOptions{}).ApplyOptions(opts)
	switch into := list.(type) {
	case *wfev1.WorkflowExecutionList:
		selected, err := selectByIndex(c, options, c.Executions)
		for _, wfe := range selected {
			into.Items = append(into.Items, *wfe.DeepCopy())
		}
		return err
	case *wfv1.WorkflowList:
		selected, err := selectByIndex(c, options, c.Workflows)
		for _, wf := range selected {
			into.Items = append(into.Items, *wf.DeepCopy())
		}
		return err
	case *wfv1.ClusterWorkflowTemplateList:
		for _, t := range c.Templates {
			if options.LabelSelector.Matches(labels.Set(t.Labels)) {
				into.Items = append(into.Items, *t)
			}
		}
	default:
		return fmt.Errorf("the simulated cache has no %T", list)
	}
	return nil
}

// selectByIndex selects objects by the index that a field selector names, in the order of their names.
func selectByIndex[T client.Object](c *Cache, options *client.ListOptions, objects map[string]T) ([]T, error) {
	var extract client.IndexerFunc
	var value string
	if options.FieldSelector != nil && len(options.FieldSelector.Requirements()) == 1 {
		required := options.FieldSelector.Requirements()[0]
		extract, value = c.indices[required.Field], required.Value
	}
	if extract == nil {
		return nil, fmt.Errorf("the simulated cache has no index for %v", options.FieldSelector)
	}
	var selected []T
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		if slices.Contains(extract(objects[name]), value) {
			selected = append(selected, objects[name])
		}
	}
	return selected, nil
}

// FinishedCache plays the cache of the executions that have ended.
type FinishedCache struct {
	executions map[string]*wfev1.WorkflowExecution
	transform  func(any) (any, error)
}

// Get reads an execution as the transformation of the cache leaves it.
func (c FinishedCache) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	wfe, ok := c.executions[key.Name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	kept, err := c.transform(wfe.DeepCopy())
	if err == nil {
		kept.(*wfev1.WorkflowExecution).DeepCopyInto(object.(*wfev1.WorkflowExecution))
	}
	return err
}

// ParallelEfficiency is never known.
func (FinishedCache) ParallelEfficiency(time.Time) (float64, bool) { return 0, false }

// AllNames are the names of the objects of both caches.
func (c *Cache) AllNames() map[string]bool {
	names := c.Names()
	for name := range c.Finished.executions {
		names[name] = true
	}
	return names
}
