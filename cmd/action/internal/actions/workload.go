package actions

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubectl/pkg/polymorphichelpers"

	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// client is a typed client that can change and watch.
type client[T object, L runtime.Object] interface {
	patcher[T]
	lister[L]
}

// workload is a kind that rolls out pods from a template.
type workload[T object, L runtime.Object] struct {
	kind    string
	client  client[T, L]
	example T
	// viewer is kubectl's check for a complete rollout.
	viewer polymorphichelpers.StatusViewer
	// refusal returns why the object never rolls out a new template, or an empty string.
	refusal func(T) string
	// template returns the pod template of the object.
	template func(T) *corev1.PodTemplateSpec
	// selector selects the object's pods.
	selector func(T) *metav1.LabelSelector
	// numbers returns the attributes of a progress line.
	numbers func(T) []any
}

func deployments(s *contract.Step) workload[*appsv1.Deployment, *appsv1.DeploymentList] {
	return workload[*appsv1.Deployment, *appsv1.DeploymentList]{
		kind:     "deployment",
		client:   s.Kube.AppsV1().Deployments(s.Namespace),
		example:  &appsv1.Deployment{},
		viewer:   &polymorphichelpers.DeploymentStatusViewer{},
		selector: func(d *appsv1.Deployment) *metav1.LabelSelector { return d.Spec.Selector },
		template: func(d *appsv1.Deployment) *corev1.PodTemplateSpec { return &d.Spec.Template },
		refusal: func(d *appsv1.Deployment) string {
			if d.Spec.Paused {
				return "is paused and rolls out no change; resume it first"
			}
			return ""
		},
		numbers: func(d *appsv1.Deployment) []any {
			return []any{
				"desired", replicasOf(d.Spec.Replicas), "updated", d.Status.UpdatedReplicas,
				"ready", d.Status.ReadyReplicas, "available", d.Status.AvailableReplicas,
			}
		},
	}
}

func statefulSets(s *contract.Step) workload[*appsv1.StatefulSet, *appsv1.StatefulSetList] {
	return workload[*appsv1.StatefulSet, *appsv1.StatefulSetList]{
		kind:     "statefulset",
		client:   s.Kube.AppsV1().StatefulSets(s.Namespace),
		example:  &appsv1.StatefulSet{},
		viewer:   &polymorphichelpers.StatefulSetStatusViewer{},
		selector: func(o *appsv1.StatefulSet) *metav1.LabelSelector { return o.Spec.Selector },
		template: func(o *appsv1.StatefulSet) *corev1.PodTemplateSpec { return &o.Spec.Template },
		refusal: func(o *appsv1.StatefulSet) string {
			if o.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
				return "has update strategy OnDelete, so a rollout replaces no pod; use restart-pod"
			}
			if u := o.Spec.UpdateStrategy.RollingUpdate; u != nil && u.Partition != nil && *u.Partition > 0 {
				return fmt.Sprintf("has partition %d, so a rollout replaces only the pods from ordinal %d on; set the partition to 0 or use restart-pod",
					*u.Partition, *u.Partition)
			}
			return ""
		},
		numbers: func(o *appsv1.StatefulSet) []any {
			return []any{
				"desired", replicasOf(o.Spec.Replicas), "updated", o.Status.UpdatedReplicas,
				"ready", o.Status.ReadyReplicas, "available", o.Status.AvailableReplicas,
			}
		},
	}
}

