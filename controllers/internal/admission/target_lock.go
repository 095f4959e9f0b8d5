package admission

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// IndexTarget is the index that finds executions by TargetKey.
const IndexTarget = "target"

// checkTarget returns the obstacle when another execution holds the lock on the target, or comes before this one. The holder
// is whichever has started, or has left a Workflow that is not released; while there is none, the oldest waiting execution
// is next, by creation time and then by name. The message
// of one that does not come next names the one right before it, not the holder: so a change of the holder rewrites the
// status of one execution and not of all that wait.
func (g *Gate) checkTarget(ctx context.Context, wfe *wfev1.WorkflowExecution, isNamespaced bool) (Obstacle, error) {
	rivals, err := g.rivals(ctx, wfe, isNamespaced)
	if err != nil {
		return Obstacle{}, err
	}
	var holder, before *wfev1.WorkflowExecution
	for i := range rivals {
		rival := &rivals[i]
		switch {
		case rival.Status.WorkflowRef != nil || g.isAdmitted(rival):
			holder = rival
		case waitsForTarget(rival) && precedes(rival, wfe) && (before == nil || precedes(before, rival)):
			before = rival
		}
	}
	target := &wfe.Spec.Target
	switch {
	case before != nil:
		return locked("%s %s is locked, and this execution is next after %s", target, before.Namespace+"/"+before.Name), nil
	case holder != nil:
		return locked("%s %s is being remediated by %s", target, holder.Namespace+"/"+holder.Name), nil
	}
	wf, err := g.lockingWorkflow(ctx, wfe, isNamespaced)
	if wf == nil || err != nil {
		return Obstacle{}, err
	}
	return locked("%s %s is being remediated by %s", target, wf.Namespace+"/"+wf.Labels[wfev1.LabelName]), nil
}

func locked(format string, target *wfev1.Target, name string) Obstacle {
	return Obstacle{
		Reason:  wfev1.ReasonTargetLocked,
		Message: fmt.Sprintf(format, target.Kind, target.Name, name),
		Waiting: "waiting for " + name,
	}
}

// rivals are the other executions with the same target that have not ended: the cache holds no others. They are the cache's
// own, and only read.
func (g *Gate) rivals(ctx context.Context, wfe *wfev1.WorkflowExecution, isNamespaced bool) ([]wfev1.WorkflowExecution, error) {
	list := &wfev1.WorkflowExecutionList{}
	options := []client.ListOption{client.MatchingFields{IndexTarget: TargetKey(&wfe.Spec.Target)}, client.UnsafeDisableDeepCopy}
	if isNamespaced {
		options = append(options, client.InNamespace(wfe.Namespace))
	}
	if err := g.cached.List(ctx, list, options...); err != nil {
		return nil, fmt.Errorf("list the executions of the target: %w", err)
	}
	rivals := list.Items[:0]
	for i := range list.Items {
		if other := &list.Items[i]; other.UID != wfe.UID && !other.Spec.DryRun {
			rivals = append(rivals, *other)
		}
	}
	return rivals, nil
}

// waitsForTarget reports whether an execution that has not started would start as soon as its target is free.
func waitsForTarget(wfe *wfev1.WorkflowExecution) bool {
	return wfe.Status.WorkflowRef == nil && isWaiting(wfe) && !isBlockedBySlots(wfe)
}

// isWaiting reports whether an execution would start now, as far as its user and its namespace are concerned.
func isWaiting(wfe *wfev1.WorkflowExecution) bool {
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionReconciling); c != nil &&
		(c.Reason == wfev1.ReasonPredecessorEnding || c.Reason == string(wfev1.ReasonNamespaceNotReady)) {
		return false
	}
	return !wfe.Spec.Suspended && wfe.Spec.Cancel == wfev1.CancelNone && wfe.DeletionTimestamp == nil
}

// isBlockedBySlots reports whether an execution was found to wait for a slot of its namespace, and so not for its target.
func isBlockedBySlots(wfe *wfev1.WorkflowExecution) bool {
	admitted := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionAdmitted)
	return admitted != nil && admitted.Status == metav1.ConditionFalse && admitted.Reason == wfev1.ReasonNamespaceFull
}

func precedes(a, b *wfev1.WorkflowExecution) bool { return compareAge(a, b) < 0 }

// compareAge orders waiting executions: first come, first served.
func compareAge(a, b *wfev1.WorkflowExecution) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}
