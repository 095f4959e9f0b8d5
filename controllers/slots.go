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

// The values of indexSlot: what an execution has to do with the slots of its namespace.
const (
	slotTaken   = "taken"
	slotAwaited = "awaited"
)

// slots are the executions of each namespace that this process let start, by name, because the cache may not show it yet.
type slots map[string]map[string]types.UID

// take notes that the execution has a slot.
func (s slots) take(wfe *wfev1.WorkflowExecution) {
	if s[wfe.Namespace] == nil {
		s[wfe.Namespace] = map[string]types.UID{}
	}
	s[wfe.Namespace][wfe.Name] = wfe.UID
}

// letGo drops what is known of whoever has a slot under this name.
func (s slots) letGo(name types.NamespacedName) {
	delete(s[name.Namespace], name.Name)
	if len(s[name.Namespace]) == 0 {
		delete(s, name.Namespace)
	}
}

// takeSlot counts the execution among the live ones of its namespace unless there are as many as may be. First come,
// first served among those that wait for nothing else; they are not looked at unless there is a free slot.
func (r *Reconciler) takeSlot(ctx context.Context, wfe *wfev1.WorkflowExecution) (obstacle, error) {
	most := r.Settings.MaxLivePerNamespace
	if most == 0 || r.locks.slots[wfe.Namespace][wfe.Name] == wfe.UID {
		return obstacle{}, nil
	}
	before, err := r.slotsTaken(ctx, wfe)
	if err != nil {
		return obstacle{}, err
	}
	if before < most {
		waiting, err := r.bySlot(ctx, wfe.Namespace, slotAwaited)
		if err != nil {
			return obstacle{}, err
		}
		for i := range waiting {
			other := &waiting[i]
			if r.locks.slots[other.Namespace][other.Name] != other.UID && precedes(other, wfe) {
				before++
			}
		}
	}
	if before < most {
		r.locks.slots.take(wfe)
		return obstacle{}, nil
	}
	return obstacle{
		reason:  reasonNamespaceFull,
		message: fmt.Sprintf("namespace %s has %d live executions, the most that it may have at once", wfe.Namespace, most),
		waiting: "waiting until a live execution of the namespace has ended",
	}, nil
}

// slotsTaken is how many other executions of a namespace are live: those of which the cache shows it, and those that were
// let start and have not ended since.
func (r *Reconciler) slotsTaken(ctx context.Context, wfe *wfev1.WorkflowExecution) (int, error) {
	live, err := r.bySlot(ctx, wfe.Namespace, slotTaken)
	if err != nil {
		return 0, err
	}
	taken := map[types.UID]bool{}
	for i := range live {
		taken[live[i].UID] = true
	}
	for name, uid := range r.locks.slots[wfe.Namespace] {
		if taken[uid] {
			continue
		}
		let := &wfev1.WorkflowExecution{}
		err := r.Get(ctx, types.NamespacedName{Namespace: wfe.Namespace, Name: name}, let, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return 0, fmt.Errorf("get an execution that was let start: %w", err)
		}
		if err == nil && let.UID == uid {
			taken[uid] = true
		}
	}
	delete(taken, wfe.UID)
	return len(taken), nil
}

// bySlot are the executions of a namespace that have a slot, or wait for one. They are the cache's own, and only read.
func (r *Reconciler) bySlot(ctx context.Context, namespace, slot string) ([]wfev1.WorkflowExecution, error) {
	list := &wfev1.WorkflowExecutionList{}
	err := r.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{indexSlot: slot}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list the executions of namespace %s: %w", namespace, err)
	}
	return list.Items, nil
}

// slotOf is the value of indexSlot, if the execution has one.
func slotOf(wfe *wfev1.WorkflowExecution) []string {
	switch {
	case wfe.Status.WorkflowRef != nil:
		return []string{slotTaken}
	case awaitsSlot(wfe):
		return []string{slotAwaited}
	}
	return nil
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
	live, err := r.bySlot(ctx, namespace, slotTaken)
	if err != nil {
		return nil, err
	}
	free := max(r.Settings.MaxLivePerNamespace-len(live), 0)
	if free == 0 {
		return nil, nil
	}
	waiting, err := r.bySlot(ctx, namespace, slotAwaited)
	if err != nil {
		return nil, err
	}
	inLine := make([]*wfev1.WorkflowExecution, len(waiting))
	for i := range waiting {
		inLine[i] = &waiting[i]
	}
	slices.SortFunc(inLine, compareAge)
	var next []types.NamespacedName
	for _, wfe := range inLine[:min(free, len(inLine))] {
		next = append(next, client.ObjectKeyFromObject(wfe))
	}
	return next, nil
}
