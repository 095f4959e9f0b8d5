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

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

func scaleDeployment() contract.Action {
	return scaleAction("Deployment", "deployment", func(ctx context.Context, s *contract.Step) error {
		return scale(ctx, s, deployments(s), s.String("deployment"), s.Int("replicas"), scaling[*appsv1.Deployment]{
			desired: func(d *appsv1.Deployment) int32 { return replicasOf(d.Spec.Replicas) },
			update:  s.Kube.AppsV1().Deployments(s.Namespace).UpdateScale,
			settled: func(d *appsv1.Deployment, replicas int32) bool {
				return d.Status.ObservedGeneration >= d.Generation && d.Status.Replicas == replicas &&
					d.Status.ReadyReplicas == replicas && d.Status.AvailableReplicas == replicas
			},
		})
	})
}

func scaleStatefulSet() contract.Action {
	return scaleAction("StatefulSet", "statefulset", func(ctx context.Context, s *contract.Step) error {
		return scale(ctx, s, statefulSets(s), s.String("statefulset"), s.Int("replicas"), scaling[*appsv1.StatefulSet]{
			desired: func(o *appsv1.StatefulSet) int32 { return replicasOf(o.Spec.Replicas) },
			update:  s.Kube.AppsV1().StatefulSets(s.Namespace).UpdateScale,
			settled: func(o *appsv1.StatefulSet, replicas int32) bool {
				return o.Status.ObservedGeneration >= o.Generation && o.Status.Replicas == replicas &&
					o.Status.ReadyReplicas == replicas && o.Status.AvailableReplicas == replicas
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
	// settled reports whether the controller has observed the generation and all replicas are available.
	settled func(T, int32) bool
}

// scale records the number of replicas on the object before it writes the scale subresource. After a crash between the two
// the record is correct, and the next attempt continues from there.
func scale[T object, L runtime.Object](
	ctx context.Context, s *contract.Step, w workload[T, L], name string, replicas int32, kind scaling[T],
) error {
	result, err := change(ctx, s, w.client, w.kind, name, func(found T, _ bool) (edit, error) {
		now := kind.desired(found)
		e := edit{
			previous: map[string]string{"replicas": strconv.Itoa(int(now))},
			message:  "recorded the number of replicas", attributes: []any{"replicas", now},
		}
		if now != replicas {
			e.patch = map[string]any{}
		}
		return e, nil
	})
	if err != nil {
		return err
	}
	if before := kind.desired(result.object); before != replicas {
		// The record of an earlier attempt does not mean that the attempt has scaled.
		if err := s.Changed(result.previous["replicas"] != strconv.Itoa(int(before))); err != nil {
			return err
		}
		err := s.Retry(ctx, "scaling "+w.kind+" "+name, func(ctx context.Context) error {
			_, err := kind.update(ctx, name, &autoscalingv1.Scale{
				ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.Namespace, UID: result.object.GetUID()},
				Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
			}, metav1.UpdateOptions{DryRun: s.DryRunOption()})
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
	return await(ctx, s, w.client, w.kind, name, w.example, func(found T) (verdict, error) {
		v := verdict{done: kind.settled(found, replicas), numbers: w.numbers(found), missing: "its pods are not as many as asked"}
		if now := kind.desired(found); now != replicas {
			v.done = false
			v.missing = fmt.Sprintf("spec.replicas is %d, not %d: something else, an autoscaler perhaps, sets it too", now, replicas)
		}
		return v, nil
	})
}
