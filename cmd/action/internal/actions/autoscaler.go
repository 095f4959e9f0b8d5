package actions

import (
	"context"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// listAutoscalersRule is the permission to find the autoscaler of a workload.
func listAutoscalersRule() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: []string{"list"}}
}

// findAutoscaler returns the autoscaler of a workload, or nil.
func findAutoscaler(ctx context.Context, s *contract.Step, kind, name string) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	var all *autoscalingv2.HorizontalPodAutoscalerList
	err := s.Retry(ctx, "listing horizontalpodautoscalers", func(ctx context.Context) (err error) {
		all, err = s.Kube.AutoscalingV2().HorizontalPodAutoscalers(s.Namespace).List(ctx, metav1.ListOptions{})
		return err
	})
	if apierrors.IsForbidden(err) {
		s.Log.Warn("cannot find out whether an autoscaler controls the object", "kind", kind, "name", name, "error", err.Error())
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing horizontalpodautoscalers: %w", err)
	}
	for i, a := range all.Items {
		if a.Spec.ScaleTargetRef.Kind == kind && a.Spec.ScaleTargetRef.Name == name {
			return &all.Items[i], nil
		}
	}
	return nil, nil
}

// checkAutoscaler fails if the autoscaler of a workload would revert a number of replicas. Zero replicas disable it.
func checkAutoscaler(ctx context.Context, s *contract.Step, kind, name string, replicas int32) error {
	a, err := findAutoscaler(ctx, s, kind, name)
	if err != nil || a == nil || replicas == 0 {
		return err
	}
	least := replicasOf(a.Spec.MinReplicas)
	if replicas < least || replicas > a.Spec.MaxReplicas {
		return contract.Impossible(
			"horizontalpodautoscaler %s allows %d to %d replicas of %s %s and would revert %d; change its limits first",
			a.Name, least, a.Spec.MaxReplicas, kind, name, replicas)
	}
	s.Log.Warn("an autoscaler controls the number of replicas and can change it", "horizontalpodautoscaler", a.Name)
	return nil
}
