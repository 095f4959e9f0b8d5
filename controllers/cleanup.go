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
	"github.com/kubernaut-io/workflowexecution/controllers/internal/workflows"
)

// retireRetry is how often a Workflow whose execution no longer exists is checked again while Argo has not ended it. It is watched
// too.
const retireRetry = 5 * time.Second

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
	r.statuses.Released(wfe.UID)
	if wait, err := r.retirePredecessors(ctx, wfe); err != nil || wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, err
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

// retirePredecessors stops the Workflows of earlier executions of the same name, and returns how long to wait for them; zero
// when there are none. It comes before anything else is decided about an execution, whatever that asks for.
func (r *Reconciler) retirePredecessors(ctx context.Context, wfe *wfev1.WorkflowExecution) (time.Duration, error) {
	held, err := r.held(ctx, client.ObjectKeyFromObject(wfe), wfe.UID)
	if err != nil || len(held) == 0 {
		return 0, err
	}
	return r.retire(ctx, held)
}

// retire stops Workflows whose execution no longer exists and releases each of them once its pods have stopped. It returns
// how long to wait before it is called again; zero when all are released.
func (r *Reconciler) retire(ctx context.Context, abandoned []*wfv1.Workflow) (time.Duration, error) {
	var wait time.Duration
	for _, wf := range abandoned {
		left, err := r.retireOne(ctx, wf)
		if err != nil {
			return 0, err
		}
		wait = earliest(wait, left)
	}
	return wait, nil
}

// retireOne counts an execution as cancelled when its Workflow had not ended: the mark is the record, and the finalizer is taken
// off once. Whether an end was recorded is not known any more, so a Workflow that had ended is not counted again. Argo's answer
// is not waited for longer than ignoredGrace: only pods matter, and a released Workflow is deleted.
func (r *Reconciler) retireOne(ctx context.Context, wf *wfv1.Workflow) (time.Duration, error) {
	if !wf.Status.Fulfilled() && !workflows.IsAbandoned(wf) {
		return retireRetry, r.workflows.Abandon(ctx, wf)
	}
	silent := wf.DeletionTimestamp != nil && r.now().Sub(wf.DeletionTimestamp.Time) > ignoredGrace
	if !wf.Status.Fulfilled() && !silent {
		return retireRetry, nil
	}
	pods, err := r.workflows.RunningPods(ctx, wf.Namespace, &wfev1.WorkflowReference{Name: wf.Name, UID: wf.UID})
	if err != nil {
		return 0, err
	}
	if len(pods) > 0 {
		return podRetry, r.workflows.DeletePods(ctx, pods)
	}
	released, err := r.workflows.Release(ctx, wf)
	owner := metav1.GetControllerOf(wf).UID
	counted := r.statuses.HasEnded(owner)
	if err == nil && released {
		r.statuses.Released(owner)
	}
	if err == nil && released && !counted && workflows.IsAbandoned(wf) && wf.Labels[wfev1.LabelDryRun] == "" {
		r.Metrics.ObserveDeletion()
	}
	return 0, err
}

// held are the Workflows of executions of a name that the finalizer holds, except those of the one with the UID keep.
func (r *Reconciler) held(ctx context.Context, of types.NamespacedName, keep types.UID) ([]*wfv1.Workflow, error) {
	if !r.engine.IsAvailable() {
		return nil, nil
	}
	return r.workflows.Held(ctx, of, keep)
}
