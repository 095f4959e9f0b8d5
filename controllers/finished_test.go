package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// endWell completes an execution with two concurrent steps.
func endWell(wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	argoOf(start(wfe)).write(run("a"), run("b"))
	testClock.advance(2 * time.Second)
	argoOf(wfe).write(succeed("a"), succeed("b"), finish(wfv1.WorkflowSucceeded))
	Eventually(isHeld(wfe)).Should(BeFalse())
}

var _ = Describe("An ended execution", func() {
	It("is reconciled by the next leader after all others", func() {
		for _, name := range []string{"ended-1", "ended-2", "ended-3"} {
			endWell(execution(name, step("a"), step("b")))
		}
		for _, name := range []string{"waiting-1", "waiting-2", "waiting-3"} {
			wfe := execution(name, step("a"))
			wfe.Spec.Suspended = true
			create(wfe)
			Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhasePending))
		}
		withNewLeader(func() { calls.reset() })
		Eventually(calls.reconciled).Should(HaveLen(6))
		Expect(calls.reconciled()[:3]).To(ConsistOf("waiting-1", "waiting-2", "waiting-3"))
	})

	It("counts in the efficiency", func() {
		const efficiency = "parallel_execution_efficiency"
		withNewLeader(func() {}) // the executions of earlier specs were deleted before this leader started
		Expect(gauges()).NotTo(HaveKey(efficiency))
		beside := execution("beside", step("a"), step("b"))
		endWell(beside)
		Eventually(gauges).Should(HaveKeyWithValue(efficiency, 1.0))
		withNewLeader(func() {})
		Eventually(gauges).Should(HaveKeyWithValue(efficiency, 1.0))
		Expect(admin.Delete(ctx, beside)).To(Succeed())
		Eventually(collectGarbage).Should(BeEmpty())
		Expect(gauges()).To(HaveKeyWithValue(efficiency, 1.0), "a deleted execution still counts")
		testClock.advance(61 * time.Minute)
		Expect(gauges()).NotTo(HaveKey(efficiency))
	})

	It("is deleted after its time to live by the next leader", func() {
		wfe := execution("brief", step("a"), step("b"))
		wfe.Spec.TTLSecondsAfterFinished = ptr.To[int32](300)
		endWell(wfe)
		withNewLeader(func() { testClock.advance(301 * time.Second) })
		Eventually(func() bool { return exists(wfe) }).Should(BeFalse())
	})

	It("releases its Workflow under the next leader if the last one did not", func() {
		wfe := start(execution("held", step("a")))
		calls.inject(func(c call) bool { return c.String() == "patch Workflow" }, unavailable)
		argoOf(wfe).write(run("a"), succeed("a"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Expect(isHeld(wfe)()).To(BeTrue())
		withNewLeader(func() { calls.removeFaults() })
		Eventually(isHeld(wfe)).Should(BeFalse())
		Expect(moved()).To(HaveKeyWithValue("total{status=completed}", 1.0))
		Expect(moved()).NotTo(HaveKey("cancelled_total"))
	})
})
