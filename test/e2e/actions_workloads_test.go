package e2e

import (
	"context"
	"strconv"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// ofDeployment returns a state of a Deployment.
func ofDeployment(name string, show func(*appsv1.Deployment) string) func(context.Context, Gomega, string) string {
	return func(ctx context.Context, g Gomega, namespace string) string {
		return show(get(ctx, g, namespace, name, &appsv1.Deployment{}))
	}
}

func image(d *appsv1.Deployment) string { return container(d).Image }

func level(d *appsv1.Deployment) string {
	for _, e := range container(d).Env {
		if e.Name == "LEVEL" {
			return e.Value
		}
	}
	return "unset"
}

func withLevel(value string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { container(d).Env = []corev1.EnvVar{{Name: "LEVEL", Value: value}} }
}

func restartedAt(template *corev1.PodTemplateSpec) string {
	return template.Annotations["kubectl.kubernetes.io/restartedAt"]
}

var workloadCases = []actionCase{
	{
		action: "scale-deployment", parameters: []string{"deployment", "scaled", "replicas", "2"}, prepare: makeDeployment("scaled"),
		state: ofDeployment("scaled", func(d *appsv1.Deployment) string {
			return strconv.Itoa(int(*d.Spec.Replicas)) + " desired, " + strconv.Itoa(int(d.Status.AvailableReplicas)) + " available"
		}),
		effect: "2 desired, 2 available", again: "false",
		undo:  undo("scale-deployment", []string{"deployment", "scaled"}, from("replicas", "do", "previous-replicas")),
		wrong: []string{"deployment", "no-such", "replicas", "2"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "restart-deployment", parameters: []string{"deployment", "restarted"}, prepare: makeDeployment("restarted"),
		state: ofDeployment("restarted", func(d *appsv1.Deployment) string { return restartedAt(&d.Spec.Template) }), again: "true",
		wrong: []string{"deployment", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "set-resources", parameters: []string{"deployment", "sized", "memory-limit", "512Mi"}, prepare: makeDeployment("sized"),
		state: ofDeployment("sized", func(d *appsv1.Deployment) string {
			return container(d).Resources.Limits.Memory().String() + " of " + container(d).Resources.Requests.Memory().String()
		}),
		effect: "512Mi of 16Mi", again: "false",
		undo:  undo("set-resources", []string{"deployment", "sized"}, from("memory-limit", "do", "previous-memory-limit")),
		wrong: []string{"deployment", "sized"}, reason: wfev1.ReasonInvalidSpec,
	},
	{
		action: "set-env", parameters: []string{"deployment", "tuned", "name", "LEVEL", "value", "say {{hello}}\n$(TWICE)"}, prepare: makeDeployment("tuned"),
		state: ofDeployment("tuned", level), effect: "say {{hello}}\n$(TWICE)", again: "false",
		undo: undo("set-env", []string{"deployment", "tuned", "name", "LEVEL"},
			from("value", "do", "previous-value"), from("remove", "do", "previous-absent")),
		wrong: []string{"deployment", "tuned", "name", "NOT A NAME"}, reason: wfev1.ReasonInvalidSpec,
	},
	{
		action: "update-image", parameters: []string{"deployment", "updated", "image", faultyImage},
		prepare: makeDeployment("updated", func(d *appsv1.Deployment) {
			// The present image ignores the settings that the other one needs.
			container(d).Args, container(d).Env = []string{"sleep"}, []corev1.EnvVar{{Name: "SECONDS", Value: "3600"}}
			container(d).ReadinessProbe = nil
		}),
		state: ofDeployment("updated", image), effect: faultyImage, again: "false",
		undo:  undo("update-image", []string{"deployment", "updated"}, from("image", "do", "previous-image")),
		wrong: []string{"deployment", "no-such", "image", faultyImage}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "rollback-deployment", parameters: []string{"deployment", "revised", "revision", "1"},
		prepare: func(ctx context.Context, namespace string) {
			makeDeployment("revised", withLevel("first"))(ctx, namespace)
			second := get(ctx, Default, namespace, "revised", &appsv1.Deployment{})
			Eventually(func(g Gomega) {
				second = get(ctx, g, namespace, "revised", &appsv1.Deployment{})
				g.Expect(second.Status.AvailableReplicas).To(BeEquivalentTo(1))
			}).WithContext(ctx).WithTimeout(patience).WithPolling(pollEvery).Should(Succeed())
			withLevel("second")(second)
			Expect(cluster.Update(ctx, second)).To(Succeed())
		},
		state: ofDeployment("revised", level), effect: "first", again: "false",
		undo:  undo("rollback-deployment", []string{"deployment", "revised"}, from("revision", "do", "previous-revision")),
		wrong: []string{"deployment", "revised", "revision", "77"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "verify-deployment", parameters: []string{"deployment", "verified", "stable-seconds", "1"}, prepare: makeDeployment("verified"),
		wrong: []string{"deployment", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "scale-statefulset", parameters: []string{"statefulset", "ranks", "replicas", "2"}, prepare: makeStatefulSet("ranks", 1),
		state: func(ctx context.Context, g Gomega, namespace string) string {
			s := get(ctx, g, namespace, "ranks", &appsv1.StatefulSet{})
			return strconv.Itoa(int(*s.Spec.Replicas)) + " desired, " + strconv.Itoa(int(s.Status.AvailableReplicas)) + " available"
		},
		effect: "2 desired, 2 available", again: "false",
		undo:  undo("scale-statefulset", []string{"statefulset", "ranks"}, from("replicas", "do", "previous-replicas")),
		wrong: []string{"statefulset", "no-such", "replicas", "2"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "restart-statefulset", parameters: []string{"statefulset", "files"}, prepare: makeStatefulSet("files", 1),
		state: func(ctx context.Context, g Gomega, namespace string) string {
			return restartedAt(&get(ctx, g, namespace, "files", &appsv1.StatefulSet{}).Spec.Template)
		},
		again: "true", wrong: []string{"statefulset", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "restart-daemonset", parameters: []string{"daemonset", "agents"},
		prepare: func(ctx context.Context, namespace string) {
			d := sampleDeployment("agents")
			Expect(cluster.Create(ctx, &appsv1.DaemonSet{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: d.Name},
				Spec: appsv1.DaemonSetSpec{
					Selector: d.Spec.Selector, Template: d.Spec.Template,
					UpdateStrategy: appsv1.DaemonSetUpdateStrategy{RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: ptr.To(intstr.FromString("100%"))}},
				},
			})).To(Succeed())
		},
		state: func(ctx context.Context, g Gomega, namespace string) string {
			return restartedAt(&get(ctx, g, namespace, "agents", &appsv1.DaemonSet{}).Spec.Template)
		},
		again: "true", wrong: []string{"daemonset", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
}