func daemonSets(s *contract.Step) workload[*appsv1.DaemonSet, *appsv1.DaemonSetList] {
	return workload[*appsv1.DaemonSet, *appsv1.DaemonSetList]{
		kind:     "daemonset",
		client:   s.Kube.AppsV1().DaemonSets(s.Namespace),
		example:  &appsv1.DaemonSet{},
		viewer:   &polymorphichelpers.DaemonSetStatusViewer{},
		selector: func(o *appsv1.DaemonSet) *metav1.LabelSelector { return o.Spec.Selector },
		template: func(o *appsv1.DaemonSet) *corev1.PodTemplateSpec { return &o.Spec.Template },
		refusal: func(o *appsv1.DaemonSet) string {
			if o.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
				return "has update strategy OnDelete, so a rollout replaces no pod; use restart-pod"
			}
			return ""
		},
		numbers: func(o *appsv1.DaemonSet) []any {
			return []any{
				"desired", o.Status.DesiredNumberScheduled, "updated", o.Status.UpdatedNumberScheduled,
				"ready", o.Status.NumberReady, "available", o.Status.NumberAvailable,
			}
		},
	}
}

// replicasOf resolves the default of spec.replicas.
func replicasOf(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// roll changes the object and waits until the resulting rollout is complete.
func (w workload[T, L]) roll(ctx context.Context, s *contract.Step, name string, plan func(T, bool) (edit, error)) error {
	result, err := change(ctx, s, w.client, w.kind, name, w.planRollout(name, plan))
	if err != nil {
		return err
	}
	return w.awaitRollout(ctx, s, result)
}

// planRollout adds to a plan the states in which the object never rolls out a change.
func (w workload[T, L]) planRollout(name string, plan func(T, bool) (edit, error)) func(T, bool) (edit, error) {
	return func(found T, again bool) (edit, error) {
		if why := w.refusal(found); why != "" {
			return edit{}, contract.Impossible("%s %s %s", w.kind, name, why)
		}
		return plan(found, again)
	}
}

func (w workload[T, L]) awaitRollout(ctx context.Context, s *contract.Step, changed outcome[T]) error {
	return awaitEffect(ctx, s, w.client, w.kind, changed, w.example, w.rolledOut(changed.object), w.unreadyPods(s, changed.object))
}

// rolledOut passes when the rollout is complete. It ignores a progress deadline that was exceeded before the wait began: the
// Deployment controller clears that condition only when the new rollout makes progress.
func (w workload[T, L]) rolledOut(before T) check[T] {
	stale := progressDeadline(before)
	return func(found T) (verdict, error) {
		if now := progressDeadline(found); now != nil && stale != nil && now.LastUpdateTime.Equal(&stale.LastUpdateTime) {
			found = withoutProgressing(found)
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(found)
		if err != nil {
			return verdict{}, fmt.Errorf("converting %s: %w", w.kind, err)
		}
		message, done, err := w.viewer.Status(&unstructured.Unstructured{Object: content}, 0)
		if err != nil {
			return verdict{}, contract.Failed("%w%s; see kubectl -n %s describe %s %s", err, replicaFailure(found), found.GetNamespace(), w.kind, found.GetName())
		}
		// The log line and the failure already name the object.
		if _, rest, ok := strings.Cut(message, "rollout to finish: "); ok {
			message = rest
		}
		message = strings.TrimRight(strings.TrimSpace(message), ".") + replicaFailure(found)
		return verdict{done: done, missing: message, numbers: w.numbers(found)}, nil
	}
}

// progressDeadline returns the condition of a Deployment that has exceeded its progress deadline, or nil.
func progressDeadline(found object) *appsv1.DeploymentCondition {
	d, ok := found.(*appsv1.Deployment)
	if !ok {
		return nil
	}
	for i, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" {
			return &d.Status.Conditions[i]
		}
	}
	return nil
}

// replicaFailure returns why the pods of a Deployment cannot be created, such as a quota.
func replicaFailure(found object) string {
	d, ok := found.(*appsv1.Deployment)
	if !ok {
		return ""
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return ": " + c.Message
		}
	}
	return ""
}

func withoutProgressing[T object](found T) T {
	d, ok := any(found).(*appsv1.Deployment)
	if !ok {
		return found
	}
	d = d.DeepCopy()
	d.Status.Conditions = nil
	return any(d).(T)
}
