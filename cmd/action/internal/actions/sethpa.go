package actions

import (
	"context"
	"strconv"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func setHPA() contract.Action {
	return contract.Action{
		Name:    "set-hpa",
		Summary: "Sets the least and the greatest number of replicas of a HorizontalPodAutoscaler.",
		Undo:    "set-hpa with min-replicas from previous-min-replicas and max-replicas from previous-max-replicas",
		Parameters: []contract.Parameter{
			{Name: "hpa", Description: "The HorizontalPodAutoscaler to change.", Required: true, Check: contract.ObjectName},
			{Name: "min-replicas", Description: "The least number of replicas; empty leaves it unchanged.", Check: contract.NonNegative},
			{Name: "max-replicas", Description: "The greatest number of replicas; empty leaves it unchanged.", Check: contract.NonNegative},
			contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{
			contract.ChangedOutput(),
			{Name: "previous-min-replicas", Description: "The least number of replicas before the step."},
			{Name: "previous-max-replicas", Description: "The greatest number of replicas before the step."},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: []string{"get", "patch"}},
		},
		Run: runSetHPA,
	}
}

func runSetHPA(ctx context.Context, s *contract.Step) error {
	if s.String("min-replicas") == "" && s.String("max-replicas") == "" {
		return contract.Invalid("set-hpa needs at least one of min-replicas and max-replicas")
	}
	name := s.String("hpa")
	client := s.Kube.AutoscalingV2().HorizontalPodAutoscalers(s.Namespace)
	_, err := change(ctx, s, client, "horizontalpodautoscaler", name, func(found *autoscalingv2.HorizontalPodAutoscaler, _ bool) (edit, error) {
		least, most := replicasOf(found.Spec.MinReplicas), found.Spec.MaxReplicas
		spec := map[string]any{}
		e := edit{
			previous: map[string]string{"min-replicas": strconv.Itoa(int(least)), "max-replicas": strconv.Itoa(int(most))},
			message:  "set limits", attributes: []any{"fromMin", least, "fromMax", most}, field: []string{"spec", "maxReplicas"},
		}
		if s.String("min-replicas") != "" && s.Int("min-replicas") != least {
			spec["minReplicas"] = s.Int("min-replicas")
			e.field[1] = "minReplicas"
		}
		if s.String("max-replicas") != "" && s.Int("max-replicas") != most {
			spec["maxReplicas"] = s.Int("max-replicas")
		}
		if len(spec) > 0 {
			e.patch = map[string]any{"spec": spec}
		}
		return e, nil
	})
	return err
}
