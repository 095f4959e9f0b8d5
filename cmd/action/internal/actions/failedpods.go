package actions

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// labelWorkflow is set on every pod of Argo. Deleting such a pod fails its step.
const labelWorkflow = "workflows.argoproj.io/workflow"

func deleteFailedPods() contract.Action {
	return contract.Action{
		Name:    "delete-failed-pods",
		Summary: "Deletes the failed and evicted pods of a namespace, except the pods of Workflows.",
		Undo:    "cannot be undone",
		Parameters: []contract.Parameter{
			{Name: "selector", Description: "The labels of the pods to delete; all failed pods if empty.", Check: contract.Selector},
			{
				Name: "older-than-seconds", Description: "The least age of a pod to delete.",
				Default: "0", Check: contract.NonNegative,
			},
			contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{
			contract.ChangedOutput(),
			{Name: "deleted", Description: "The number of pods that were deleted (in a dry run: would be deleted)."},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list", "delete"}},
			markRules(),
		},
		Run: runDeleteFailedPods,
	}
}

func runDeleteFailedPods(ctx context.Context, s *contract.Step) error {
	m, again, err := findMark(ctx, s)
	if err != nil {
		return err
	}
	failed, err := listFailedPods(ctx, s)
	if err != nil {
		return err
	}
	if !again && len(failed) > 0 {
		about := corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: s.Namespace, Name: failed[0].Name, UID: failed[0].UID}
		message := fmt.Sprintf("Step %s: %s, %d pods", s.Identity.Step, s.Identity.Action, len(failed))
		if _, err := createMark(ctx, s, about, message, map[string]string{"deleted": strconv.Itoa(len(failed))}); err != nil {
			return err
		}
	}
	deleted := 0
	for i := range failed {
		if err = deleteThisPod(ctx, s, &failed[i]); err != nil {
			break
		}
		deleted++
	}
	if total, invalid := strconv.Atoi(m.previous["deleted"]); again && invalid == nil {
		// The mark counts the pods of all attempts, this one's included.
		deleted = max(deleted, total-(len(failed)-deleted))
	}
	return errors.Join(err, s.Changed(deleted > 0), s.Output("deleted", strconv.Itoa(deleted)))
}

func listFailedPods(ctx context.Context, s *contract.Step) ([]corev1.Pod, error) {
	var all *corev1.PodList
	err := s.Retry(ctx, "listing failed pods", func(ctx context.Context) (err error) {
		all, err = s.Kube.CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{
			LabelSelector: s.String("selector"), FieldSelector: "status.phase=" + string(corev1.PodFailed),
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing failed pods: %w", err)
	}
	latest := time.Now().Add(-s.Seconds("older-than-seconds"))
	var failed []corev1.Pod
	for _, p := range all.Items {
		_, isStep := p.Labels[labelWorkflow]
		if p.Status.Phase == corev1.PodFailed && !isStep && !p.CreationTimestamp.After(latest) {
			failed = append(failed, p)
		}
	}
	return failed, nil
}

func deleteThisPod(ctx context.Context, s *contract.Step, p *corev1.Pod) error {
	err := s.Retry(ctx, "deleting pod "+p.Name, func(ctx context.Context) error {
		err := s.Kube.CoreV1().Pods(s.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &p.UID}, DryRun: s.DryRunOption(),
		})
		if apierrors.IsConflict(err) {
			err = conflictOfPod(ctx, s, p.Namespace, p.Name, p.UID, err)
		}
		if apierrors.IsNotFound(err) || errors.Is(err, errPodGone) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting pod %s: %w", p.Name, err)
	}
	s.Log.Info("deleted", "kind", "pod", "name", p.Name, "reason", p.Status.Reason, "dryRun", s.DryRun)
	return nil
}
