package actions

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func expandPVC() contract.Action {
	return contract.Action{
		Name: "expand-pvc",
		Summary: "Increases the storage request of a PersistentVolumeClaim and waits until its capacity has grown, " +
			"or until only a restart of its pod is missing.",
		Undo: "cannot be undone, because volumes cannot shrink",
		Parameters: []contract.Parameter{
			{Name: "pvc", Description: "The PersistentVolumeClaim to expand.", Required: true, Check: contract.ObjectName},
			{Name: "size", Description: "The requested size, like 20Gi.", Required: true, Check: contract.Quantity},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{
			contract.ChangedOutput(),
			{Name: "previous-size", Description: "The requested size before the step."},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get", "list", "watch", "patch"}},
		},
		Run: runExpandPVC,
	}
}

func runExpandPVC(ctx context.Context, s *contract.Step) error {
	name := s.String("pvc")
	asked, err := resource.ParseQuantity(s.String("size"))
	if err != nil {
		return contract.Invalid("parameter size: %w", err)
	}
	claims := s.Kube.CoreV1().PersistentVolumeClaims(s.Namespace)
	result, err := change(ctx, s, claims, "persistentvolumeclaim", name, func(found *corev1.PersistentVolumeClaim, _ bool) (edit, error) {
		now := found.Spec.Resources.Requests[corev1.ResourceStorage]
		e := edit{
			previous: map[string]string{"size": now.String()}, message: "increased the storage request",
			attributes: []any{"from", now.String(), "to", asked.String()}, field: []string{"spec", "resources", "requests", "storage"},
		}
		if now.Cmp(asked) < 0 {
			e.patch = map[string]any{"spec": map[string]any{
				"resources": map[string]any{"requests": map[string]any{string(corev1.ResourceStorage): asked.String()}},
			}}
		}
		return e, nil
	})
	if err != nil {
		return err
	}
	return awaitEffect(ctx, s, claims, "persistentvolumeclaim", result, &corev1.PersistentVolumeClaim{}, expanded(s, asked), nil)
}

func expanded(s *contract.Step, asked resource.Quantity) check[*corev1.PersistentVolumeClaim] {
	return func(found *corev1.PersistentVolumeClaim) (verdict, error) {
		has := found.Status.Capacity[corev1.ResourceStorage]
		v := verdict{done: has.Cmp(asked) >= 0, missing: "its capacity is " + has.String() + " of " + asked.String(), numbers: []any{"capacity", has.String()}}
		for _, c := range found.Status.Conditions {
			switch {
			case c.Type == corev1.PersistentVolumeClaimFileSystemResizePending && c.Status == corev1.ConditionTrue && !v.done:
				s.Log.Info("the volume has grown; the file system grows when its pod restarts", "name", found.Name)
				v.done = true
			case c.Message != "" && !v.done:
				v.missing += ": " + c.Message
			}
		}
		return v, nil
	}
}
