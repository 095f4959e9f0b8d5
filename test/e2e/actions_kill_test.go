package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// killed runs one step, deletes its pod as soon as hasBegun passes, and returns the finished execution.
func killed(ctx SpecContext, namespace string, s wfev1.Step, onNodes bool, hasBegun func(g Gomega)) *wfev1.WorkflowExecution {
	GinkgoHelper()
	grant(ctx, namespace, "killed", onNodes, s.Action)
	s.Retry = &wfev1.Retry{Limit: 3, BackoffSeconds: ptr.To[int32](1)}
	wfe := newExecution(namespace, "killed", s)
	wfe.Spec.ServiceAccountName = "killed"
	Expect(cluster.Create(ctx, wfe)).To(Succeed())
	Eventually(hasBegun).WithContext(ctx).WithTimeout(patience).WithPolling(pollEvery).Should(Succeed())

	first := stepPods(ctx, wfe)
	Expect(first).To(HaveExactElements(HaveField("Status.Phase", corev1.PodRunning)), "the action should still be running")
	Expect(cluster.Delete(ctx, &first[0], client.GracePeriodSeconds(0))).To(Succeed())

	ended := waitEndFor(ctx, wfe, patience)
	Expect(ended.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", ended.Status.Failure)
	Expect(stepOf(ended, s.Name).Outputs).To(ContainElement(wfev1.Output{Name: "changed", Value: "true"}))
	// If the pod of a recent node is deleted, Argo counts no attempt and creates a new pod with the same name.
	Expect(stepPods(ctx, wfe)).To(HaveExactElements(And(
		HaveField("Status.Phase", corev1.PodSucceeded), HaveField("UID", Not(Equal(first[0].UID))))), "another pod finished the step")
	return ended
}

func stepPods(ctx context.Context, wfe *wfev1.WorkflowExecution) []corev1.Pod {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(cluster.List(ctx, pods, client.InNamespace(wfe.Namespace), client.MatchingLabels{labelWorkflow: wfe.Name})).To(Succeed())
	return pods.Items
}

var _ = Describe("An action that is killed while it runs", func() {
	It("restarts a Deployment once", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		makeDeployment("slow", func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 8 })(ctx, namespace)
		waitSettled(ctx, namespace)
		stamp := func(g Gomega) string {
			return restartedAt(&get(ctx, g, namespace, "slow", &appsv1.Deployment{}).Spec.Template)
		}

		var first string
		killed(ctx, namespace, step("restart", "restart-deployment", "deployment", "slow"), false, func(g Gomega) {
			first = stamp(g)
			g.Expect(first).NotTo(BeEmpty())
		})

		Expect(stamp(Default)).To(Equal(first))
		sets := &appsv1.ReplicaSetList{}
		Expect(cluster.List(ctx, sets, client.InNamespace(namespace))).To(Succeed())
		Expect(sets.Items).To(HaveLen(2), "one rollout")
		waitSettled(ctx, namespace)
	})

	It("drains a node once, and reports that it was schedulable", Serial, Label(needsTwoNodes), func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		pickNodes(ctx)
		placePods(ctx, namespace, func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](20)
			container(d).Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 8}}}
		})

		ended := killed(ctx, namespace, step("drain", "drain-node", "node", one, "pod-selector", drainablePods), true, func(g Gomega) {
			g.Expect(workloadPods(ctx, namespace)).To(ContainElement(HaveField("DeletionTimestamp", Not(BeNil()))))
		})

		Expect(stepOf(ended, "drain").Outputs).To(ContainElement(wfev1.Output{Name: "previous-unschedulable", Value: "false"}))
		Expect(schedulability(get(ctx, Default, "", one, &corev1.Node{}))).To(Equal("cordoned"))
		expectMoved(ctx, namespace)
		Expect(podsMade(ctx, namespace)).To(Equal(4), "two pods, and one replacement for each")
	})
})

// podsMade counts the pods that ReplicaSets have created.
func podsMade(ctx context.Context, namespace string) int {
	GinkgoHelper()
	events, err := cluster.Clientset.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=SuccessfulCreate"})
	Expect(err).NotTo(HaveOccurred())
	made := 0
	for _, e := range events.Items {
		if e.InvolvedObject.Kind == "ReplicaSet" {
			made += int(max(e.Count, 1))
		}
	}
	return made
}
