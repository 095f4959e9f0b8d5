package controllers

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// cleanUp is what is left to do for an execution that has ended: release its Workflows, and delete it when its time to live
// is over.
func (r *Reconciler) cleanUp(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	for _, ref := range []*wfev1.WorkflowReference{wfe.Status.WorkflowRef, wfe.Status.RollbackRef} {
		if ref == nil || !r.engine.IsAvailable() { // a read of a kind that is not served would never return
			continue
		}
		key := client.ObjectKey{Namespace: wfe.Namespace, Name: ref.Name}
		wf, err := r.workflows.Get(ctx, key)
		if err != nil {
			return ctrl.Result{}, err
		}
		if wf == nil || wf.UID != ref.UID {
			r.workflows.Forget(key)
			continue
		}
		if _, err := r.workflows.Release(ctx, wf); err != nil {
			return ctrl.Result{}, err
		}
	}
	return r.deleteExpired(ctx, wfe)
}

// deleteExpired deletes an execution whose time to live is over; its Workflows follow it.
func (r *Reconciler) deleteExpired(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	ttl, ended := wfe.Spec.TTLSecondsAfterFinished, wfe.Status.CompletionTime
	if ttl == nil || ended == nil || wfe.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	if wait := ended.Add(time.Duration(*ttl) * time.Second).Sub(r.now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	err := r.Client.Delete(ctx, wfe, client.Preconditions{UID: &wfe.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("delete the WorkflowExecution after its time to live: %w", err)
	}
	return ctrl.Result{}, nil
}

// releaseAbandoned releases the Workflows of an execution that no longer exists, and counts it as cancelled when its Workflow
// had not ended: the finalizer is the record, taken off once. Whether an end was recorded is not known any more, so an ended
// Workflow is not counted again. The Workflows of the execution with the UID keep are left alone.
func (r *Reconciler) releaseAbandoned(ctx context.Context, key types.NamespacedName, keep types.UID) error {
	held, err := r.held(ctx, key, keep)
	if err != nil {
		return err
	}
	for _, wf := range held {
		released, err := r.workflows.Release(ctx, wf)
		if err != nil {
			return err
		}
		if released && wf.Labels[wfev1.LabelDryRun] == "" && !wf.Status.Fulfilled() {
			r.Metrics.ObserveDeletion()
		}
	}
	return nil
}

// held are the Workflows of executions of a name that the finalizer holds, except those of the one with the UID keep.
func (r *Reconciler) held(ctx context.Context, of types.NamespacedName, keep types.UID) ([]*wfv1.Workflow, error) {
	if !r.engine.IsAvailable() {
		return nil, nil
	}
	return r.workflows.Held(ctx, of, keep)
}
