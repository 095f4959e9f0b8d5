package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/workflows"
)

// cleanUp is what is left to do for an execution that has ended: release its Workflows, and delete it when its time to live
// is over.
func (r *Reconciler) cleanUp(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	released := true
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
		if r.workflows.IsStale(wf) {
			released = false
			continue
		}
		if _, err := r.workflows.Release(ctx, wf); err != nil {
			return ctrl.Result{}, err
		}
	}
	if released {
		r.statuses.Released(wfe.UID)
	}
	if wait, err := r.retireOthers(ctx, wfe); err != nil || wait > 0 {
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

// retireOthers stops the Workflows under the names of an execution that it does not follow: those of earlier executions of its
// name, and one that was created for it after it had ended. It returns how long to wait for them; zero when there are none.
// It comes before every other decision about the execution.
func (r *Reconciler) retireOthers(ctx context.Context, wfe *wfev1.WorkflowExecution) (time.Duration, error) {
	held, err := r.held(ctx, client.ObjectKeyFromObject(wfe))
	others := slices.DeleteFunc(held, func(wf *wfv1.Workflow) bool { return isFollowed(wfe, wf) })
	if err != nil || len(others) == 0 {
		return 0, err
	}
	// The cache of executions may be older than that of Workflows, and these may belong to a newer execution of the name.
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(wfev1.GroupVersion.WithKind(wfev1.Kind))
	err = r.Live.Get(ctx, client.ObjectKeyFromObject(wfe), live)
	if client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("get the WorkflowExecution: %w", err)
	}
	if err == nil && live.UID != wfe.UID {
		return 0, staleConflict(wfe)
	}
	return r.retire(ctx, others, wfe.UID)
}

// isFollowed reports whether a Workflow is one that an execution follows, or is about to.
func isFollowed(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) bool {
	for _, ref := range []*wfev1.WorkflowReference{wfe.Status.WorkflowRef, wfe.Status.RollbackRef} {
		if ref != nil && ref.UID == wf.UID {
			return true
		}
	}
	return workflows.IsOf(wf, wfe) && !wfe.Status.Phase.IsTerminal()
}

// retire stops Workflows that no execution follows. It returns how long to wait before it is called again; zero when all are
// released. The execution of such a Workflow counts as cancelled if the Workflow had not ended, except the one with the UID
// counted. Only this process knows whether an end was recorded, so a Workflow that had ended is not counted again.
func (r *Reconciler) retire(ctx context.Context, abandoned []*wfv1.Workflow, counted types.UID) (time.Duration, error) {
	var wait time.Duration
	for _, wf := range abandoned {
		left, released, err := r.workflows.Retire(ctx, wf)
		if err != nil {
			return 0, err
		}
		wait = earliest(wait, left)
		var owner types.UID
		if ref := metav1.GetControllerOf(wf); ref != nil {
			owner = ref.UID
		}
		if !released || owner == counted && counted != "" {
			continue
		}
		if workflows.IsAbandoned(wf) && wf.Labels[wfev1.LabelDryRun] == "" && !r.statuses.HasEnded(owner) {
			r.Metrics.ObserveDeletion()
		}
		r.statuses.Released(owner)
	}
	return wait, nil
}

// held are the Workflows of executions of a name that the finalizer holds.
func (r *Reconciler) held(ctx context.Context, of types.NamespacedName) ([]*wfv1.Workflow, error) {
	if !r.engine.IsAvailable() {
		return nil, nil
	}
	return r.workflows.Held(ctx, of)
}
