package controllers

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

const (
	// nodesRetry is how long after a failed attempt the Argo server is asked for nodes again.
	nodesRetry = 10 * time.Second
	// nodesGrace is how long after the end of a Workflow its nodes are waited for; then the execution ends without.
	nodesGrace = 5 * time.Minute

	offloaded = "Argo keeps the nodes of this Workflow in a database"
)

// see unpacks the nodes or fills in those that Argo keeps in a database, and reports whether the Workflow's nodes are all
// there now.
func (r *Reconciler) see(ctx context.Context, wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) bool {
	expanded, err := translate.Expand(wf)
	if err != nil {
		setUnseen(wfe, "Garbled", "the compressed nodes of the Workflow cannot be read")
		return false
	}
	*wf = *expanded
	if wf.Status.OffloadNodeStatusVersion != "" {
		if r.ArgoServer == nil {
			setUnseen(wfe, "Offloaded", offloaded+", and the controller has no --argo-server-url; look at the steps in the Argo UI")
			return false
		}
		nodes, err := r.ArgoServer.nodes(ctx, wf)
		if err != nil { // its text differs from one attempt to the next, and would cost a write each time
			log.FromContext(ctx).Error(err, "Cannot read offloaded nodes", "Workflow", wf.Name)
			setUnseen(wfe, "ArgoServer", offloaded+", and the Argo server does not tell them; the controller's log says why")
			return false
		}
		wf.Status.Nodes = nodes
	}
	if meta.IsStatusConditionTrue(wfe.Status.Conditions, wfev1.ConditionNodeStatusUnavailable) {
		setCondition(wfe, wfev1.ConditionNodeStatusUnavailable, metav1.ConditionFalse, "Available", "the nodes can be seen")
	}
	return true
}

func setUnseen(wfe *wfev1.WorkflowExecution, reason, message string) {
	setCondition(wfe, wfev1.ConditionNodeStatusUnavailable, metav1.ConditionTrue, reason, message)
}

// unseen says why the nodes cannot be seen.
func unseen(wfe *wfev1.WorkflowExecution) string {
	return meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionNodeStatusUnavailable).Message
}

// followBlind follows a Workflow whose nodes cannot be seen: the steps stay as they were last seen, and nothing is
// rolled back. The execution ends as the Workflow does, but not before the Argo server had time to come back.
func (r *Reconciler) followBlind(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) (ctrl.Result, action, error) {
	switch {
	case !wf.Status.Fulfilled() && wf.DeletionTimestamp != nil:
		r.endVanished(wfe, "the Workflow was deleted by somebody else")
	case !wf.Status.Fulfilled():
		r.setCause(wfe)
		wait := r.untilDeadline(wfe)
		running := translate.RunningSteps(wfe.Status.Steps)
		if wait <= 0 { // what was last seen running is not waited for any longer
			running = 0
		}
		r.setLivePhase(wfe, wf, running)
		if r.ArgoServer != nil {
			wait = earliest(wait, nodesRetry)
		}
		result, act := r.orRemind(wf, ctrl.Result{RequeueAfter: wait}, r.control(wfe, wf, running, nil, nil))
		return result, act, nil
	case r.mayYetSee(wf):
		return ctrl.Result{RequeueAfter: nodesRetry}, nil, nil
	case wf.Status.Phase == wfv1.WorkflowSucceeded:
		r.finish(wfe, wfev1.PhaseCompleted, "Completed", "the Workflow succeeded; "+unseen(wfe))
	case isCancelled(wfe) || wfe.Status.Failure != nil:
		r.endAsCaused(wfe)
	default:
		r.fail(wfe, wfev1.Failure{Reason: wfev1.ReasonNodeStatusUnavailable, Message: "the Workflow failed: " + wf.Status.Message + "; " + unseen(wfe)})
	}
	return ctrl.Result{}, nil, nil
}

// mayYetSee reports whether an ended Workflow's nodes are worth waiting for.
func (r *Reconciler) mayYetSee(wf *wfv1.Workflow) bool {
	return r.ArgoServer != nil && r.now().Before(wf.Status.FinishedAt.Add(nodesGrace))
}

// followRollbackBlind follows a rollback whose nodes cannot be seen.
func (r *Reconciler) followRollbackBlind(wfe *wfev1.WorkflowExecution, wf *wfv1.Workflow) ctrl.Result {
	if r.mayYetSee(wf) {
		return ctrl.Result{RequeueAfter: nodesRetry}
	}
	r.stopRollbackSteps(wfe)
	r.endRollback(wfe, unseen(wfe)+": what it undid is not known; it ended as "+string(wf.Status.Phase))
	return ctrl.Result{}
}
