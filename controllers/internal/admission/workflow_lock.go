package admission

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// IndexWorkflowTarget is the index that finds Workflows by the target that they lock.
const IndexWorkflowTarget = "workflow-target"

// A Workflow holds the lock of its execution until it is released, also when the execution no longer exists: its pods may
// still run. So each Workflow carries its target, and the Gate reads both executions and Workflows.

// MarkTarget records on a Workflow, before it is created, the target that its execution locks.
func MarkTarget(wf *wfv1.Workflow, wfe *wfev1.WorkflowExecution) {
	if !wfe.Spec.DryRun {
		metav1.SetMetaDataAnnotation(&wf.ObjectMeta, wfev1.AnnotationTarget, TargetKey(&wfe.Spec.Target))
	}
}

// WorkflowTargets is the value of IndexWorkflowTarget for a Workflow, if it locks a target: one that was released does not.
func WorkflowTargets(wf *wfv1.Workflow) []string {
	if target := wf.Annotations[wfev1.AnnotationTarget]; target != "" && slices.Contains(wf.Finalizers, wfev1.FinalizerObserved) {
		return []string{target}
	}
	return nil
}

// AddWorkflowIndex adds the index on Workflows. It must run once Argo's kinds are served.
func (g *Gate) AddWorkflowIndex(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &wfv1.Workflow{}, IndexWorkflowTarget, func(object client.Object) []string {
		return WorkflowTargets(object.(*wfv1.Workflow))
	})
	if err != nil {
		return fmt.Errorf("index Workflows by target: %w", err)
	}
	return nil
}

// lockingWorkflow is a Workflow of another execution that holds the lock on the target; nil when there is none.
func (g *Gate) lockingWorkflow(ctx context.Context, wfe *wfev1.WorkflowExecution, isNamespaced bool) (*wfv1.Workflow, error) {
	list := &wfv1.WorkflowList{}
	options := []client.ListOption{client.MatchingFields{IndexWorkflowTarget: TargetKey(&wfe.Spec.Target)}, client.UnsafeDisableDeepCopy}
	if isNamespaced {
		options = append(options, client.InNamespace(wfe.Namespace))
	}
	if err := g.cached.List(ctx, list, options...); err != nil {
		return nil, fmt.Errorf("list the Workflows of the target: %w", err)
	}
	for i := range list.Items {
		if owner := metav1.GetControllerOf(&list.Items[i]); owner == nil || owner.UID != wfe.UID {
			return &list.Items[i], nil
		}
	}
	return nil, nil
}

// WorkflowWatch is the handler of the watch on Workflows: when one is released or leaves the cache, the execution that comes
// next for its target is woken.
func (g *Gate) WorkflowWatch() handler.EventHandler {
	wake := func(ctx context.Context, wf client.Object, q queue) {
		for _, target := range WorkflowTargets(wf.(*wfv1.Workflow)) {
			g.wakeForTarget(ctx, target, nil, q)
		}
	}
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if len(WorkflowTargets(e.ObjectNew.(*wfv1.Workflow))) == 0 {
				wake(ctx, e.ObjectOld, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { wake(ctx, e.Object, q) },
	}
}
