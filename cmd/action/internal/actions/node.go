package actions

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func nodeRule() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "patch"}}
}

func nodeParameter(what string) contract.Parameter {
	return contract.Parameter{Name: "node", Description: "The node to " + what + ".", Required: true, Check: contract.ObjectName}
}

func previousUnschedulable() contract.Output {
	return contract.Output{Name: "previous-unschedulable", Description: `"true" if the node was cordoned before the step, otherwise "false".`}
}

func cordonNode() contract.Action {
	return contract.Action{
		Name:       "cordon-node",
		Summary:    "Marks a node as unschedulable.",
		Undo:       "uncordon-node with keep-cordoned from previous-unschedulable",
		Parameters: []contract.Parameter{nodeParameter("cordon"), contract.DryRunParameter(), contract.StepParameter()},
		Outputs:    []contract.Output{contract.ChangedOutput(), previousUnschedulable()},
		Rules:      []rbacv1.PolicyRule{nodeRule()}, ClusterScoped: true, ToleratesUnschedulable: true,
		Run: func(ctx context.Context, s *contract.Step) error {
			_, err := setUnschedulable(ctx, s, true, false)
			return err
		},
	}
}

func uncordonNode() contract.Action {
	return contract.Action{
		Name:    "uncordon-node",
		Summary: "Marks a node as schedulable.",
		Undo:    "cordon-node, when previous-unschedulable is true",
		Parameters: []contract.Parameter{
			nodeParameter("uncordon"),
			{
				Name: "keep-cordoned", Description: `Whether to leave the node cordoned. The rollback of cordon-node sets it from previous-unschedulable.`,
				Default: "false", Enum: []string{"true", "false"},
			},
			contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{contract.ChangedOutput(), previousUnschedulable()},
		Rules:   []rbacv1.PolicyRule{nodeRule()}, ClusterScoped: true, ToleratesUnschedulable: true,
		Run: func(ctx context.Context, s *contract.Step) error {
			_, err := setUnschedulable(ctx, s, s.Bool("keep-cordoned"), false)
			return err
		},
	}
}

// setUnschedulable cordons or uncordons a node. If more is true, the step is about to make further changes, so it is
// recorded even if the node is already as requested.
func setUnschedulable(ctx context.Context, s *contract.Step, unschedulable, more bool) (outcome[*corev1.Node], error) {
	return change(ctx, s, s.Kube.CoreV1().Nodes(), "node", s.String("node"), func(found *corev1.Node, _ bool) (edit, error) {
		e := edit{
			previous: map[string]string{"unschedulable": strconv.FormatBool(found.Spec.Unschedulable)},
			message:  "set unschedulable", attributes: []any{"unschedulable", unschedulable}, field: []string{"spec", "unschedulable"},
		}
		if found.Spec.Unschedulable != unschedulable {
			e.patch = map[string]any{"spec": map[string]any{"unschedulable": unschedulable}}
		} else if more {
			e.patch = map[string]any{}
		}
		return e, nil
	})
}

func taintNode() contract.Action {
	return contract.Action{
		Name:    "taint-node",
		Summary: "Sets or removes one taint of a node.",
		Undo:    "taint-node with value from previous-value and remove from previous-absent",
		Parameters: []contract.Parameter{
			nodeParameter("taint"),
			{Name: "key", Description: "The key of the taint, like example.com/broken-disk.", Required: true, Check: labelKey},
			{Name: "value", Description: "The value of the taint.", Check: labelValue},
			{
				Name: "effect", Description: "The effect on pods that do not tolerate the taint.", Default: string(corev1.TaintEffectNoSchedule),
				Enum: []string{string(corev1.TaintEffectNoSchedule), string(corev1.TaintEffectPreferNoSchedule), string(corev1.TaintEffectNoExecute)},
			},
			{Name: "remove", Description: "Whether to remove the taint instead.", Default: "false", Enum: []string{"true", "false"}},
			contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{
			contract.ChangedOutput(),
			{Name: "previous-value", Description: "The value of the taint before the step."},
			{Name: "previous-absent", Description: `"true" if the taint did not exist before the step, otherwise "false".`},
		},
		Rules: []rbacv1.PolicyRule{nodeRule()}, ClusterScoped: true, ToleratesUnschedulable: true,
		Run: runTaintNode,
	}
}

func labelKey(value string) error {
	if problems := validation.IsQualifiedName(value); len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

func labelValue(value string) error {
	if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

func runTaintNode(ctx context.Context, s *contract.Step) error {
	asked := corev1.Taint{Key: s.String("key"), Value: s.String("value"), Effect: corev1.TaintEffect(s.String("effect"))}
	_, err := change(ctx, s, s.Kube.CoreV1().Nodes(), "node", s.String("node"), func(found *corev1.Node, _ bool) (edit, error) {
		return editTaint(found, asked, s.Bool("remove"))
	})
	return err
}

// editTaint writes the whole list of taints. The list has no merge key, and the optimistic lock protects other changes.
func editTaint(found *corev1.Node, asked corev1.Taint, remove bool) (edit, error) {
	taints := slices.Clone(found.Spec.Taints)
	i := slices.IndexFunc(taints, func(t corev1.Taint) bool { return t.MatchTaint(&asked) })
	e := edit{
		previous: map[string]string{"absent": strconv.FormatBool(i < 0), "value": ""},
		message:  "set taint", attributes: []any{"taint", asked.ToString(), "remove", remove}, field: []string{"spec", "taints"},
	}
	if i >= 0 {
		e.previous["value"] = taints[i].Value
	}
	switch {
	case remove && i >= 0:
		taints = slices.Delete(taints, i, i+1)
	case !remove && i < 0:
		taints = append(taints, asked)
	case !remove && taints[i].Value != asked.Value:
		taints[i] = asked
	default:
		return e, nil
	}
	if taints == nil {
		taints = []corev1.Taint{}
	}
	content, err := json.Marshal(taints)
	e.patch = map[string]any{"spec": map[string]any{"taints": json.RawMessage(content)}}
	return e, err
}
