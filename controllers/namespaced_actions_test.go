package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// local creates an action as a WorkflowTemplate in the spec's namespace.
func local(action, image string) {
	GinkgoHelper()
	from := template(action, []wfv1.Parameter{{Name: "object", Default: wfv1.AnyStringPtr("")}})
	from.Spec.Templates[0].Container.Image = image
	Expect(admin.Create(ctx, &wfv1.WorkflowTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: action, Labels: from.Labels}, Spec: from.Spec})).To(Succeed())
}

func imageOf(wfe *wfev1.WorkflowExecution) string {
	GinkgoHelper()
	wf := workflowOf(wfe)
	return wf.GetTemplateByName(wf.GetTemplateByName(wf.Spec.Entrypoint).DAG.Tasks[0].Template).Container.Image
}

var _ = Describe("A WorkflowTemplate of the namespace", func() {
	It("is not an action by default", func() {
		local("ours", "example.invalid/ours:v1")
		local(doIt, "example.invalid/forged:v1")
		expectRefused(create(execution("stranger", calling(with(step("a")), "ours"))), wfev1.ReasonUnknownAction, "a", `"ours"`)
		Expect(imageOf(start(execution("same", step("a"))))).To(Equal("example.invalid/action:v1"))
	})

	Context("in an installation with namespaced actions", func() {
		BeforeEach(func() {
			DeferCleanup(func() { withNewLeader(func() { namespacedActions = false }) })
			withNewLeader(func() { namespacedActions = true })
		})

		It("is an action there, takes precedence over the cluster's action of its name, and has its series", func() {
			local("ours", "example.invalid/ours:v1")
			local(doIt, "example.invalid/local:v1")
			Expect(imageOf(start(execution("own", calling(with(step("a")), "ours"))))).To(Equal("example.invalid/ours:v1"))
			Expect(imageOf(start(execution("wins", step("a"))))).To(Equal("example.invalid/local:v1"))
			Eventually(knownActions).Should(ContainElement("ours"))
		})

		It("is not an action in another namespace", func() {
			local("ours", "example.invalid/ours:v1")
			wfe := execution("elsewhere", calling(with(step("a")), "ours"))
			wfe.Namespace = newNamespace()
			create(wfe)
			Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
			Expect(statusOf(wfe).Failure.Reason).To(Equal(wfev1.ReasonUnknownAction))
		})
	})
})
