package actions

import (
	"context"
	"errors"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func setEnv() contract.Action {
	return contract.Action{
		Name:    "set-env",
		Summary: "Sets or removes one environment variable of one container of a Deployment and waits for the rollout.",
		Undo:    "set-env with value from previous-value and remove from previous-absent",
		Parameters: []contract.Parameter{
			{Name: "deployment", Description: "The Deployment to change.", Required: true, Check: contract.ObjectName},
			containerParameter(),
			{Name: "name", Description: "The name of the variable.", Required: true, Check: variableName},
			{Name: "value", Description: "The value of the variable; any text.", Base64: true},
			{Name: "remove", Description: "Whether to remove the variable instead.", Default: "false", Enum: []string{"true", "false"}},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{
			contract.ChangedOutput(),
			{Name: "previous-value", Description: "The value before the step.", Base64: true},
			{Name: "previous-absent", Description: `"true" if the variable did not exist before the step, otherwise "false".`},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "list", "watch", "patch"}},
			listPodsRule(),
		},
		Run: runSetEnv,
	}
}

func variableName(value string) error {
	if problems := validation.IsEnvVarName(value); len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

func runSetEnv(ctx context.Context, s *contract.Step) error {
	name := s.String("deployment")
	return deployments(s).roll(ctx, s, name, func(found *appsv1.Deployment, _ bool) (edit, error) {
		c, err := findContainer(&found.Spec.Template, s.String("container"))
		if err != nil {
			return edit{}, contract.Impossible("deployment %s %w", name, err)
		}
		return editVariable(s, c)
	})
}

func editVariable(s *contract.Step, c container) (edit, error) {
	var now corev1.EnvVar
	for _, e := range c.Env {
		if e.Name == s.String("name") {
			now = e
		}
	}
	if now.ValueFrom != nil {
		return edit{}, contract.Impossible(
			"variable %s of container %s has valueFrom, which a rollback cannot restore; change its source instead", now.Name, c.Name)
	}
	absent, remove := now.Name == "", s.Bool("remove")
	e := edit{
		previous: map[string]string{"value": now.Value, "absent": strconv.FormatBool(absent)},
		message:  "set variable", attributes: []any{"container", c.Name, "variable", s.String("name"), "remove", remove}, field: c.field("env"),
	}
	switch {
	case remove && !absent:
		e.patch = c.patch(map[string]any{"env": []any{map[string]any{"name": now.Name, "$patch": "delete"}}})
	case !remove && (absent || now.Value != s.String("value")):
		e.patch = c.patch(map[string]any{"env": []any{map[string]any{"name": s.String("name"), "value": s.String("value")}}})
	}
	return e, nil
}
