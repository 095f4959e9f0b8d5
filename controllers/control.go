package controllers

import (
	"context"
	"encoding/json"
	"fmt"
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

// control is what the recorded status asks of a Workflow in which so many steps run, or nil. Writes are patches that say again what is wanted:
// doing one twice does nothing.
func (r *Reconciler) control(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, running int, overdue []string, decided []translate.Decision) action {
	switch {
	case wf.Spec.Shutdown != "" || r.written.isBehind(wf):
		return nil
	case wfe.Spec.Cancel != wfev1.CancelNone, wfe.DeletionTimestamp != nil, hasFailure(wfe, wfev1.ReasonTimedOut):
		return func(ctx context.Context) error { return r.shutDown(ctx, wf) }
	case wfe.Status.Failure != nil && running == 0 && isSuspended(wf):
		return func(ctx context.Context) error { return r.shutDown(ctx, wf) }
	case wfe.Status.Failure != nil && !isSuspended(wf):
		return func(ctx context.Context) error { return r.suspend(ctx, wf) }
	case wfe.Spec.Suspended && !isSuspended(wf):
		return func(ctx context.Context) error { return r.suspend(ctx, wf) }
	case !wfe.Spec.Suspended && wfe.Status.Failure == nil && isSuspended(wf) && wf.Annotations[suspendedByUs] != "":
		return func(ctx context.Context) error { return r.resume(ctx, wf) }
	case len(decided) > 0 && !isSuspended(wf):
		return func(ctx context.Context) error { return r.decide(ctx, wfe, wf, decided) }
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
	patched := wf.DeepCopy()
	if err := r.Patch(ctx, patched, client.RawPatch(types.MergePatchType, encoded)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("patch Workflow %s: %w", wf.Name, err))
	}
	r.written.note(patched)
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
func (r *Reconciler) overdueSteps(steps []wfev1.StepStatus, timeouts map[string]time.Duration, wf *wfv1.Workflow) overdue {
	var found overdue
	for i := range steps {
		step := &steps[i]
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

func stepTimeouts(spec *wfev1.WorkflowExecutionSpec) map[string]time.Duration {
	timeouts := make(map[string]time.Duration, len(spec.Steps))
	for i := range spec.Steps {
		if seconds := spec.Steps[i].TimeoutSeconds; seconds != nil {
			timeouts[spec.Steps[i].Name] = time.Duration(*seconds) * time.Second
		}
	}
	return timeouts
}

func rollbackTimeouts(spec *wfev1.WorkflowExecutionSpec) map[string]time.Duration {
	timeouts := make(map[string]time.Duration, len(spec.Steps))
	for i := range spec.Steps {
		if undo := spec.Steps[i].Rollback; undo != nil && undo.TimeoutSeconds != nil {
			timeouts[spec.Steps[i].Name] = time.Duration(*undo.TimeoutSeconds) * time.Second
		}
	}
	return timeouts
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
