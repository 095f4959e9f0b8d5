package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// nudgesTo are the nudges of the Workflow of an execution.
func nudgesTo(wfe *wfev1.WorkflowExecution) func() string {
	return func() string { return workflowOf(wfe).Annotations["workflowexecution.kubernaut.io/reminders"] }
}

var _ = Describe("Argo that does not act", func() {
	// later advances the clock and reconciles.
	later := func(wfe *wfev1.WorkflowExecution, passed time.Duration) {
		testClock.advance(passed)
		triggerReconcile(wfe)
	}

	It("is nudged after a shutdown with a growing interval until it ends the Workflow", func() {
		wfe := start(execution("stop", step("a")))
		argo := argoOf(wfe)
		argo.write(run("a"))
		cancel(wfe, wfev1.CancelTerminate)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		triggerReconcile(wfe)
		later(wfe, 14*time.Second)
		Expect(nudgesTo(wfe)()).To(BeEmpty(), "Argo can still act")
		later(wfe, 2*time.Second)
		Eventually(nudgesTo(wfe)).Should(Equal("1"))
		triggerReconcile(wfe)
		later(wfe, 28*time.Second)
		Expect(nudgesTo(wfe)()).To(Equal("1"))
		later(wfe, 3*time.Second)
		Eventually(nudgesTo(wfe)).Should(Equal("2"))
		argo.write(obeyShutdown)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
		later(wfe, 10*time.Minute)
		Expect(nudgesTo(wfe)()).To(Equal("2"))
	})

	It("is nudged if a Workflow makes no progress without a reason", func() {
		wfe := start(execution("idle", step("a"), step("b", "a")))
		argo := argoOf(wfe)
		argo.write(run("a"))
		triggerReconcile(wfe)
		later(wfe, 10*time.Minute)
		Expect(nudgesTo(wfe)()).To(BeEmpty(), "a step is running")
		argo.write(succeed("a"))
		Eventually(stepsOf(wfe)).Should(Equal("a=Completed b=Pending"))
		triggerReconcile(wfe)
		later(wfe, 16*time.Second)
		Eventually(nudgesTo(wfe)).Should(Equal("1"))
		argo.write(run("b"))
		Eventually(stepsOf(wfe)).Should(Equal("a=Completed b=Running"))
		later(wfe, 10*time.Minute)
		Expect(nudgesTo(wfe)()).To(Equal("1"))
	})

	It("is nudged once after a suspension while steps run", func() {
		wfe := start(execution("pause", step("a"), step("b", "a")))
		argo := argoOf(wfe)
		argo.write(run("a"))
		change(wfe, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = true })
		Eventually(isPaused(wfe)).Should(BeTrue())
		triggerReconcile(wfe)
		later(wfe, 16*time.Second)
		Eventually(nudgesTo(wfe)).Should(Equal("1"))
		triggerReconcile(wfe)
		later(wfe, 10*time.Minute)
		Expect(nudgesTo(wfe)()).To(Equal("1"))
	})

	It("is not nudged while a Workflow waits for a pause or an approval", func() {
		wfe := start(execution("wait", step("a"), approval("sign", 0, "a")))
		argo := argoOf(wfe)
		argo.write(run("a"), succeed("a"), awaitApproval("sign"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		triggerReconcile(wfe)
		later(wfe, 10*time.Minute)
		argo.write(func(wf *wfv1.Workflow) { wf.Spec.Suspend = ptr.To(true) })
		triggerReconcile(wfe)
		later(wfe, 10*time.Minute)
		Expect(nudgesTo(wfe)()).To(BeEmpty())
	})
})
