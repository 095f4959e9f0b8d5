package e2e

import (
	"context"
	"strconv"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// thePod returns the UID of a pod, which distinguishes it from its replacement, once it is Ready.
func thePod(name string) func(context.Context, Gomega, string) string {
	return func(ctx context.Context, _ Gomega, namespace string) string {
		var uid string
		Eventually(func(g Gomega) {
			pod := get(ctx, g, namespace, name, &corev1.Pod{})
			g.Expect(pod.DeletionTimestamp).To(BeNil())
			g.Expect(pod.Status.Conditions).To(ContainElement(And(
				HaveField("Type", corev1.PodReady), HaveField("Status", corev1.ConditionTrue))))
			uid = string(pod.UID)
		}).WithContext(ctx).WithTimeout(patience).WithPolling(pollEvery).Should(Succeed())
		return uid
	}
}

// faulty returns the spec of a pod with a fault.
func faulty(fault string, env ...corev1.EnvVar) corev1.PodSpec {
	spec := sampleDeployment("any").Spec.Template.Spec
	c := &spec.Containers[0]
	c.Image, c.Args, c.Env, c.ReadinessProbe = faultyImage, []string{fault}, env, nil
	c.VolumeMounts = []corev1.VolumeMount{{Name: "outputs", MountPath: "/wfe/outputs"}}
	spec.Volumes = []corev1.Volume{{Name: "outputs", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	spec.RestartPolicy = corev1.RestartPolicyNever
	return spec
}

var podCases = []actionCase{
	{
		action: "restart-pod", parameters: []string{"pod", "members-0"}, prepare: makeStatefulSet("members", 3),
		state: thePod("members-0"), again: "true", wrong: []string{"pod", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "delete-pod", parameters: []string{"pod", "members-1"},
		state: thePod("members-1"), again: "true", wrong: []string{"pod", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "evict-pod", parameters: []string{"pod", "members-2"},
		state: thePod("members-2"), again: "true", wrong: []string{"pod", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "delete-failed-pods", parameters: []string{"selector", "app=failed"},
		prepare: func(ctx context.Context, namespace string) {
			Expect(cluster.Create(ctx, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "failed", Labels: map[string]string{"app": "failed"}},
				Spec:       faulty("fail", corev1.EnvVar{Name: "EXIT_CODE", Value: "1"}),
			})).To(Succeed())
		},
		state: func(ctx context.Context, _ Gomega, namespace string) string {
			return strconv.Itoa(len(workloadPods(ctx, namespace, client.MatchingLabels{"app": "failed"})))
		},
		effect: "0", again: "false", wrong: []string{"selector", "not a selector"}, reason: wfev1.ReasonInvalidSpec,
	},
	{
		action: "run-job", parameters: []string{"cronjob", "nightly"},
		prepare: func(ctx context.Context, namespace string) {
			Expect(cluster.Create(ctx, &batchv1.CronJob{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "nightly"},
				Spec: batchv1.CronJobSpec{
					Schedule: "0 3 * * *", Suspend: ptr.To(true),
					JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: faulty("ok")}}},
				},
			})).To(Succeed())
		},
		state: func(ctx context.Context, g Gomega, namespace string) string {
			jobs := &batchv1.JobList{}
			g.Expect(cluster.List(ctx, jobs, client.InNamespace(namespace))).To(Succeed())
			completed := 0
			for _, job := range jobs.Items {
				completed += int(job.Status.Succeeded)
			}
			return strconv.Itoa(completed) + " of " + strconv.Itoa(len(jobs.Items)) + " completed"
		},
		effect: "2 of 2 completed", again: "true", wrong: []string{"cronjob", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "verify-pods", parameters: []string{"selector", "app=members", "min-ready", "2"},
		wrong: []string{"selector", "not a selector"}, reason: wfev1.ReasonInvalidSpec,
	},
	{
		action: "verify-http", parameters: []string{"service", "web", "port", "http", "body-contains", "ok\n", "rounds", "2"},
		prepare: func(ctx context.Context, namespace string) {
			Expect(cluster.Create(ctx, &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"},
				Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "verified"}, Ports: []corev1.ServicePort{{Name: "http", Port: 8080}}},
			})).To(Succeed())
		},
		wrong: []string{"service", "web", "port", "no-such"}, reason: wfev1.ReasonActionFailed,
	},
	{
		action: "wait", parameters: []string{"seconds", "1"}, wrong: []string{"seconds", "-1"}, reason: wfev1.ReasonInvalidSpec,
	},
}
