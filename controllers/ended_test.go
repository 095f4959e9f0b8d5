package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// endWell takes an execution to its end, two of its steps beside each other.
func endWell(wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	argoOf(start(wfe)).write(run("a"), run("b"))
	moment.pass(2 * time.Second)
	argoOf(wfe).write(succeed("a"), succeed("b"), finish(wfv1.WorkflowSucceeded))
	Eventually(isHeld(wfe)).Should(BeFalse())
}

var _ = Describe("What has ended, for the next leader", func() {
	It("is looked at once everything else was", func() {
		for _, name := range []string{"ended-1", "ended-2", "ended-3"} {
			endWell(execution(name, step("a"), step("b")))
		}
		for _, name := range []string{"waiting-1", "waiting-2", "waiting-3"} {
			wfe := execution(name, step("a"))
			wfe.Spec.Suspended = true
			create(wfe)
			Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhasePending))
		}
		succession(func() { calls.forget() })
		Eventually(calls.looked).Should(HaveLen(6))
		Expect(calls.looked()[:3]).To(ConsistOf("waiting-1", "waiting-2", "waiting-3"))
	})

	It("is told of by the gauge", func() {
		const efficiency = "parallel_execution_efficiency"
		succession(func() {}) // what ended in earlier specs was deleted, and a new leader does not know of it
		Expect(gauges()).NotTo(HaveKey(efficiency))
		beside := execution("beside", step("a"), step("b"))
		endWell(beside)
		Eventually(gauges).Should(HaveKeyWithValue(efficiency, 1.0))
		succession(func() {})
		Eventually(gauges).Should(HaveKeyWithValue(efficiency, 1.0))
		Expect(admin.Delete(ctx, beside)).To(Succeed())
		Eventually(collectGarbage).Should(BeEmpty())
		Expect(gauges()).To(HaveKeyWithValue(efficiency, 1.0), "an execution that was deleted ended all the same")
		moment.pass(61 * time.Minute)
		Expect(gauges()).NotTo(HaveKey(efficiency))
	})

	It("is deleted when its time to live is over", func() {
		wfe := execution("brief", step("a"), step("b"))
		wfe.Spec.TTLSecondsAfterFinished = ptr.To[int32](300)
		endWell(wfe)
		succession(func() { moment.pass(301 * time.Second) })
		Eventually(func() bool { return exists(wfe) }).Should(BeFalse())
	})

	It("lets its Workflow go, which its predecessor did not come to", func() {
		wfe := start(execution("held", step("a")))
		calls.breakAt(func(c call) bool { return c.String() == "patch Workflow" }, unavailable)
		argoOf(wfe).write(run("a"), succeed("a"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Expect(isHeld(wfe)()).To(BeTrue())
		succession(func() { calls.heal() })
		Eventually(isHeld(wfe)).Should(BeFalse())
		Expect(moved()).To(HaveKeyWithValue("total{status=completed}", 1.0))
		Expect(moved()).NotTo(HaveKey("cancelled_total"))
	})
})
