package workflows

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// annotationSuspended marks a Workflow that the controller suspended, so that it never resumes one that was suspended in
// Argo.
const annotationSuspended = "workflowexecution.kubernaut.io/suspended"

// IsSuspended reports whether a Workflow starts no new steps.
func IsSuspended(wf *wfv1.Workflow) bool { return wf.Spec.Suspend != nil && *wf.Spec.Suspend }

// IsSuspendedByController reports whether the controller suspended the Workflow.
func IsSuspendedByController(wf *wfv1.Workflow) bool {
	return IsSuspended(wf) && wf.Annotations[annotationSuspended] != ""
}

// IsIgnored reports whether Argo never picked up a Workflow that it was asked to end. Nothing ran in it, and if Argo picks
// it up after all, Argo ends it at once.
func IsIgnored(wf *wfv1.Workflow) bool { return wf.Status.Phase == "" && wf.Spec.Shutdown != "" }

// Suspend keeps new steps from starting; running ones finish.
func (s *Store) Suspend(ctx context.Context, wf *wfv1.Workflow) error {
	return s.patch(ctx, wf, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{annotationSuspended: "true"}},
		"spec":     map[string]any{"suspend": true},
	})
}

// Resume lets new steps start again.
func (s *Store) Resume(ctx context.Context, wf *wfv1.Workflow) error {
	return s.patch(ctx, wf, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{annotationSuspended: nil}},
		"spec":     map[string]any{"suspend": nil},
	})
}

// ShutDown ends the Workflow: running steps are stopped, and no others start. The suspension is cleared in the same patch,
// since Argo never ends a suspended Workflow (operator.go:331).
func (s *Store) ShutDown(ctx context.Context, wf *wfv1.Workflow) error {
	return s.patch(ctx, wf, map[string]any{
		"spec": map[string]any{"shutdown": string(wfv1.ShutdownStrategyTerminate), "suspend": nil},
	})
}

// HasLostLabels reports whether a Workflow that has not been released lacks the labels by which the cache selects it.
func HasLostLabels(wf *wfv1.Workflow) bool {
	return wf.Labels[wfev1.LabelRole] == "" || wf.Labels[wfev1.LabelObserved] != ""
}

// Relabel puts back the labels of a Workflow that lost them, and removes the one that hides it from the cache. Without them
// the controller would see no further change of it and never release it; without Argo's, Argo would not run it.
func (s *Store) Relabel(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, options translate.Options) error {
	role := wfev1.RoleMain
	if wf.Name != wfe.Name {
		role = wfev1.RoleRollback
	}
	labels := map[string]any{wfev1.LabelObserved: nil}
	for key, value := range translate.Labels(wfe, role, options) {
		labels[key] = value
	}
	return s.patch(ctx, wf, map[string]any{"metadata": map[string]any{"labels": labels}})
}

// Decide writes decisions onto the nodes of the Workflow as it was read. The patch carries its resourceVersion, so that it
// never changes a node that has ended meanwhile. Nodes that Argo keeps in a database are written by the Argo server, which
// refuses a node that has ended.
func (s *Store) Decide(ctx context.Context, wf *wfv1.Workflow, decisions []translate.Decision, now metav1.Time) error {
	if wf.Status.OffloadNodeStatusVersion != "" {
		return s.decideOffloaded(ctx, wf, decisions)
	}
	patch, err := translate.DecisionPatch(wf, decisions, now)
	if err != nil {
		return fmt.Errorf("write the decision on Workflow %s: %w", wf.Name, err)
	}
	return s.write(ctx, wf, wf.DeepCopy(), client.RawPatch(types.MergePatchType, patch), "write the decision on")
}

func (s *Store) decideOffloaded(ctx context.Context, wf *wfv1.Workflow, decisions []translate.Decision) error {
	for _, decision := range decisions {
		written, err := s.argoServer.decide(ctx, wf, decision)
		if err != nil {
			return fmt.Errorf("write the decision on Workflow %s: %w", wf.Name, err)
		}
		s.writes.WroteAt(written)
	}
	return nil
}
