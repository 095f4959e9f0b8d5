package e2e

import (
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// argoNamespace is the namespace of Argo.
const argoNamespace = "argo"

// scale sets the replicas of a Deployment and waits until exactly this number runs.
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

// restart makes a change while no pod of a Deployment runs.
func restart(ctx SpecContext, key client.ObjectKey, change func(ctx SpecContext)) {
	GinkgoHelper()
	scale(ctx, key.Namespace, key.Name, 0)
	change(ctx)
	scale(ctx, key.Namespace, key.Name, 1)
}

// editPod changes the pod of a Deployment.
func editPod(ctx SpecContext, key client.ObjectKey, edit func(pod *corev1.PodSpec)) {
	GinkgoHelper()
	Expect(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		deployment := &appsv1.Deployment{}
		if err := cluster.Get(ctx, key, deployment); err != nil {
			return err
		}
		edit(&deployment.Spec.Template.Spec)
		return cluster.Update(ctx, deployment)
	})).To(Succeed())
}

// configure restarts a Deployment with a change, and restarts it with its old pod template after the spec. restore undoes other
// changes.
func configure(ctx SpecContext, key client.ObjectKey, change, restore func(ctx SpecContext)) {
	GinkgoHelper()
	deployment := &appsv1.Deployment{}
	Expect(cluster.Get(ctx, key, deployment)).To(Succeed())
	was := deployment.Spec.Template.Spec
	DeferCleanup(func(ctx SpecContext) {
		restart(ctx, key, func(ctx SpecContext) {
			editPod(ctx, key, func(pod *corev1.PodSpec) { *pod = was })
			restore(ctx)
		})
	})
	restart(ctx, key, change)
}

// configureArgo restarts Argo's controller with a configuration and more variables, and undoes that after the spec.
func configureArgo(ctx SpecContext, data map[string]string, variables ...corev1.EnvVar) {
	GinkgoHelper()
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: argoNamespace, Name: "workflow-controller-configmap"}}
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(config), config)).To(Succeed())
	was := config.Data
	set := func(ctx SpecContext, data map[string]string) {
		GinkgoHelper()
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(config), config)).To(Succeed())
		config.Data = data
		Expect(cluster.Update(ctx, config)).To(Succeed())
	}
	key := client.ObjectKey{Namespace: argoNamespace, Name: "workflow-controller"}
	configure(ctx, key, func(ctx SpecContext) {
		set(ctx, data)
		editPod(ctx, key, func(pod *corev1.PodSpec) { pod.Containers[0].Env = append(pod.Containers[0].Env, variables...) })
	}, func(ctx SpecContext) { set(ctx, was) })
}

// controllerKey is the key of the controller's Deployment and of its service account.
var controllerKey = client.ObjectKey{Namespace: testutil.SystemNamespace, Name: "controller"}

// configureController restarts the controller with a change, and undoes that after the spec.
func configureController(ctx SpecContext, change func(ctx SpecContext)) {
	GinkgoHelper()
	configure(ctx, controllerKey, change, func(SpecContext) {})
}

func addFlag(ctx SpecContext, flag string) {
	GinkgoHelper()
	editPod(ctx, controllerKey, func(pod *corev1.PodSpec) { pod.Containers[0].Args = append(pod.Containers[0].Args, flag) })
}

var _ = Describe("Argo with another configuration", Serial, func() {
	It("runs executions with an instance ID and defaults that delete Workflows and pods", func(ctx SpecContext) {
		defaults, err := json.Marshal(wfv1.Workflow{Spec: wfv1.WorkflowSpec{
			TTLStrategy: &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To[int32](0)},
			PodGC:       &wfv1.PodGC{Strategy: wfv1.PodGCOnPodCompletion},
		}})
		Expect(err).NotTo(HaveOccurred())
		configureArgo(ctx, map[string]string{"instanceID": "blue", "workflowDefaults": string(defaults)})
		configureController(ctx, func(ctx SpecContext) { addFlag(ctx, "--argo-instance-id=blue") })
		namespace := newNamespace(ctx)

		wfe := run(ctx, newExecution(namespace, "blue", step("one", "test-ok", "say", "here"), after(step("two", "test-ok"), "one")))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", wfe.Status.Failure)
		Expect(stepOf(wfe, "one").Outputs).To(ConsistOf(wfev1.Output{Name: "did", Value: "here"}))
		wf := &wfv1.Workflow{}
		Consistently(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), wf)).To(Succeed(), "the defaults must not delete the Workflow")
		}).WithContext(ctx).WithTimeout(3 * time.Second).WithPolling(pollEvery).Should(Succeed())
		Expect(wf.Labels).To(HaveKeyWithValue("workflows.argoproj.io/controller-instanceid", "blue"))
	})

	It("fails executions as EngineRefused if it requires Workflow templates", func(ctx SpecContext) {
		configureArgo(ctx, map[string]string{"workflowRestrictions": "{templateReferencing: Strict}"})
		namespace := newNamespace(ctx)

		wfe := run(ctx, newExecution(namespace, "strict", step("one", "test-ok")))

		Expect(wfe.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Reason": Equal(wfev1.ReasonEngineRefused), "Message": ContainSubstring("workflowTemplateRef"),
		})), "%+v", wfe.Status.Failure)
	})
})
