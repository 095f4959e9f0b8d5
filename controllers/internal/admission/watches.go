package admission

import (
	"context"
	"fmt"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// AddIndices adds the indices that a Gate reads by. It must run before the cache starts.
func (g *Gate) AddIndices(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &wfev1.WorkflowExecution{}, IndexTarget, func(object client.Object) []string {
		return []string{TargetKey(&object.(*wfev1.WorkflowExecution).Spec.Target)}
	})
	if err != nil {
		return fmt.Errorf("index by target: %w", err)
	}
	if g.options.MaxLivePerNamespace == 0 {
		return nil
	}
	err = indexer.IndexField(ctx, &wfev1.WorkflowExecution{}, IndexSlot, func(object client.Object) []string {
		return SlotOf(object.(*wfev1.WorkflowExecution))
	})
	if err != nil {
		return fmt.Errorf("index by slot: %w", err)
	}
	return nil
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Watches are the handlers of the watch on executions that have not ended. Each enqueues the executions that may start, or
// whose message changes, when another one leaves the cache or no longer blocks them.
func (g *Gate) Watches() []handler.EventHandler {
	watches := []handler.EventHandler{wakeOn(leavesTarget, func(ctx context.Context, left *wfev1.WorkflowExecution, q queue) {
		g.wakeForTarget(ctx, TargetKey(&left.Spec.Target), left, q)
	})}
	if g.options.MaxLivePerNamespace > 0 {
		watches = append(watches, wakeOn(leavesLine, g.wakeForSlots))
	}
	return watches
}

// wakeOn calls wake with an execution that left the cache, was replaced by another one of its name, or changed in a way that
// leaves reports.
func wakeOn(leaves func(before, after *wfev1.WorkflowExecution) bool, wake func(context.Context, *wfev1.WorkflowExecution, queue)) handler.EventHandler {
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			before, after := e.ObjectOld.(*wfev1.WorkflowExecution), e.ObjectNew.(*wfev1.WorkflowExecution)
			// A list after an interrupted watch shows a replacement as an update, and no deletion.
			if before.UID != after.UID || leaves(before, after) {
				wake(ctx, before, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			wake(ctx, e.Object.(*wfev1.WorkflowExecution), q)
		},
	}
}

// leavesTarget reports whether an execution that has not started no longer waits for its target. The second record of a
// suspension counts too: only then has the Gate taken the lock back.
func leavesTarget(before, after *wfev1.WorkflowExecution) bool {
	if after.Status.WorkflowRef != nil {
		return false
	}
	pauses := after.Status.PauseStartTime != nil && before.Status.PauseStartTime == nil
	return pauses || waitsForTarget(before) && !waitsForTarget(after)
}

func leavesLine(before, after *wfev1.WorkflowExecution) bool {
	return isInLine(before) && !isInLine(after)
}

// wakeForTarget wakes the execution that comes next for a target, and the one right behind the one that left, if any, whose
// message names that. It may wake too many, never too few.
func (g *Gate) wakeForTarget(ctx context.Context, target string, left *wfev1.WorkflowExecution, q queue) {
	rivals := &wfev1.WorkflowExecutionList{}
	byTarget := client.MatchingFields{IndexTarget: target}
	if err := g.cached.List(ctx, rivals, byTarget, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Cannot enqueue the executions that wait for a target")
		return
	}
	next, behind := map[string]*wfev1.WorkflowExecution{}, map[string]*wfev1.WorkflowExecution{}
	for i := range rivals.Items {
		rival := &rivals.Items[i]
		if left != nil && rival.UID == left.UID || rival.Spec.DryRun || !waitsForTarget(rival) {
			continue
		}
		keepFirst(next, rival)
		if left != nil && precedes(left, rival) {
			keepFirst(behind, rival)
		}
	}
	for _, first := range []map[string]*wfev1.WorkflowExecution{next, behind} {
		for _, wfe := range first {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(wfe)})
		}
	}
}

// keepFirst keeps the oldest execution of each namespace: whether the kind is namespaced is not resolved here.
func keepFirst(first map[string]*wfev1.WorkflowExecution, wfe *wfev1.WorkflowExecution) {
	if known := first[wfe.Namespace]; known == nil || precedes(wfe, known) {
		first[wfe.Namespace] = wfe
	}
}

// wakeForSlots wakes the executions that wait longest for a slot of the namespace of one that left.
func (g *Gate) wakeForSlots(ctx context.Context, left *wfev1.WorkflowExecution, q queue) {
	next, err := g.nextForSlots(ctx, left.Namespace)
	if err != nil {
		log.FromContext(ctx).Error(err, "Cannot enqueue the executions that wait for a slot of their namespace")
		return
	}
	for _, key := range next {
		q.Add(reconcile.Request{NamespacedName: key})
	}
}
