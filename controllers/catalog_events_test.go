package controllers_test

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// notesOn are the notes of the events on a cluster-scoped template in their order, including repetitions.
func notesOn(template *wfv1.ClusterWorkflowTemplate) func() []string {
	return func() []string {
		list := &eventsv1.EventList{}
		Expect(admin.List(ctx, list, client.InNamespace("default"))).To(Succeed())
		var notes []string
		for _, e := range inOrder(list.Items) {
			if e.Regarding.UID != template.UID {
				continue
			}
			Expect(e.Regarding.Kind).To(Equal("ClusterWorkflowTemplate"))
			Expect(e.Type + " " + e.Reason).To(Equal("Warning BrokenAction"))
			times := int32(1)
			if e.Series != nil {
				times = e.Series.Count
			}
			notes = append(notes, slices.Repeat([]string{e.Note}, int(times))...)
		}
		return notes
	}
}

func brokenTemplates() float64 { return gauges()["catalog_broken_templates"] }

var _ = Describe("A broken template of the catalog", func() {
	// The catalog of the suite always has one broken template.
	const always = 1
	const noDefault = `This template is no action: ClusterWorkflowTemplate/slip: output "changed": valueFrom.default is required`

	apply := func(t *wfv1.ClusterWorkflowTemplate) *wfv1.ClusterWorkflowTemplate {
		GinkgoHelper()
		Expect(admin.Create(ctx, t)).To(Succeed())
		DeferCleanup(func() {
			Expect(client.IgnoreNotFound(admin.Delete(ctx, t))).To(Succeed())
			Eventually(brokenTemplates).Should(BeEquivalentTo(always))
		})
		return t
	}

	It("has one event for each change and counts in a gauge, and other templates keep working", func() {
		slip := apply(template("slip", nil, output("changed", nil)))
		Eventually(notesOn(slip)).Should(HaveExactElements(HavePrefix(noDefault)))
		Eventually(brokenTemplates).Should(BeEquivalentTo(always + 1))
		start(execution("good", step("a")))

		By("an unrelated change")
		change(slip, func(t *wfv1.ClusterWorkflowTemplate) { t.Labels["team"] = "blue" })
		Consistently(notesOn(slip)).Should(HaveLen(1))

		By("a change that does not repair it")
		change(slip, func(t *wfv1.ClusterWorkflowTemplate) {
			t.Spec.Templates[0].Container.Image = "example.invalid/action:v2"
		})
		Eventually(notesOn(slip)).Should(HaveExactElements(HavePrefix(noDefault), HavePrefix(noDefault)))

		By("a change that repairs it")
		change(slip, func(t *wfv1.ClusterWorkflowTemplate) {
			t.Spec.Templates[0].Outputs.Parameters[0].ValueFrom.Default = wfv1.AnyStringPtr("")
		})
		Eventually(brokenTemplates).Should(BeEquivalentTo(always))
		Consistently(notesOn(slip)).Should(HaveLen(2))
		start(execution("better", calling(with(step("a")), "slip")))
	})

	It("is also a template that claims the action of another one, until that releases it", func() {
		twin := func(name string) *wfv1.ClusterWorkflowTemplate {
			t := template("shared", nil)
			t.Name = name
			return apply(t)
		}
		one := twin("one")
		Consistently(notesOn(one)).Should(BeEmpty())
		two := twin("two")
		Eventually(notesOn(one)).Should(HaveExactElements(ContainSubstring(`2 templates claim action "shared"`)))
		Eventually(notesOn(two)).Should(HaveExactElements(ContainSubstring(`2 templates claim action "shared"`)))
		Eventually(brokenTemplates).Should(BeEquivalentTo(always + 2))

		change(two, func(t *wfv1.ClusterWorkflowTemplate) { t.Labels[wfev1.LabelAction] = "its-own" })
		Eventually(brokenTemplates).Should(BeEquivalentTo(always))
		start(execution("good", calling(with(step("a")), "shared")))

		By("claiming it again")
		change(two, func(t *wfv1.ClusterWorkflowTemplate) { t.Labels[wfev1.LabelAction] = "shared" })
		Eventually(notesOn(one)).Should(HaveLen(2))
		Eventually(notesOn(two)).Should(HaveLen(2))
	})
})
