package controllers

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/internal/workflows"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// decisions are the decisions on the approvals that wait: those in spec.approvals, and the expiry of those without a decision
// in time. The second result is how long until the next one expires, zero for never.
func decisions(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, now time.Time) ([]translate.Decision, time.Duration) {
	requests := make(map[string]*wfev1.ApprovalRequest)
	for i := range wfe.Spec.Steps {
		if request := wfe.Spec.Steps[i].Approval; request != nil {
			requests[wfe.Spec.Steps[i].Name] = request
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
		request := requests[step.Name]
		if request == nil || request.TimeoutSeconds == nil || step.StartTime == nil {
			continue
		}
		left := step.StartTime.Add(time.Duration(*request.TimeoutSeconds) * time.Second).Sub(now)
		if left <= 0 {
			decided = append(decided, translate.Expire(wf, step.Name, *request.TimeoutSeconds))
			continue
		}
		wait = earliest(wait, left)
	}
	return decided, wait
}

// decide writes decisions onto the nodes of a Workflow. A decision that the Argo server refuses because the controller lacks a permission
// stays open until an administrator grants it, so an Event says so.
func (r *Reconciler) decide(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow, decided []translate.Decision) error {
	err := r.workflows.Decide(ctx, wf, decided, *wholeSecond(r.now()))
	if workflows.IsForbidden(err) {
		r.Events.Eventf(wfe, wf, corev1.EventTypeWarning, wfev1.EventDecisionRefused, "Decide",
			"A decision cannot be written; allow the controller to update Workflows (config/components/argo-server): %s", err)
	}
	return err
}

// awaitingApproval are the steps that wait for a decision.
func awaitingApproval(wfe *wfev1.WorkflowExecution) []string {
	var names []string
	for i := range wfe.Status.Steps {
		if wfe.Status.Steps[i].Phase == wfev1.StepAwaitingApproval {
			names = append(names, wfe.Status.Steps[i].Name)
		}
	}
	return names
}
