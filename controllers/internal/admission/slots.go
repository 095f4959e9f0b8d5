package admission

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// IndexSlot is the index that finds the executions of a namespace that have a slot, or wait for one.
const IndexSlot = "slot"

const (
	slotTaken   = "taken"
	slotAwaited = "awaited"
)

// checkSlots returns the obstacle when the namespace has as many live executions as it may have. First come, first served
// among those that wait for nothing else; they are listed only when a slot is free.
func (g *Gate) checkSlots(ctx context.Context, wfe *wfev1.WorkflowExecution) (Obstacle, error) {
	most := g.options.MaxLivePerNamespace
	if most == 0 {
		return Obstacle{}, nil
	}
	before, err := g.slotsTaken(ctx, wfe)
	if err != nil {
		return Obstacle{}, err
	}
	if before < most {
		waiting, err := g.bySlot(ctx, wfe.Namespace, slotAwaited)
		if err != nil {
			return Obstacle{}, err
		}
		for i := range waiting {
			if other := &waiting[i]; !g.isAdmitted(other) && precedes(other, wfe) {
				before++
			}
		}
	}
	if before < most {
		return Obstacle{}, nil
	}
	return Obstacle{
		Reason:  wfev1.ReasonNamespaceFull,
		Message: fmt.Sprintf("namespace %s has %d live executions, the most that it may have at once", wfe.Namespace, most),
		Waiting: "waiting until a live execution of the namespace has ended",
	}, nil
}

// slotsTaken is how many other executions of a namespace are live: those that the cache shows as live, and those that were
// admitted and have not ended since.
func (g *Gate) slotsTaken(ctx context.Context, wfe *wfev1.WorkflowExecution) (int, error) {
	live, err := g.bySlot(ctx, wfe.Namespace, slotTaken)
	if err != nil {
		return 0, err
	}
	taken := map[types.UID]bool{}
	for i := range live {
		taken[live[i].UID] = true
	}
	for name, uid := range g.admitted[wfe.Namespace] {
		if taken[uid] {
			continue
		}
		admitted := &wfev1.WorkflowExecution{}
		err := g.cached.Get(ctx, types.NamespacedName{Namespace: wfe.Namespace, Name: name}, admitted, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return 0, fmt.Errorf("get an execution that was admitted: %w", err)
		}
		if err == nil && admitted.UID == uid {
			taken[uid] = true
		}
	}
	delete(taken, wfe.UID)
	return len(taken), nil
}

// bySlot lists the executions of a namespace that have a slot, or wait for one. They are the cache's own, and only read.
func (g *Gate) bySlot(ctx context.Context, namespace, slot string) ([]wfev1.WorkflowExecution, error) {
	list := &wfev1.WorkflowExecutionList{}
	err := g.cached.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{IndexSlot: slot}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list the executions of namespace %s: %w", namespace, err)
	}
	return list.Items, nil
}

// SlotOf is the value of IndexSlot for an execution, if it has one.
func SlotOf(wfe *wfev1.WorkflowExecution) []string {
	switch {
	case wfe.Status.WorkflowRef != nil:
		return []string{slotTaken}
	case waitsForSlot(wfe):
		return []string{slotAwaited}
	}
	return nil
}

// waitsForSlot reports whether an execution waits for nothing but a slot.
func waitsForSlot(wfe *wfev1.WorkflowExecution) bool { return isBlockedBySlots(wfe) && isWaiting(wfe) }

// isInLine reports whether an execution has a slot or comes before others that wait for one.
func isInLine(wfe *wfev1.WorkflowExecution) bool {
	admitted := meta.IsStatusConditionTrue(wfe.Status.Conditions, wfev1.ConditionAdmitted)
	return wfe.Status.WorkflowRef != nil || admitted || waitsForSlot(wfe)
}

// nextForSlots lists the executions of a namespace that have waited longest for a slot, as many as there are free ones. It
// may list too many, never too few.
func (g *Gate) nextForSlots(ctx context.Context, namespace string) ([]types.NamespacedName, error) {
	live, err := g.bySlot(ctx, namespace, slotTaken)
	if err != nil {
		return nil, err
	}
	free := max(g.options.MaxLivePerNamespace-len(live), 0)
	if free == 0 {
		return nil, nil
	}
	waiting, err := g.bySlot(ctx, namespace, slotAwaited)
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
