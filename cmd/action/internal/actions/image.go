package actions

import (
	"context"
	"errors"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func updateImage() contract.Action {
	return contract.Action{
		Name:    "update-image",
		Summary: "Sets the image of one container of a Deployment and waits for the rollout.",
		Undo:    "update-image with image from previous-image",
		Parameters: []contract.Parameter{
			{Name: "deployment", Description: "The Deployment to change.", Required: true, Check: contract.ObjectName},
			containerParameter(),
			{Name: "image", Description: "The image to run, like registry.example/payment-api:1.2.", Required: true, Check: imageReference},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{
			contract.ChangedOutput(),
			{Name: "previous-image", Description: "The image before the step."},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "list", "watch", "patch"}},
			listPodsRule(),
		},
		Run: runUpdateImage,
	}
}

// imageReference rejects only what no container runtime accepts. The API server accepts any text.
func imageReference(value string) error {
	if strings.ContainsAny(value, " \t\r\n") || strings.HasPrefix(value, "-") || strings.Contains(value, "://") {
		return errors.New("must be an image reference, without spaces and without a scheme")
	}
	return nil
}

func runUpdateImage(ctx context.Context, s *contract.Step) error {
	name, image := s.String("deployment"), s.String("image")
	return deployments(s).roll(ctx, s, name, func(found *appsv1.Deployment, _ bool) (edit, error) {
		c, err := findContainer(&found.Spec.Template, s.String("container"))
		if err != nil {
			return edit{}, contract.Impossible("deployment %s %w", name, err)
		}
		e := edit{
			previous: map[string]string{"image": c.Image}, message: "updated image",
			attributes: []any{"container", c.Name, "from", c.Image, "to", image}, field: c.field("image"),
		}
		if c.Image != image {
			e.patch = c.patch(map[string]any{"image": image})
		}
		return e, nil
	})
}
