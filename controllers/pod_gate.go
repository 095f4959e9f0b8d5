package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	// podRetry is how often pods that are being stopped are listed again.
	podRetry = 2 * time.Second
	// podStuckAfter is how long after its grace period a deleted pod counts as stuck: the kubelet of its node does not answer.
	podStuckAfter = time.Minute
)

// isPlainSuccess reports whether a run ended as it was meant to, so that none of its pods can still run.
func isPlainSuccess(run run, wf *wfv1.Workflow) bool {
	if wf.Status.Phase != wfv1.WorkflowSucceeded || wf.Spec.Shutdown != "" {
		return false
	}
	for i := range *run.steps {
		if phase := (*run.steps)[i].Phase; phase == wfev1.StepFailed || phase == wfev1.StepCancelled {
			return false
		}
	}
	return true
}

// awaitPods deletes the pods of a run whose Workflow has ended, or no longer exists, and reports whether all have stopped:
// no step runs during an undo, and the target is not free while a pod runs. A pod counts as running until it stops, unless
// spec.cancel is Terminate, by which the user accepts that the pod may still run.
func (r *Reconciler) awaitPods(ctx context.Context, wfe *wfev1.WorkflowExecution, run run) (bool, error) {
	pods, err := r.workflows.RunningPods(ctx, wfe.Namespace, run.ref)
	if err != nil {
		return false, err
	}
	stuck := stuckPod(pods, r.now())
	if len(pods) == 0 || stuck != nil && wfe.Spec.Cancel == wfev1.CancelTerminate {
		clearStuck(wfe)
		return true, nil
	}
	if stuck != nil {
		setStuck(wfe, stuck)
	}
	setReconciling(wfe, wfev1.ReasonEnding, "waiting until the pods of the stopped steps are gone")
	return false, r.workflows.DeletePods(ctx, pods)
}

// stuckPod is a pod that has not stopped long after its grace period.
func stuckPod(pods []corev1.Pod, now time.Time) *corev1.Pod {
	for i := range pods {
		if deleted := pods[i].DeletionTimestamp; deleted != nil && now.Sub(deleted.Time) > podStuckAfter {
			return &pods[i]
		}
	}
	return nil
}

func setStuck(wfe *wfev1.WorkflowExecution, pod *corev1.Pod) {
	setCondition(wfe, wfev1.ConditionStalled, metav1.ConditionTrue, wfev1.ReasonPodNotStopping, fmt.Sprintf(
		"pod %s on node %s does not stop, so nothing is rolled back and the target stays locked: bring the node back, or delete the pod with --force once its containers "+
			"are known to be stopped; spec.cancel: Terminate ends the execution without waiting for the pod", pod.Name, pod.Spec.NodeName))
}

func clearStuck(wfe *wfev1.WorkflowExecution) {
	if c := meta.FindStatusCondition(wfe.Status.Conditions, wfev1.ConditionStalled); c != nil && c.Reason == wfev1.ReasonPodNotStopping {
		meta.RemoveStatusCondition(&wfe.Status.Conditions, wfev1.ConditionStalled)
	}
}
