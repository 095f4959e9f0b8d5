package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// settle is what is left to do for an execution that has ended: let its Workflows go, and delete it when its time to
// live is over.
func (r *Reconciler) settle(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	for _, ref := range []*wfev1.WorkflowReference{wfe.Status.WorkflowRef, wfe.Status.RollbackRef} {
		if ref == nil || !r.engine.isAvailable() { // to read kinds that are not there would wait for them for ever
			continue
		}
		wf := &wfv1.Workflow{}
		key := client.ObjectKey{Namespace: wfe.Namespace, Name: ref.Name}
		err := r.Get(ctx, key, wf)
		if apierrors.IsNotFound(err) || err == nil && wf.UID != ref.UID {
			r.forgetWorkflow(key)
			continue
		}
		if err != nil {
			return ctrl.Result{}, fmt.Errorf("get Workflow: %w", err)
		}
		if _, err := r.release(ctx, wf); err != nil {
			return ctrl.Result{}, err
		}
	}
	return r.expire(ctx, wfe)
}

// expire deletes an execution whose time to live is over; its Workflows follow it.
func (r *Reconciler) expire(ctx context.Context, wfe *wfev1.WorkflowExecution) (ctrl.Result, error) {
	ttl, ended := wfe.Spec.TTLSecondsAfterFinished, wfe.Status.CompletionTime
	if ttl == nil || ended == nil || wfe.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	if wait := ended.Add(time.Duration(*ttl) * time.Second).Sub(r.now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	err := r.Delete(ctx, wfe, client.Preconditions{UID: &wfe.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("delete the WorkflowExecution after its time to live: %w", err)
	}
	return ctrl.Result{}, nil
}

// release takes our finalizer off a Workflow whose end has been recorded, and lets it leave the cache. It reports whether
// the finalizer was there.
func (r *Reconciler) release(ctx context.Context, wf *wfv1.Workflow) (bool, error) {
	if !r.isHeld(wf) {
		return false, nil
	}
	released := wf.DeepCopy()
	released.Finalizers = slices.DeleteFunc(released.Finalizers, func(name string) bool { return name == wfev1.FinalizerObserved })
	if wf.Status.Fulfilled() {
		metav1.SetMetaDataLabel(&released.ObjectMeta, wfev1.LabelObserved, "true")
	} else {
		// Nobody follows it any more: it must not start steps until the garbage collector comes.
		released.Spec.Shutdown, released.Spec.Suspend = wfv1.ShutdownStrategyTerminate, nil
	}
	patch := client.MergeFromWithOptions(wf, client.MergeFromWithOptimisticLock{})
	if err := r.Patch(ctx, released, patch); err != nil {
		return false, client.IgnoreNotFound(fmt.Errorf("release Workflow %s: %w", wf.Name, err))
	}
	r.written.note(released)
	r.silences.forget(client.ObjectKeyFromObject(wf))
	return true, nil
}

// releaseAbandoned lets the Workflows of an execution go that is no longer there, and counts it as cancelled when its
// Workflow had not ended: the finalizer is the record, taken off once. Whether an end was recorded is not known any
// more, so an ended Workflow is not counted again. The Workflows of the execution with the UID keep are left alone.
func (r *Reconciler) releaseAbandoned(ctx context.Context, key types.NamespacedName, keep types.UID) error {
	held, err := r.held(ctx, key, keep)
	if err != nil {
		return err
	}
	for _, wf := range held {
		released, err := r.release(ctx, wf)
		if err != nil {
			return err
		}
		if released && wf.Labels[wfev1.LabelDryRun] == "" && !wf.Status.Fulfilled() {
			r.Metrics.ObserveDeletion()
		}
	}
	return nil
}

// held are the Workflows of executions of a name that our finalizer holds, but for those of the one with the UID keep.
func (r *Reconciler) held(ctx context.Context, of types.NamespacedName, keep types.UID) ([]*wfv1.Workflow, error) {
	if !r.engine.isAvailable() { // nor are there Workflows
		return nil, nil
	}
	var held []*wfv1.Workflow
	for _, name := range []string{of.Name, of.Name + wfev1.RollbackSuffix} {
		wf, key := &wfv1.Workflow{}, types.NamespacedName{Namespace: of.Namespace, Name: name}
		err := r.Get(ctx, key, wf)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("get Workflow: %w", err)
		}
		owner := metav1.GetControllerOf(wf)
		switch {
		case err != nil || owner == nil || owner.Kind != wfev1.Kind || owner.Name != of.Name:
			r.forgetWorkflow(key)
		case owner.UID != keep && r.isHeld(wf):
			held = append(held, wf)
		}
	}
	return held, nil
}

// forgetWorkflow drops what is known of a Workflow that the cache does not have any more.
func (r *Reconciler) forgetWorkflow(key types.NamespacedName) {
	r.written.forget(key)
	r.silences.forget(key)
}

// isHeld reports whether our finalizer is on a Workflow, as far as is known: the cache may not show yet that we took it off.
func (r *Reconciler) isHeld(wf *wfv1.Workflow) bool {
	return slices.Contains(wf.Finalizers, wfev1.FinalizerObserved) && !r.written.isBehind(wf)
}
