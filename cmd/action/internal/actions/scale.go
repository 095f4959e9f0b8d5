package actions

import (
	"context"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func scaleDeployment() contract.Action {
	return scaleAction("Deployment", "deployment", func(ctx context.Context, s *contract.Step) error {
		return scale(ctx, s, deployments(s), s.String("deployment"), s.Int("replicas"), scaling[*appsv1.Deployment]{
			kind:    "Deployment",
			desired: func(d *appsv1.Deployment) int32 { return replicasOf(d.Spec.Replicas) },
			update:  s.Kube.AppsV1().Deployments(s.Namespace).UpdateScale,
			settled: func(d *appsv1.Deployment, replicas int32) string {
				surplus := d.Status.Replicas - replicas
				return missingReplicas(d, d.Status.ObservedGeneration, d.Status.AvailableReplicas, surplus-surgeOf(d), replicas) + replicaFailure(d)
			},
		})
	})
}

func scaleStatefulSet() contract.Action {
	return scaleAction("StatefulSet", "statefulset", func(ctx context.Context, s *contract.Step) error {
		return scale(ctx, s, statefulSets(s), s.String("statefulset"), s.Int("replicas"), scaling[*appsv1.StatefulSet]{
			kind:    "StatefulSet",
			desired: func(o *appsv1.StatefulSet) int32 { return replicasOf(o.Spec.Replicas) },
			update:  s.Kube.AppsV1().StatefulSets(s.Namespace).UpdateScale,
			settled: func(o *appsv1.StatefulSet, replicas int32) string {
				return missingReplicas(o, o.Status.ObservedGeneration, o.Status.AvailableReplicas, o.Status.Replicas-replicas, replicas)
			},
		})
	})
}

// scaleAction declares the scaling of one kind. parameter is the name of the parameter that names the object; its plural
// is the resource.
func scaleAction(kind, parameter string, run func(context.Context, *contract.Step) error) contract.Action {
	name := "scale-" + parameter
	return contract.Action{
		Name:    name,
		Summary: fmt.Sprintf("Sets the number of replicas of a %s and waits until they are available.", kind),
		Undo:    name + " with replicas from previous-replicas",
		Parameters: []contract.Parameter{
			{Name: parameter, Description: fmt.Sprintf("The %s to scale.", kind), Required: true, Check: contract.ObjectName},
			{Name: "replicas", Description: "The desired number of replicas, 0 or more.", Required: true, Check: contract.NonNegative},
			contract.WaitParameter(), contract.DryRunParameter(), contract.StepParameter(),
		},
		Outputs: []contract.Output{
			contract.ChangedOutput(),
			{Name: "previous-replicas", Description: "The number of replicas before the step."},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{parameter + "s"}, Verbs: []string{"get", "list", "watch", "patch"}},
			{APIGroups: []string{"apps"}, Resources: []string{parameter + "s/scale"}, Verbs: []string{"update"}},
			listAutoscalersRule(), listPodsRule(),
		},
		Run: run,
	}
}

// scaling holds the functions of one kind that scale needs.
type scaling[T object] struct {
	// desired is spec.replicas.
	desired func(T) int32
	// update writes the scale subresource.
	update func(ctx context.Context, name string, scale *autoscalingv1.Scale, opts metav1.UpdateOptions) (*autoscalingv1.Scale, error)
	// settled returns what is missing until exactly the requested replicas are available, or an empty string.
	settled func(T, int32) string
	// kind is the kind in a reference of an autoscaler.
	kind string
}

// surgeOf returns how many pods beyond the desired ones a rollout that is in progress may keep.
func surgeOf(d *appsv1.Deployment) int32 {
	r := d.Spec.Strategy.RollingUpdate
	if d.Status.UpdatedReplicas >= d.Status.Replicas || replicasOf(d.Spec.Replicas) == 0 || d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return 0
	}
	surge := intstr.FromString("25%")
	if r != nil && r.MaxSurge != nil {
		surge = *r.MaxSurge
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(&surge, int(replicasOf(d.Spec.Replicas)), true)
	if err != nil {
		return 0
	}
	return int32(n) //nolint:gosec // bounded by the number of replicas
}

func missingReplicas(o metav1.Object, observed int64, available, surplus, replicas int32) string {
	switch {
	case observed < o.GetGeneration():
		return "its controller has not observed the change"
	case available != replicas:
		return fmt.Sprintf("%d of %d replicas are available", available, replicas)
	case surplus > 0:
		return fmt.Sprintf("%d pods more than %d replicas exist", surplus, replicas)
	default:
		return ""
	}
}

// scale records the number of replicas on the object before it writes the scale subresource. After a crash between the two
// the record is correct, and the next attempt continues from there.
func scale[T object, L runtime.Object](
	ctx context.Context, s *contract.Step, w workload[T, L], name string, replicas int32, kind scaling[T],
) error {
	if err := checkAutoscaler(ctx, s, kind.kind, name, replicas); err != nil {
		return err
	}
	result, err := change(ctx, s, w.client, w.kind, name, func(found T, _ bool) (edit, error) {
		now := kind.desired(found)
		e := edit{
			previous: map[string]string{"replicas": strconv.Itoa(int(now))},
			message:  "recorded the number of replicas", attributes: []any{"replicas", now}, field: []string{"spec", "replicas"},
		}
		if now != replicas {
			e.patch = map[string]any{}
		}
		return e, nil
	})
	if err != nil {
		return err
	}
	var written *autoscalingv1.Scale
	if before := kind.desired(result.object); before != replicas {
		// The record of an earlier attempt does not mean that the attempt has scaled.
		if err := s.Changed(result.previous["replicas"] != strconv.Itoa(int(before))); err != nil {
			return err
		}
		err := s.Retry(ctx, "scaling "+w.kind+" "+name, func(ctx context.Context) error {
			scaled, err := kind.update(ctx, name, &autoscalingv1.Scale{
				ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.Namespace, UID: result.object.GetUID()},
				Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
			}, metav1.UpdateOptions{DryRun: s.DryRunOption()})
			if err == nil {
				written = scaled
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("scaling %s %s: %w", w.kind, name, err)
		}
		s.Log.Info("scaled", "kind", w.kind, "name", name, "from", before, "to", replicas, "dryRun", s.DryRun)
		if err := s.Changed(true); err != nil {
			return err
		}
	}
	result.held = func(found T) error {
		if kind.desired(found) == replicas {
			return nil
		}
		return takenBack(w.kind, found, []string{"spec", "replicas"})
	}
	if written != nil {
		result.object.SetResourceVersion(written.ResourceVersion)
	}
	return awaitEffect(ctx, s, w.client, w.kind, result, w.example, func(found T) (verdict, error) {
		missing := kind.settled(found, replicas)
		return verdict{done: missing == "", missing: missing, numbers: w.numbers(found)}, nil
	}, w.unreadyPods(s, result.object))
}
