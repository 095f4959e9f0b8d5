package controllers

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// followBlind follows a Workflow whose nodes Argo keeps in a database: what its steps did cannot be seen, so they stay
// as they were last seen, and nothing is rolled back. The execution ends as the Workflow does.
func (r *Reconciler) followBlind(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) (ctrl.Result, action, error) {
	const message = "Argo keeps the nodes of this Workflow in a database; look at the steps in the Argo UI"
	setCondition(wfe, wfev1.ConditionNodeStatusUnavailable, metav1.ConditionTrue, "Offloaded", message)
	switch {
	case !wf.Status.Fulfilled():
		r.setCause(wfe)
		r.setLivePhase(wfe, wf)
		return ctrl.Result{RequeueAfter: r.untilDeadline(wfe)}, r.control(wfe, wf, nil, nil), nil
	case wf.Status.Phase == wfv1.WorkflowSucceeded:
		r.finish(wfe, wfev1.PhaseCompleted, "Completed", "the Workflow succeeded; "+message)
	case isCancelled(wfe) || wfe.Status.Failure != nil:
		r.endAsCaused(wfe)
	default:
		r.fail(wfe, wfev1.Failure{Reason: wfev1.ReasonNodeStatusUnavailable, Message: "the Workflow failed: " + wf.Status.Message + ". " + message})
	}
	return ctrl.Result{}, nil, nil
}
