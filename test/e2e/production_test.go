package e2e

import (
	"encoding/json"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// argoNamespace is where Argo runs.
const argoNamespace = "argo"

// scale sets the replicas of a Deployment and waits until exactly so many run.
func scale(ctx SpecContext, namespace, name string, replicas int32) {
	GinkgoHelper()
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
	patch := client.MergeFrom(deployment.DeepCopy())
	deployment.Spec.Replicas = &replicas
	Expect(cluster.Patch(ctx, deployment, patch)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
		g.Expect(deployment.Status.ObservedGeneration).To(Equal(deployment.Generation))
		g.Expect(deployment.Status.AvailableReplicas).To(Equal(replicas))
		pods := &corev1.PodList{}
		g.Expect(cluster.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels(deployment.Spec.Selector.MatchLabels))).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(int(replicas)))
	}).WithContext(ctx).WithTimeout(90 * time.Second).WithPolling(pollEvery).Should(Succeed())
}

// configureArgo sets Argo's configuration and starts its controller anew, never two at once; and back after the spec.
func configureArgo(ctx SpecContext, data map[string]string) {
	GinkgoHelper()
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: argoNamespace, Name: "workflow-controller-configmap"}}
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(config), config)).To(Succeed())
	was := config.Data
	set := func(ctx SpecContext, data map[string]string) {
		scale(ctx, argoNamespace, "workflow-controller", 0)
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(config), config)).To(Succeed())
		config.Data = data
		Expect(cluster.Update(ctx, config)).To(Succeed())
		scale(ctx, argoNamespace, "workflow-controller", 1)
	}
	DeferCleanup(func(ctx SpecContext) { set(ctx, was) })
	set(ctx, data)
}

// configureController starts the controller with one more flag, and without it after the spec.
func configureController(ctx SpecContext, flag string) {
	GinkgoHelper()
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: testutil.SystemNamespace, Name: "controller"}}
	set := func(ctx SpecContext, change func(args []string) []string) {
		scale(ctx, deployment.Namespace, deployment.Name, 0)
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
		container := &deployment.Spec.Template.Spec.Containers[0]
		container.Args = change(container.Args)
		Expect(cluster.Update(ctx, deployment)).To(Succeed())
		scale(ctx, deployment.Namespace, deployment.Name, 1)
	}
	DeferCleanup(func(ctx SpecContext) {
		set(ctx, func(args []string) []string {
			return slices.DeleteFunc(args, func(arg string) bool { return arg == flag })
		})
	})
	set(ctx, func(args []string) []string { return append(args, flag) })
}

var _ = Describe("Argo as people run it", Serial, func() {
	It("has an instance ID, and deletes Workflows and pods at once by default", func(ctx SpecContext) {
		defaults, err := json.Marshal(wfv1.Workflow{Spec: wfv1.WorkflowSpec{
			TTLStrategy: &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To[int32](0)},
			PodGC:       &wfv1.PodGC{Strategy: wfv1.PodGCOnPodCompletion},
		}})
		Expect(err).NotTo(HaveOccurred())
		configureArgo(ctx, map[string]string{"instanceID": "blue", "workflowDefaults": string(defaults)})
		configureController(ctx, "--argo-instance-id=blue")
		namespace := newNamespace(ctx)

		wfe := run(ctx, newExecution(namespace, "blue", step("one", "test-ok", "say", "here"), after(step("two", "test-ok"), "one")))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", wfe.Status.Failure)
		Expect(stepOf(wfe, "one").Outputs).To(ConsistOf(wfev1.Output{Name: "did", Value: "here"}))
		wf := &wfv1.Workflow{}
		Consistently(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), wf)).To(Succeed(), "the Workflow stays for whoever looks at it")
		}).WithContext(ctx).WithTimeout(3 * time.Second).WithPolling(pollEvery).Should(Succeed())
		Expect(wf.Labels).To(HaveKeyWithValue("workflows.argoproj.io/controller-instanceid", "blue"))
	})

	It("may refuse Workflows that are not made from a template, which is told", func(ctx SpecContext) {
		configureArgo(ctx, map[string]string{"workflowRestrictions": "{templateReferencing: Strict}"})
		namespace := newNamespace(ctx)

		wfe := run(ctx, newExecution(namespace, "strict", step("one", "test-ok")))

		Expect(wfe.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Reason": Equal(wfev1.ReasonEngineRefused), "Message": ContainSubstring("workflowTemplateRef"),
		})), "%+v", wfe.Status.Failure)
	})
})
