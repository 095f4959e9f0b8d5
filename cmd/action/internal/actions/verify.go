package actions

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func verifyDeployment() contract.Action {
	return contract.Action{
		Name: "verify-deployment",
		Summary: "Waits until the rollout of a Deployment is complete and all its replicas are available, " +
			"and fails if it does not become healthy, or does not stay healthy for stable-seconds.",
		Undo: "changes nothing",
		Parameters: []contract.Parameter{
			{Name: "deployment", Description: "The Deployment to verify.", Required: true, Check: contract.ObjectName},
			stableParameter(), contract.WaitParameter(), contract.DryRunParameter(),
		},
		Outputs: []contract.Output{
			{Name: "healthy", Description: `"true" if the Deployment was healthy when last observed, otherwise "false".`},
			{Name: "desired-replicas", Description: "The desired number of replicas of the Deployment."},
			{Name: "available-replicas", Description: "The number of available replicas when last observed."},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "list", "watch"}},
			listPodsRule(),
		},
		Run: runVerifyDeployment,
	}
}

func runVerifyDeployment(ctx context.Context, s *contract.Step) error {
	w, name := deployments(s), s.String("deployment")
	var found *appsv1.Deployment
	err := s.Retry(ctx, "reading deployment "+name, func(ctx context.Context) (err error) {
		found, err = w.client.Get(ctx, name, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("reading deployment %s: %w", name, err)
	}
	rolledOut := w.rolledOut(found)
	last, healthy := found, false
	look := func(d *appsv1.Deployment) (verdict, error) {
		v, err := rolledOut(d)
		if err == nil && v.done && d.Status.AvailableReplicas != replicasOf(d.Spec.Replicas) {
			v.done, v.missing = false, "fewer replicas are available than desired"
		}
		if d.Spec.Paused && !v.done {
			v.missing += "; it is paused and rolls out no change until it is resumed"
		}
		last, healthy = d, err == nil && v.done
		return v, err
	}
	first, err := look(found)
	if err == nil && !s.DryRun {
		watch := func(ctx context.Context, bound time.Duration, seen func(*appsv1.Deployment) (bool, error)) error {
			return awaitFor(ctx, s, w.client, w.kind, name, w.example, bound, seen)
		}
		err = awaitStable(ctx, s, &progress{s: s, kind: w.kind, name: name, details: w.unreadyPods(s, found)}, first, watch, look)
	}
	return errors.Join(err, reportHealth(s, last, healthy))
}

func reportHealth(s *contract.Step, d *appsv1.Deployment, healthy bool) error {
	return errors.Join(
		s.Output("healthy", strconv.FormatBool(healthy)),
		s.Output("desired-replicas", strconv.Itoa(int(replicasOf(d.Spec.Replicas)))),
		s.Output("available-replicas", strconv.Itoa(int(d.Status.AvailableReplicas))),
	)
}
