package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// remindersTo is how often Argo was reminded of the Workflow of an execution.
func remindersTo(wfe *wfev1.WorkflowExecution) func() string {
	return func() string { return workflowOf(wfe).Annotations["workflowexecution.kubernaut.io/reminders"] }
}

var _ = Describe("Argo, when it does not do what it was told", func() {
	// later lets the controller look once the time has passed.
	later := func(wfe *wfev1.WorkflowExecution, passed time.Duration) {
		moment.pass(passed)
		poke(wfe)
	}

	It("is reminded of a shutdown, ever more seldom, until it has ended the Workflow", func() {
		wfe := start(execution("stop", step("a")))
		argo := argoOf(wfe)
		argo.write(run("a"))
		cancel(wfe, wfev1.CancelTerminate)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		poke(wfe)
		later(wfe, 14*time.Second)
		Expect(remindersTo(wfe)()).To(BeEmpty(), "Argo may be about to act")
		later(wfe, 2*time.Second)
		Eventually(remindersTo(wfe)).Should(Equal("1"))
		poke(wfe)
		later(wfe, 28*time.Second)
		Expect(remindersTo(wfe)()).To(Equal("1"))
		later(wfe, 3*time.Second)
		Eventually(remindersTo(wfe)).Should(Equal("2"))
		argo.write(obeyShutdown)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
		later(wfe, 10*time.Minute)
		Expect(remindersTo(wfe)()).To(Equal("2"))
	})

	It("is reminded when nothing holds a Workflow up, and yet it does not go on", func() {
		wfe := start(execution("idle", step("a"), step("b", "a")))
		argo := argoOf(wfe)
		argo.write(run("a"))
		poke(wfe)
		later(wfe, 10*time.Minute)
		Expect(remindersTo(wfe)()).To(BeEmpty(), "a step runs")
		argo.write(succeed("a"))
		Eventually(stepsOf(wfe)).Should(Equal("a=Completed b=Pending"))
		poke(wfe)
		later(wfe, 16*time.Second)
		Eventually(remindersTo(wfe)).Should(Equal("1"))
		argo.write(run("b"))
		Eventually(stepsOf(wfe)).Should(Equal("a=Completed b=Running"))
		later(wfe, 10*time.Minute)
		Expect(remindersTo(wfe)()).To(Equal("1"))
	})

	It("is reminded once of a suspension, while steps run after which others could start", func() {
		wfe := start(execution("pause", step("a"), step("b", "a")))
		argo := argoOf(wfe)
		argo.write(run("a"))
		change(wfe, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = true })
		Eventually(isPaused(wfe)).Should(BeTrue())
		poke(wfe)
		later(wfe, 16*time.Second)
		Eventually(remindersTo(wfe)).Should(Equal("1"))
		poke(wfe)
		later(wfe, 10*time.Minute)
		Expect(remindersTo(wfe)()).To(Equal("1"))
	})

	It("is left alone while a pause or an approval is what a Workflow waits for", func() {
		wfe := start(execution("wait", step("a"), approval("sign", 0, "a")))
		argo := argoOf(wfe)
		argo.write(run("a"), succeed("a"), ask("sign"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		poke(wfe)
		later(wfe, 10*time.Minute)
		argo.write(func(wf *wfv1.Workflow) { wf.Spec.Suspend = ptr.To(true) })
		poke(wfe)
		later(wfe, 10*time.Minute)
		Expect(remindersTo(wfe)()).To(BeEmpty())
	})
})
