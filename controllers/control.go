package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// suspendedByUs marks a Workflow that the controller suspended, so that it never resumes what somebody suspended
	// in Argo.
	suspendedByUs = "workflowexecution.kubernaut.io/suspended"
	// startGrace is how much longer than its timeout a pod may take to start before it is deleted: Argo ends what it
	// can end by itself first.
	startGrace = 2 * time.Second
)

// control is what the recorded status asks of the Workflow, or nil. Writes are patches that say again what is wanted:
// doing one twice does nothing.
func (r *Reconciler) control(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, overdue []string) action {
	switch {
	case wf.Spec.Shutdown != "":
		return nil
	case isCancelled(wfe), hasFailure(wfe, wfev1.ReasonTimedOut):
		return func(ctx context.Context) error { return r.shutDown(ctx, wf) }
	case wfe.Status.Failure != nil && translate.Running(wf) == 0 && isSuspended(wf):
		return func(ctx context.Context) error { return r.shutDown(ctx, wf) }
	case wfe.Status.Failure != nil && !isSuspended(wf):
		return func(ctx context.Context) error { return r.suspend(ctx, wf) }
	case wfe.Spec.Suspended && !isSuspended(wf):
		return func(ctx context.Context) error { return r.suspend(ctx, wf) }
	case !wfe.Spec.Suspended && wfe.Status.Failure == nil && isSuspended(wf) && wf.Annotations[suspendedByUs] != "":
		return func(ctx context.Context) error { return r.resume(ctx, wf) }
	case len(overdue) > 0:
		return func(ctx context.Context) error { return r.deletePods(ctx, wfe.Namespace, overdue) }
	}
	return nil
}

func hasFailure(wfe *wfev1.WorkflowExecution, reason wfev1.FailureReason) bool {
	return wfe.Status.Failure != nil && wfe.Status.Failure.Reason == reason
}

// suspend keeps new steps from starting; running ones finish.
func (r *Reconciler) suspend(ctx context.Context, wf *wfv1.Workflow) error {
	return r.patchWorkflow(ctx, wf, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{suspendedByUs: "true"}},
		"spec":     map[string]any{"suspend": true},
	})
}

func (r *Reconciler) resume(ctx context.Context, wf *wfv1.Workflow) error {
	return r.patchWorkflow(ctx, wf, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{suspendedByUs: nil}},
		"spec":     map[string]any{"suspend": nil},
	})
}

// shutDown ends the Workflow. The suspension is cleared in the same patch, for Argo never ends a suspended Workflow
// (operator.go:331).
func (r *Reconciler) shutDown(ctx context.Context, wf *wfv1.Workflow) error {
	return r.patchWorkflow(ctx, wf, map[string]any{
		"spec": map[string]any{"shutdown": string(wfv1.ShutdownStrategyTerminate), "suspend": nil},
	})
}

func (r *Reconciler) patchWorkflow(ctx context.Context, wf *wfv1.Workflow, patch map[string]any) error {
	encoded, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	if err := r.Patch(ctx, wf.DeepCopy(), client.RawPatch(types.MergePatchType, encoded)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("patch Workflow %s: %w", wf.Name, err))
	}
	return nil
}

// overdue is the pods that did not start within their step's timeout, and how long until the next one will be late.
type overdue struct {
	pods []string
	wait time.Duration
}

// overdueSteps finds the steps whose pod did not start in time. Under a retry strategy Argo sees only the Retry node,
// which runs (operator.go:2102); and a pod that starts after all must not do so after the rollback. Why it is late is
// noted in the step before its pod is deleted.
func (r *Reconciler) overdueSteps(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) overdue {
	timeouts := make(map[string]time.Duration, len(wfe.Spec.Steps))
	for i := range wfe.Spec.Steps {
		if s := wfe.Spec.Steps[i].TimeoutSeconds; s != nil {
			timeouts[wfe.Spec.Steps[i].Name] = time.Duration(*s) * time.Second
		}
	}
	var found overdue
	for i := range wfe.Status.Steps {
		step := &wfe.Status.Steps[i]
		timeout, bounded := timeouts[step.Name]
		if !bounded || step.Phase.IsTerminal() {
			continue
		}
		since, pod := translate.PendingSince(wf, step.Name)
		if since == nil {
			continue
		}
		wait := since.Add(timeout + startGrace).Sub(r.now())
		if wait > 0 {
			found.wait = earliest(found.wait, wait)
			continue
		}
		if step.Reason == "" {
			step.Reason = wfev1.ReasonDeadlineExceeded
		}
		found.pods = append(found.pods, pod)
	}
	return found
}

func (r *Reconciler) deletePods(ctx context.Context, namespace string, names []string) error {
	for _, name := range names {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		if err := r.Delete(ctx, pod); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete pod %s, which did not start in time: %w", name, err)
		}
	}
	return nil
}

// release takes our finalizer off a Workflow whose end has been recorded. It reports whether it was there.
func (r *Reconciler) release(ctx context.Context, wf *wfv1.Workflow) (bool, error) {
	at := slices.Index(wf.Finalizers, wfev1.FinalizerObserved)
	if at < 0 {
		return false, nil
	}
	released := wf.DeepCopy()
	released.Finalizers = slices.Delete(released.Finalizers, at, at+1)
	patch := client.MergeFromWithOptions(wf, client.MergeFromWithOptimisticLock{})
	if err := r.Patch(ctx, released, patch); err != nil {
		return false, client.IgnoreNotFound(fmt.Errorf("release Workflow %s: %w", wf.Name, err))
	}
	return true, nil
}

// releaseAbandoned lets the Workflows of an execution go that is no longer there, and counts it as cancelled when its
// Workflow had not ended: the finalizer is the record, taken off once. Whether an end was recorded is not known any
// more, so an ended Workflow is not counted again. The Workflows of the execution with the UID keep are left alone.
func (r *Reconciler) releaseAbandoned(ctx context.Context, key types.NamespacedName, keep types.UID) error {
	for _, name := range []string{key.Name, key.Name + wfev1.RollbackSuffix} {
		wf := &wfv1.Workflow{}
		if err := r.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: name}, wf); err != nil {
			if client.IgnoreNotFound(err) == nil {
				continue
			}
			return fmt.Errorf("get Workflow: %w", err)
		}
		owner := metav1.GetControllerOf(wf)
		if owner == nil || owner.Kind != wfev1.Kind || owner.Name != key.Name || owner.UID == keep {
			continue
		}
		released, err := r.release(ctx, wf)
		if err != nil {
			return err
		}
		if released && wf.Labels[wfev1.LabelRole] == wfev1.RoleMain && wf.Labels[wfev1.LabelDryRun] == "" && !wf.Status.Fulfilled() {
			r.Metrics.ObserveDeletion()
		}
	}
	return nil
}
