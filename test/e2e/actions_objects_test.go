package e2e

import (
	"context"
	"strconv"

	. "github.com/onsi/gomega"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// mayGetDeployments adds a rule to the role of wait-for, as an installation does.
func mayGetDeployments(ctx context.Context, namespace string) {
	createForSpecs(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{
			Name:   namespace + "-may-get-deployments",
			Labels: map[string]string{"workflowexecution.kubernaut.io/aggregate-to-wait-for": "true"},
		},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get"}}},
	})
}

var objectCases = []actionCase{
	{
		action: "wait-for", prepare: mayGetDeployments,
		parameters: []string{"api-version", "apps/v1", "kind", "Deployment", "name", "verified", "for", "condition=Available"},
		wrong:      []string{"api-version", "apps/v1", "kind", "Deployment", "name", "verified", "for", "Available"}, reason: wfev1.ReasonInvalidSpec,
	},
	{
		action: "delete-job", parameters: []string{"job", "stuck"}, once: true,
		prepare: func(ctx context.Context, namespace string) {
			Expect(cluster.Create(ctx, &batchv1.Job{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stuck"},
				Spec:       batchv1.JobSpec{Suspend: ptr.To(true), Template: corev1.PodTemplateSpec{Spec: faulty("ok")}},
			})).To(Succeed())
		},
		state: func(ctx context.Context, g Gomega, namespace string) string {
			err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "stuck"}, &batchv1.Job{})
			g.Expect(client.IgnoreNotFound(err)).To(Succeed())
			return strconv.FormatBool(err == nil)
		},
		effect: "false", wrong: []string{"job", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "set-hpa", parameters: []string{"hpa", "limits", "max-replicas", "9"},
		prepare: func(ctx context.Context, namespace string) {
			Expect(cluster.Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "limits"},
				Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
					ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "none"}, MaxReplicas: 3,
				},
			})).To(Succeed())
		},
		state: func(ctx context.Context, g Gomega, namespace string) string {
			return strconv.Itoa(int(get(ctx, g, namespace, "limits", &autoscalingv2.HorizontalPodAutoscaler{}).Spec.MaxReplicas))
		},
		effect: "9", again: "false",
		undo:  undo("set-hpa", []string{"hpa", "limits"}, from("min-replicas", "do", "previous-min-replicas"), from("max-replicas", "do", "previous-max-replicas")),
		wrong: []string{"hpa", "limits"}, reason: wfev1.ReasonInvalidSpec,
	},
}
