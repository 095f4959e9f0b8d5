package actions

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// maxUnready bounds the number of pods that a message names.
const maxUnready = 2

// unreadyPods returns a function that describes why pods of a workload are not Ready, for the message of a wait that failed.
func (w workload[T, L]) unreadyPods(s *contract.Step, found T) func(context.Context) string {
	return func(ctx context.Context) string {
		selector := w.selector(found)
		if selector == nil {
			return ""
		}
		pods, err := s.Kube.CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector)})
		if err != nil {
			s.Log.Warn("cannot list the pods", "kind", w.kind, "name", found.GetName(), "error", err.Error())
			return ""
		}
		slices.SortStableFunc(pods.Items, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
		var texts []string
		for i := range pods.Items {
			if p := &pods.Items[i]; !isReady(p) && !hasEnded(p) && len(texts) < maxUnready {
				texts = append(texts, "pod "+p.Name+" "+describeUnready(p))
			}
		}
		if len(texts) == 0 {
			return ""
		}
		return ": " + strings.Join(texts, "; ")
	}
}

// describeUnready describes why a pod is not Ready, from its conditions and the states of its containers.
func describeUnready(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return strings.TrimPrefix(describeTerminating(p), "it ")
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "is not scheduled: " + c.Message
		}
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if waiting := c.State.Waiting; waiting != nil && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing" {
			text := "container " + c.Name + " is waiting: " + waiting.Reason
			if last := c.LastTerminationState.Terminated; last != nil {
				text += ", last terminated with " + last.Reason
			}
			if waiting.Message != "" {
				text += " (" + waiting.Message + ")"
			}
			return text
		}
	}
	return "is not Ready"
}

// listPodsRule is the permission to describe unready pods.
func listPodsRule() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}
}
