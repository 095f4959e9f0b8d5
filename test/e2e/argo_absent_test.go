package e2e

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var _ = Describe("A cluster without one of Argo's CustomResourceDefinitions", Serial, Label(whole), func() {
	It("keeps executions Pending with a reason, and runs them once it is installed", func(ctx SpecContext) {
		restore := func(SpecContext) {}
		configureController(ctx, func(ctx SpecContext) { restore = removeDefinition(ctx, "workflowtemplates.argoproj.io") })
		wfe := newExecution(newNamespace(ctx), "patient", step("one", "test-ok"))
		Expect(cluster.Create(ctx, wfe)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), wfe)).To(Succeed())
			g.Expect(wfe.Status.Phase).To(Equal(wfev1.PhasePending))
			g.Expect(wfe.Status.Conditions).To(ContainElement(And(
				HaveField("Type", wfev1.ConditionEngineAvailable), HaveField("Status", metav1.ConditionFalse),
				HaveField("Reason", string(wfev1.ReasonEngineUnavailable)),
			)))
		}).WithContext(ctx).WithTimeout(30 * time.Second).WithPolling(pollEvery).Should(Succeed())

		restore(ctx)

		ended := waitEnd(ctx, wfe)
		Expect(ended.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", ended.Status.Failure)
		pod, err := cluster.ControllerPod(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(pod.Status.ContainerStatuses[0].RestartCount).To(BeZero(), "the controller must not restart")
	})
})

// removeDefinition deletes a CustomResourceDefinition and returns a function that restores it, which also runs after the spec.
func removeDefinition(ctx SpecContext, name string) (restore func(ctx SpecContext)) {
	GinkgoHelper()
	definition := &unstructured.Unstructured{}
	definition.SetAPIVersion("apiextensions.k8s.io/v1")
	definition.SetKind("CustomResourceDefinition")
	definition.SetName(name)
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(definition), definition)).To(Succeed())
	restore = func(ctx SpecContext) {
		GinkgoHelper()
		fresh := definition.DeepCopy()
		fresh.SetResourceVersion("")
		fresh.SetUID("")
		delete(fresh.Object, "status")
		Expect(cluster.Create(ctx, fresh)).To(Or(Succeed(), MatchError(apierrors.IsAlreadyExists, "AlreadyExists")))
	}
	DeferCleanup(restore)
	Expect(cluster.Delete(ctx, definition)).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(definition), definition.DeepCopy()))
	}).WithContext(ctx).WithTimeout(30*time.Second).WithPolling(pollEvery).Should(BeTrue(), "%s still exists", name)
	return restore
}
