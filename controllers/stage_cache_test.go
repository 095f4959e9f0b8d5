package controllers_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/admission"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/finished"
)

// stageCache stands in for the manager's cache: it shows the objects of a stage as they were when they were delivered
// last, each on its own. Writes go to the API server.
type stageCache struct {
	client.WithWatch
	executions map[string]*wfev1.WorkflowExecution
	ended      endedCache
	workflows  map[string]*wfv1.Workflow
}

// endedCache stands in for the cache of the executions that have ended.
type endedCache map[string]*wfev1.WorkflowExecution

func newStageCache(live client.WithWatch) *stageCache {
	return &stageCache{WithWatch: live, executions: map[string]*wfev1.WorkflowExecution{}, ended: endedCache{}, workflows: map[string]*wfv1.Workflow{}}
}

// Get reads what was delivered.
func (c *stageCache) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	switch into := object.(type) {
	case *wfev1.WorkflowExecution:
		if wfe, ok := c.executions[key.Name]; ok {
			wfe.DeepCopyInto(into)
			return nil
		}
	case *wfv1.Workflow:
		if wf, ok := c.workflows[key.Name]; ok {
			wf.DeepCopyInto(into)
			return nil
		}
	default:
		return fmt.Errorf("the cache of the stage has no %T", object)
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

// Get reads what was delivered of an execution that has ended.
func (c endedCache) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	wfe, ok := c[key.Name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	kept, err := finished.Transform(wfe.DeepCopy())
	if err == nil {
		kept.(*wfev1.WorkflowExecution).DeepCopyInto(object.(*wfev1.WorkflowExecution))
	}
	return err
}

// ParallelEfficiency is not asked for.
func (c endedCache) ParallelEfficiency(time.Time) (float64, bool) { return 0, false }

// List lists executions by an index, and the catalog of the suite.
func (c *stageCache) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	options := (&client.ListOptions{}).ApplyOptions(opts)
	switch into := list.(type) {
	case *wfev1.WorkflowExecutionList:
		target, byTarget := options.FieldSelector.RequiresExactMatch(admission.IndexTarget)
		slot, bySlot := options.FieldSelector.RequiresExactMatch(admission.IndexSlot)
		if !byTarget && !bySlot {
			return fmt.Errorf("the cache of the stage has no index %s", options.FieldSelector)
		}
		for _, name := range slices.Sorted(maps.Keys(c.executions)) {
			wfe := c.executions[name]
			if byTarget && admission.TargetKey(&wfe.Spec.Target) == target || bySlot && slices.Contains(admission.SlotOf(wfe), slot) {
				into.Items = append(into.Items, *wfe.DeepCopy())
			}
		}
	case *wfv1.ClusterWorkflowTemplateList:
		for _, t := range templates() {
			if action := t.Labels[wfev1.LabelAction]; strings.HasSuffix(options.LabelSelector.String(), "="+action) {
				into.Items = append(into.Items, *t)
			}
		}
	default:
		return fmt.Errorf("the cache of the stage has no %T", list)
	}
	return nil
}

// put shows an object as it is now.
func (c *stageCache) put(object client.Object) {
	switch object := object.(type) {
	case *wfev1.WorkflowExecution:
		c.executions[object.Name] = object.DeepCopy()
	case *wfv1.Workflow:
		c.workflows[object.Name] = object.DeepCopy()
	}
}

// deliver shows one object as it is now, or that it is gone. An execution that has ended leaves one cache before it is in the
// other.
func (c *stageCache) deliver(now *stageCache, name string) {
	wfe, there := now.executions[name]
	_, known := c.executions[name]
	switch {
	case there && !wfe.Status.Phase.IsTerminal():
		c.executions[name] = wfe
	case there && !known:
		c.ended[name] = wfe
	default:
		delete(c.executions, name)
	}
	if !there || c.ended[name] != nil && c.ended[name].UID != wfe.UID {
		delete(c.ended, name)
	}
	if wf, ok := now.workflows[name]; ok {
		c.workflows[name] = wf
	} else {
		delete(c.workflows, name)
	}
}

// recording keeps a stage's truth by what the API server answers to writes, which spares it to read everything after
// each; only where something was deleted, or may have been by losing its finalizer, it must be read again.
func (s *stage) recording(c client.WithWatch) client.WithWatch {
	note := func(object client.Object, err error) error {
		if err == nil && object.GetDeletionTimestamp() == nil {
			s.truth.put(object)
		} else {
			s.stale = true
		}
		return err
	}
	return interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return note(object, c.Create(ctx, object, opts...))
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			s.stale = true
			return c.Delete(ctx, object, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return note(object, c.Patch(ctx, object, patch, opts...))
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, opts ...client.SubResourceUpdateOption) error {
			return note(object, c.SubResource(sub).Update(ctx, object, opts...))
		},
	})
}
