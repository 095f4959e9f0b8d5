package actions

import (
	"context"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// none is the value of a parameter or output for a request or limit that is not set.
const none = "none"

// resourceFields lists the quantities of set-resources.
var resourceFields = [...]struct {
	name, description string
	resource          corev1.ResourceName
	limit             bool
}{
	{"memory-limit", "memory limit", corev1.ResourceMemory, true},
	{"memory-request", "memory request", corev1.ResourceMemory, false},
	{"cpu-limit", "CPU limit", corev1.ResourceCPU, true},
	{"cpu-request", "CPU request", corev1.ResourceCPU, false},
}

func setResources() contract.Action {
	action := contract.Action{
		Name:    "set-resources",
		Summary: "Sets the requests and limits of one container of a Deployment and waits for the rollout.",
		Undo:    "set-resources with each parameter from its previous- output",
		Parameters: []contract.Parameter{
			{Name: "deployment", Description: "The Deployment to change.", Required: true, Check: contract.ObjectName},
			containerParameter(),
		},
		Outputs: []contract.Output{contract.ChangedOutput()},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "list", "watch", "patch"}},
			listPodsRule(),
		},
		Run: runSetResources,
	}
	for _, f := range resourceFields {
		action.Parameters = append(action.Parameters, contract.Parameter{
			Name: f.name, Description: "The " + f.description + " to set, like " + example(f.resource) + `; empty leaves it unchanged, "none" removes it.`,
			Check: quantityOrNone,
		})
		action.Outputs = append(action.Outputs, contract.Output{
			Name: "previous-" + f.name, Description: "The " + f.description + ` before the step, "none" if it was not set.`,
		})
	}
	action.Parameters = append(action.Parameters, contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter())
	return action
}

func example(name corev1.ResourceName) string {
	if name == corev1.ResourceCPU {
		return "500m"
	}
	return "2Gi"
}

func quantityOrNone(value string) error {
	if value == none {
		return nil
	}
	return contract.Quantity(value)
}

func runSetResources(ctx context.Context, s *contract.Step) error {
	asked := 0
	for _, f := range resourceFields {
		if s.String(f.name) != "" {
			asked++
		}
	}
	if asked == 0 {
		return contract.Invalid("set-resources needs at least one of memory-limit, memory-request, cpu-limit and cpu-request")
	}
	name := s.String("deployment")
	return deployments(s).roll(ctx, s, name, func(found *appsv1.Deployment, _ bool) (edit, error) {
		c, err := findContainer(&found.Spec.Template, s.String("container"))
		if err != nil {
			return edit{}, contract.Impossible("deployment %s %w", name, err)
		}
		return editResources(s, c), nil
	})
}

// editResources compares quantities by value, so that 2Gi and 2048Mi are equal.
func editResources(s *contract.Step, c container) edit {
	previous := map[string]string{}
	limits, requests := map[string]any{}, map[string]any{}
	var attributes []any
	for _, f := range resourceFields {
		list, changes := c.Resources.Requests, requests
		if f.limit {
			list, changes = c.Resources.Limits, limits
		}
		now, isSet := list[f.resource]
		previous[f.name] = none
		if isSet {
			previous[f.name] = now.String()
		}
		value, differs := newQuantity(s.String(f.name), now, isSet)
		if !differs {
			continue
		}
		changes[string(f.resource)] = value
		attributes = append(attributes, f.name, map[string]any{"from": previous[f.name], "to": s.String(f.name)})
	}
	e := edit{previous: previous, message: "set resources", attributes: append(attributes, "container", c.Name), field: c.field("resources")}
	resources := map[string]any{}
	if len(limits) > 0 {
		resources["limits"] = limits
	}
	if len(requests) > 0 {
		resources["requests"] = requests
	}
	if len(resources) > 0 {
		e.patch = c.patch(map[string]any{"resources": resources})
	}
	return e
}

// newQuantity returns the value to write for a parameter, nil to remove it, and whether it differs from the present one.
func newQuantity(requested string, now resource.Quantity, isSet bool) (any, bool) {
	switch requested {
	case "":
		return nil, false
	case none:
		return nil, isSet
	default:
		// The parameter's Check has parsed it.
		q, err := resource.ParseQuantity(requested)
		return strings.TrimSpace(requested), err == nil && (!isSet || q.Cmp(now) != 0)
	}
}
