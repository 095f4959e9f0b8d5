package actions

import (
	"bytes"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func updateSecret() contract.Action {
	return contract.Action{
		Name: "update-secret",
		Summary: "Copies one key of a Secret from another Secret, so that no specification contains a secret value, " +
			"stores the previous data in a snapshot, and restarts its users.",
		Undo: "update-secret with from-secret from previous-snapshot, when-missing=remove and the same restart",
		Parameters: []contract.Parameter{
			{Name: "secret", Description: "The Secret to change.", Required: true, Check: contract.ObjectName},
			{Name: "key", Description: "The key to set.", Required: true, Check: dataKey},
			{Name: "from-secret", Description: "The Secret that holds the value; required unless when-missing is remove.", Check: contract.ObjectName},
			{Name: "from-key", Description: "The key in from-secret; the same key if empty.", Check: dataKey},
			{
				Name: "when-missing", Default: "fail", Enum: []string{"fail", "remove"},
				Description: "What to do if from-secret has no such key: fail, or remove the key from the Secret. With remove, an empty from-secret changes nothing.",
			},
			restartParameter(), contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{contract.ChangedOutput(), snapshotOutput("Secret")},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: snapshotVerbs()},
		},
		Run: runUpdateSecret,
	}
}

func secretSnapshots(s *contract.Step) snapshots[*corev1.Secret, *corev1.SecretList] {
	return snapshots[*corev1.Secret, *corev1.SecretList]{
		kind: "secret", owner: "Secret", store: s.Kube.CoreV1().Secrets(s.Namespace),
		copyOf: func(c *corev1.Secret) *corev1.Secret {
			return &corev1.Secret{Type: corev1.SecretTypeOpaque, Data: c.Data}
		},
	}
}

func runUpdateSecret(ctx context.Context, s *contract.Step) error {
	if s.String("from-secret") == "" {
		if s.String("when-missing") != "remove" {
			return contract.Invalid("parameter from-secret is required unless when-missing is remove")
		}
		s.Log.Info("nothing to restore: the parameter from-secret is empty")
		return report(s, false, nil)
	}
	value, present, err := readSecretValue(ctx, s)
	if err != nil {
		return err
	}
	key := s.String("key")
	return secretSnapshots(s).change(ctx, s, s.String("secret"), func(found *corev1.Secret) map[string]any {
		return editSecret(found, key, value, present)
	}, "key", key, "from", s.String("from-secret"))
}

func readSecretValue(ctx context.Context, s *contract.Step) (value []byte, present bool, err error) {
	from, key := s.String("from-secret"), s.String("from-key")
	if key == "" {
		key = s.String("key")
	}
	var source *corev1.Secret
	err = s.Retry(ctx, "reading secret "+from, func(ctx context.Context) (err error) {
		source, err = s.Kube.CoreV1().Secrets(s.Namespace).Get(ctx, from, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("reading secret %s: %w", from, err)
	}
	value, present = source.Data[key]
	if !present && s.String("when-missing") == "fail" {
		return nil, false, contract.Impossible("secret %s has no key %s", from, key)
	}
	return value, present, nil
}

// editSecret builds the patch that sets or removes a key. It returns nil if nothing differs.
func editSecret(found *corev1.Secret, key string, value []byte, present bool) map[string]any {
	now, is := found.Data[key]
	switch {
	case !present && is:
		return map[string]any{"data": map[string]any{key: nil}}
	case present && (!is || !bytes.Equal(now, value)):
		return map[string]any{"data": map[string]any{key: value}}
	default:
		return nil
	}
}
