package workflows

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// labelWorkflow is Argo's label on the pods of a Workflow (workflow/common/common.go LabelKeyWorkflow).
const labelWorkflow = "workflows.argoproj.io/workflow"

// RunningPods lists from the API server the pods of a Workflow that have not ended. The Workflow itself need not exist any
// more, and its end says nothing about them: on shutdown Argo marks the nodes at once (exec_control.go:47), and a program that
// ignores SIGTERM runs for its grace period.
func (s *Store) RunningPods(ctx context.Context, namespace string, ref *wfev1.WorkflowReference) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	if err := s.live.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{labelWorkflow: ref.Name}); err != nil {
		return nil, fmt.Errorf("list the pods of Workflow %s: %w", ref.Name, err)
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		isOwner := func(owner metav1.OwnerReference) bool { return owner.UID == ref.UID }
		return ended || !slices.ContainsFunc(pod.OwnerReferences, isOwner)
	}), nil
}

// DeletePods deletes pods that were read, and no others of their names. One that is being deleted already, or no longer
// exists, is left alone.
func (s *Store) DeletePods(ctx context.Context, pods []corev1.Pod) error {
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp != nil {
			continue
		}
		err := s.client.Delete(ctx, pod, client.Preconditions{UID: &pod.UID})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete pod %s: %w", pod.Name, err)
		}
	}
	return nil
}

// DeletePodsNamed deletes those pods of a Workflow that have one of the names and have not ended.
func (s *Store) DeletePodsNamed(ctx context.Context, namespace string, ref *wfev1.WorkflowReference, names []string) error {
	pods, err := s.RunningPods(ctx, namespace, ref)
	if err != nil {
		return err
	}
	return s.DeletePods(ctx, slices.DeleteFunc(pods, func(pod corev1.Pod) bool { return !slices.Contains(names, pod.Name) }))
}
