package controllers

import (
	"context"
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

// decisions are what is decided about the approvals that wait: by spec.approvals, or because nobody decided in time.
// The second result is how long until the next one expires, zero for never.
func (r *Reconciler) decisions(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) ([]translate.Decision, time.Duration) {
	asked := make(map[string]*wfev1.ApprovalRequest)
	for i := range wfe.Spec.Steps {
		if request := wfe.Spec.Steps[i].Approval; request != nil {
			asked[wfe.Spec.Steps[i].Name] = request
		}
	}
	given := make(map[string]*wfev1.Approval, len(wfe.Spec.Approvals))
	for i := range wfe.Spec.Approvals {
		given[wfe.Spec.Approvals[i].Step] = &wfe.Spec.Approvals[i]
	}
	var decided []translate.Decision
	var wait time.Duration
	for i := range wfe.Status.Steps {
		step := &wfe.Status.Steps[i]
		if step.Phase != wfev1.StepAwaitingApproval {
			continue
		}
		if approval := given[step.Name]; approval != nil {
			decided = append(decided, translate.Decide(wf, approval))
			continue
		}
		request := asked[step.Name]
		if request == nil || request.TimeoutSeconds == nil || step.StartTime == nil {
			continue
		}
		left := step.StartTime.Add(time.Duration(*request.TimeoutSeconds) * time.Second).Sub(r.now())
		if left <= 0 {
			decided = append(decided, translate.Expire(wf, step.Name, *request.TimeoutSeconds))
			continue
		}
		wait = earliest(wait, left)
	}
	return decided, wait
}

// decide writes decisions onto the nodes of the Workflow that was read: the patch carries its resourceVersion, so that
// it never meets a node that somebody else has ended meanwhile.
func (r *Reconciler) decide(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, decided []translate.Decision) error {
	if wf.Status.OffloadNodeStatusVersion != "" {
		return r.decideInArgo(ctx, wfe, wf, decided)
	}
	patch, err := translate.DecisionPatch(wf, decided, metav1.NewTime(r.now().Truncate(time.Second)))
	if err != nil {
		return fmt.Errorf("write the decision on Workflow %s: %w", wf.Name, err)
	}
	patched := wf.DeepCopy()
	if err := r.Patch(ctx, patched, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("write the decision on Workflow %s: %w", wf.Name, err))
	}
	r.written.note(patched)
	return nil
}

// decideInArgo lets the Argo server write decisions, for the nodes are not in the Workflow. It refuses a node that has
// ended meanwhile. What it does not allow stays undecided until somebody allows it, so that is told.
func (r *Reconciler) decideInArgo(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, decided []translate.Decision) error {
	for _, decision := range decided {
		written, err := r.ArgoServer.decide(ctx, wf, decision)
		if isForbidden(err) {
			r.Events.Eventf(wfe, wf, corev1.EventTypeWarning, "DecisionRefused", "Decide",
				"A decision cannot be written; allow the controller to update Workflows (config/components/argo-server): %s", err)
		}
		if err != nil {
			return fmt.Errorf("write the decision on Workflow %s: %w", wf.Name, err)
		}
		r.written.note(written)
	}
	return nil
}
