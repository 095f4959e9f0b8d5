package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// errDeleted says that the execution was deleted during the reconcile; its Workflows are released as abandoned.
var errDeleted = errors.New("the WorkflowExecution no longer exists")

// updateStatus writes the next status if it differs, in one update that fails on a newer object. Only then are counters moved
// and events sent. The error is errDeleted when the execution no longer exists.
func (r *Reconciler) updateStatus(ctx context.Context, before, after *wfev1.WorkflowExecution) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	written := withStatusOnly(after)
	err := r.Client.Status().Update(ctx, written)
	if isTooLarge(err) {
		dropOutputs(after)
		if equality.Semantic.DeepEqual(before.Status, after.Status) {
			return nil
		}
		written = withStatusOnly(after)
		err = r.Client.Status().Update(ctx, written)
	}
	if apierrors.IsNotFound(err) {
		return errDeleted
	}
	if err != nil {
		if !apierrors.IsConflict(err) {
			r.statuses.Unanswered(client.ObjectKeyFromObject(after))
		}
		return fmt.Errorf("update the status: %w", err)
	}
	after.ResourceVersion = written.ResourceVersion
	r.statuses.WroteAt(written)
	if after.Status.Phase.IsTerminal() && after.Status.WorkflowRef != nil {
		r.statuses.Ended(after.UID)
	}
	r.Metrics.Observe(before, after)
	emit(r.Events, before, after)
	return nil
}

// isTooLarge reports whether an object exceeds what the API server or etcd accepts.
func isTooLarge(err error) bool {
	return apierrors.IsRequestEntityTooLargeError(err) || err != nil && strings.Contains(err.Error(), "request is too large")
}

// dropOutputs removes the outputs from a status that is too large to be written: what is to be done about an execution must not
// depend on them.
func dropOutputs(wfe *wfev1.WorkflowExecution) {
	for _, steps := range [][]wfev1.StepStatus{wfe.Status.Steps, wfe.Status.RollbackSteps} {
		for i := range steps {
			if step := &steps[i]; len(step.Outputs) > 0 {
				step.Outputs, step.Message = nil, "the outputs were dropped: the status would be too large with them"
			}
		}
	}
}

// withStatusOnly is what an update of the status sends: the API server takes nothing but the status from it. More of the
// object would be more to decode. The status is shared.
func withStatusOnly(wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	return &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: wfe.Namespace, Name: wfe.Name, ResourceVersion: wfe.ResourceVersion},
		Status:     wfe.Status,
	}
}

// checkNotStale returns a conflict when the copy of an execution is stale: a Workflow that was created, recorded and deleted with
// its finalizer removed must not be created again. The API server is read unless the execution is new, has no status yet,
// and only this process could have written one. An execution that waited is read again before it starts, so that it does
// not start against its user's latest edit.
func (r *Reconciler) checkNotStale(ctx context.Context, wfe *wfev1.WorkflowExecution) error {
	if wfe.Status.Phase == "" && r.statuses.IsSoleWriter(wfe) {
		return nil
	}
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(wfe), live); err != nil {
		return fmt.Errorf("get the WorkflowExecution: %w", err)
	}
	if live.ResourceVersion == wfe.ResourceVersion {
		return nil
	}
	return staleConflict(wfe)
}

// staleConflict is the conflict of a cache that does not show an execution as it is.
func staleConflict(wfe *wfev1.WorkflowExecution) error {
	resource := wfev1.GroupVersion.WithResource("workflowexecutions").GroupResource()
	return apierrors.NewConflict(resource, wfe.Name, errors.New("the cache is stale"))
}
