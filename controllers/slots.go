package controllers

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// reasonNamespaceFull is why an execution waits although nobody is before it at its target.
const reasonNamespaceFull = "NamespaceFull"

// slots are the executions of each namespace that this process let start, because the cache may not show it yet.
type slots map[string]map[types.UID]bool

// takeSlot counts the execution among the live ones of its namespace unless there are as many as may be. First come,
// first served among those that wait for nothing else.
func (r *Reconciler) takeSlot(ctx context.Context, wfe *wfev1.WorkflowExecution) (obstacle, error) {
	most := r.Settings.MaxLivePerNamespace
	if most == 0 || r.locks.slots[wfe.Namespace][wfe.UID] {
		return obstacle{}, nil
	}
	unended, err := r.unendedIn(ctx, wfe.Namespace)
	if err != nil {
		return obstacle{}, err
	}
	let, still := r.locks.slots[wfe.Namespace], map[types.UID]bool{}
	before := 0
	for i := range unended {
		other := &unended[i]
		switch {
		case other.UID == wfe.UID:
		case let[other.UID]:
			still[other.UID] = true
			before++
		case other.Status.WorkflowRef != nil, awaitsSlot(other) && precedes(other, wfe):
			before++
		}
	}
	r.locks.slots[wfe.Namespace] = still // whoever has ended is forgotten
	if before < most {
		r.rememberSlot(wfe)
		return obstacle{}, nil
	}
	return obstacle{
		reason:  reasonNamespaceFull,
		message: fmt.Sprintf("namespace %s has %d live executions, the most that it may have at once", wfe.Namespace, most),
		waiting: "waiting until a live execution of the namespace has ended",
	}, nil
}

// rememberSlot notes that the execution counts.
func (r *Reconciler) rememberSlot(wfe *wfev1.WorkflowExecution) {
	if r.Settings.MaxLivePerNamespace == 0 {
		return
	}
	if r.locks.slots[wfe.Namespace] == nil {
		r.locks.slots[wfe.Namespace] = map[types.UID]bool{}
	}
	r.locks.slots[wfe.Namespace][wfe.UID] = true
}

// unendedIn are the executions of a namespace that have not ended. They are the cache's own, and only read.
func (r *Reconciler) unendedIn(ctx context.Context, namespace string) ([]wfev1.WorkflowExecution, error) {
	list := &wfev1.WorkflowExecutionList{}
	err := r.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list the executions of namespace %s: %w", namespace, err)
	}
	return list.Items, nil
}

// awaitsSlot reports whether an execution waits for nothing but a slot.
func awaitsSlot(wfe *wfev1.WorkflowExecution) bool {
	admitted := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionAdmitted)
	return admitted != nil && admitted.Status == metav1.ConditionFalse && admitted.Reason == reasonNamespaceFull &&
		!wfe.Spec.Suspended && wfe.Spec.Cancel == wfev1.CancelNone && wfe.DeletionTimestamp == nil
}

// isInLine reports whether an execution has a slot or is before others that wait for one.
func isInLine(wfe *wfev1.WorkflowExecution) bool {
	admitted := meta.IsStatusConditionTrue(wfe.Status.Conditions, wfev1.ConditionAdmitted)
	return wfe.Status.WorkflowRef != nil || admitted || awaitsSlot(wfe)
}

// nextInLine are the executions of a namespace that have waited longest for a slot, as many as there are free ones. It may
// name too many, who will find that out, but never too few.
func (r *Reconciler) nextInLine(ctx context.Context, namespace string) ([]types.NamespacedName, error) {
	unended, err := r.unendedIn(ctx, namespace)
	if err != nil {
		return nil, err
	}
	free := r.Settings.MaxLivePerNamespace
	var waiting []*wfev1.WorkflowExecution
	for i := range unended {
		if awaitsSlot(&unended[i]) {
			waiting = append(waiting, &unended[i])
		} else if unended[i].Status.WorkflowRef != nil {
			free--
		}
	}
	slices.SortFunc(waiting, func(a, b *wfev1.WorkflowExecution) int {
		if precedes(a, b) {
			return -1
		}
		return 1
	})
	var next []types.NamespacedName
	for _, wfe := range waiting[:min(max(free, 0), len(waiting))] {
		next = append(next, client.ObjectKeyFromObject(wfe))
	}
	return next, nil
}
