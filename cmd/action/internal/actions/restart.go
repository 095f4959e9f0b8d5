package actions

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// annotationRestartedAt is the annotation of the pod template that kubectl rollout restart sets.
const annotationRestartedAt = "kubectl.kubernetes.io/restartedAt"

// recordRestartedAt is the key of a step's own time in its record.
const recordRestartedAt = "restarted-at"

func restartDeployment() contract.Action {
	return contract.Action{
		Name:    "restart-deployment",
		Summary: "Replaces all pods of a Deployment according to its strategy, as kubectl rollout restart does, and waits for the rollout.",
		Undo:    "nothing to undo",
		Parameters: []contract.Parameter{
			{Name: "deployment", Description: "The Deployment to restart.", Required: true, Check: contract.ObjectName},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{contract.ChangedOutput()},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "list", "watch", "patch"}},
			listPodsRule(),
		},
		Run: func(ctx context.Context, s *contract.Step) error {
			return restart(ctx, s, deployments(s), s.String("deployment"))
		},
	}
}

func restartStatefulSet() contract.Action {
	return contract.Action{
		Name:    "restart-statefulset",
		Summary: "Replaces all pods of a StatefulSet according to its strategy, as kubectl rollout restart does, and waits for the rollout.",
		Undo:    "nothing to undo",
		Parameters: []contract.Parameter{
			{Name: "statefulset", Description: "The StatefulSet to restart.", Required: true, Check: contract.ObjectName},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{contract.ChangedOutput()},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"statefulsets"}, Verbs: []string{"get", "list", "watch", "patch"}},
			listPodsRule(),
		},
		Run: func(ctx context.Context, s *contract.Step) error {
			return restart(ctx, s, statefulSets(s), s.String("statefulset"))
		},
	}
}

func restartDaemonSet() contract.Action {
	return contract.Action{
		Name:    "restart-daemonset",
		Summary: "Replaces all pods of a DaemonSet according to its strategy, as kubectl rollout restart does, and waits for the rollout.",
		Undo:    "nothing to undo",
		Parameters: []contract.Parameter{
			{Name: "daemonset", Description: "The DaemonSet to restart.", Required: true, Check: contract.ObjectName},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{contract.ChangedOutput()},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"daemonsets"}, Verbs: []string{"get", "list", "watch", "patch"}},
			listPodsRule(),
		},
		Run: func(ctx context.Context, s *contract.Step) error {
			return restart(ctx, s, daemonSets(s), s.String("daemonset"))
		},
	}
}

// restart restarts an object and waits for the rollout.
func restart[T object, L runtime.Object](ctx context.Context, s *contract.Step, w workload[T, L], name string) error {
	return w.roll(ctx, s, name, planRestart(s, w))
}

// planRestart sets the annotation once in all attempts of the step. Its time is finer than a second, so that two steps that
// restart the same object in quick succession both have an effect. A later restart by another client also replaces all pods.
func planRestart[T object, L runtime.Object](s *contract.Step, w workload[T, L]) func(T, bool) (edit, error) {
	stamp := time.Now().UTC().Format(time.RFC3339Nano)
	return func(found T, again bool) (edit, error) {
		if recorded, _ := s.Recorded(found); recorded[recordRestartedAt] != "" {
			stamp = recorded[recordRestartedAt]
		}
		e := edit{
			previous: map[string]string{recordRestartedAt: stamp}, message: "restarted", attributes: []any{"restartedAt", stamp},
			field: []string{"spec", "template", "metadata", "annotations", annotationRestartedAt},
		}
		if !again || !isRestartedSince(w.template(found), stamp) {
			e.patch = templatePatch(map[string]any{
				"metadata": map[string]any{"annotations": map[string]any{annotationRestartedAt: stamp}},
			})
		}
		return e, nil
	}
}

// isRestartedSince reports whether a pod template was restarted at or after a time.
func isRestartedSince(template *corev1.PodTemplateSpec, stamp string) bool {
	at, err := time.Parse(time.RFC3339Nano, template.Annotations[annotationRestartedAt])
	if err != nil {
		return false
	}
	since, err := time.Parse(time.RFC3339Nano, stamp)
	// kubectl writes whole seconds.
	return err == nil && !at.Before(since.Truncate(time.Second))
}

// templatePatch builds the patch that changes fields of a pod template.
func templatePatch(template map[string]any) map[string]any {
	return map[string]any{"spec": map[string]any{"template": template}}
}
