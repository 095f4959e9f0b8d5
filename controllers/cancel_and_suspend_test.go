package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// cancel sets the cancel mode.
func cancel(wfe *wfev1.WorkflowExecution, mode wfev1.CancelMode) {
	GinkgoHelper()
	change(wfe, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Cancel = mode })
}

// suspend suspends or resumes an execution.
func suspend(wfe *wfev1.WorkflowExecution, suspended bool) {
	GinkgoHelper()
	change(wfe, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = suspended })
}

var _ = Describe("Cancelling", func() {
	for _, mode := range []wfev1.CancelMode{wfev1.CancelStop, wfev1.CancelTerminate} {
		Context("by "+string(mode), func() {
			It("ends an execution that has not started", func() {
				wfe := execution("never", step("a"))
				wfe.Spec.Cancel = mode
				create(wfe)
				Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
				Expect(calls.writeNames("never")).To(HaveExactElements(updateStatus))
				Expect(conditionsOf(wfe)).To(SatisfyAll(HaveKeyWithValue("Reconciling", "False Cancelled"), Not(HaveKey("Failed")), Not(HaveKey("Complete"))))
				Expect(kstatus(wfe)).To(Equal("Current"))
				Eventually(moved).Should(Equal(seriesValues{"cancelled_total": 1}))
				Eventually(eventsOf(wfe)).Should(ConsistOf(HavePrefix("Normal Cancelled: 0/1")))
			})

			It("ends an execution that is suspended before its start", func() {
				wfe := execution("planned", step("a"))
				wfe.Spec.Suspended = true
				create(wfe)
				Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue("Reconciling", "True Suspended"))
				cancel(wfe, mode)
				Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
				Expect(stepsOf(wfe)()).To(Equal("a=Cancelled"))
				Expect(statusOf(wfe).StartTime).To(BeNil())
				Eventually(moved).Should(Equal(seriesValues{"cancelled_total": 1}))
			})

			It("stops running steps as Cancelled, not Failed", func() {
				wfe := start(execution("running", step("done"), step("slow", "done"), step("next", "slow")))
				argo := argoOf(wfe)
				argo.write(run("done"))
				testClock.advance(time.Second)
				argo.write(succeed("done"), run("slow"))
				Eventually(stepsOf(wfe)).Should(Equal("done=Completed slow=Running next=Pending"))
				cancel(wfe, mode)
				Eventually(isShutDown(wfe)).Should(BeTrue())
				Expect(conditionsOf(wfe)).To(HaveKeyWithValue("Reconciling", "True Cancelling"))
				argo.write(obeyShutdown)
				Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
				Expect(stepsOf(wfe)()).To(Equal("done=Completed slow=Cancelled next=Skipped"))
				Expect(statusOf(wfe).Failure).To(BeNil())
				Expect(conditionsOf(wfe)).To(SatisfyAll(HaveKeyWithValue("Reconciling", "False Cancelled"), Not(HaveKey("Failed")), Not(HaveKey("Stalled"))))
				Eventually(isHeld(wfe)).Should(BeFalse())
				Eventually(moved).Should(Equal(started().add(seriesValues{
					"cancelled_total": 1, "parallel_steps_count": 1, "steps_executed_total": 1,
					"step_execution_total{action=do-it,status=completed}": 1, "step_execution_duration_seconds{action=do-it}": 1,
					"step_skipped_total{action=do-it}": 1,
				})))
				Expect(eventsOf(wfe)()).NotTo(ContainElement(ContainSubstring("StepFailed")))
			})

			It("stops a suspended execution", func() {
				wfe := start(execution("suspended", step("a"), step("b", "a")))
				argo := argoOf(wfe)
				argo.write(run("a"), succeed("a"))
				suspend(wfe, true)
				Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseSuspended))
				cancel(wfe, mode)
				Eventually(isShutDown(wfe)).Should(BeTrue())
				argo.write(obeyShutdown)
				Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
			})
		})
	}

	It("is no failure after a failed non-critical step", func() {
		wfe := start(execution("lenient", uncritical(step("bad")), step("slow", "bad")))
		argo := argoOf(wfe)
		argo.write(run("bad"), fail("bad", "main: Error (exit code 1)"), run("slow"))
		cancel(wfe, wfev1.CancelTerminate)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		argo.write(obeyShutdown)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
		Expect(statusOf(wfe).Failure).To(BeNil())
	})

	It("does not hide an earlier failure", func() {
		wfe := start(execution("failed", step("bad"), step("slow")))
		argo := argoOf(wfe)
		argo.write(run("bad"), run("slow"))
		argo.write(fail("bad", "main: Error (exit code 1)"))
		Eventually(isPaused(wfe)).Should(BeTrue())
		cancel(wfe, wfev1.CancelTerminate)
		argo.write(succeed("slow"))
		Eventually(isShutDown(wfe)).Should(BeTrue())
		argo.write(obeyShutdown)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure.Step).To(Equal("bad"))
	})

	It("by Terminate does not wait for running steps after a failure", func() {
		wfe := start(execution("impatient", step("bad"), step("slow")))
		argo := argoOf(wfe)
		argo.write(run("bad"), run("slow"))
		argo.write(fail("bad", "main: Error (exit code 1)"))
		Eventually(isPaused(wfe)).Should(BeTrue())
		cancel(wfe, wfev1.CancelTerminate)
		Eventually(isShutDown(wfe)).WithTimeout(2 * time.Second).Should(BeTrue())
	})

	It("also takes effect in Argo", func() {
		wfe := start(execution("in-argo", step("slow")))
		argo := argoOf(wfe)
		argo.write(run("slow"))
		change(workflowOf(wfe), func(wf *wfv1.Workflow) { wf.Spec.Shutdown = wfv1.ShutdownStrategyTerminate })
		argo.write(obeyShutdown)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
		Eventually(moved).Should(SatisfyAll(HaveKeyWithValue("cancelled_total", 1.0), Not(HaveKey(HavePrefix("total")))))
	})
})

var _ = Describe("Suspending", func() {
	It("prevents a start until the execution is resumed", func() {
		wfe := execution("planned", step("a"))
		wfe.Spec.Suspended = true
		create(wfe)
		Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue("Reconciling", "True Suspended"))
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhasePending))
		Expect(calls.creations()).To(BeEmpty())
		suspend(wfe, false)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRunning))
	})

	It("lets running steps finish, starts no other, and continues after the resume", func() {
		wfe := start(execution("paused", step("a"), step("b", "a")))
		argo := argoOf(wfe)
		argo.write(run("a"))
		suspend(wfe, true)
		Eventually(isPaused(wfe)).Should(BeTrue())
		Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue("Reconciling", "True Suspending"))
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhaseRunning), "a step is running")
		argo.write(succeed("a"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseSuspended))
		Expect(statusOf(wfe).PauseStartTime).NotTo(BeNil())
		Eventually(gauges).Should(SatisfyAll(
			HaveKeyWithValue("active_total", 1.0), HaveKeyWithValue("workflows{phase=Suspended}", 1.0), Not(HaveKey(HavePrefix("start_timestamp")))))
		testClock.advance(time.Minute)
		suspend(wfe, false)
		Eventually(isPaused(wfe)).Should(BeFalse())
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRunning))
		Expect(statusOf(wfe).PauseStartTime).To(BeNil())
		Expect(statusOf(wfe).SuspendedSeconds).To(BeNumerically("~", 60, 3))
		argo.write(run("b"), succeed("b"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Eventually(eventsOf(wfe)).Should(ContainElement(HavePrefix("Normal Suspended: ")))
	})

	It("costs nothing while the execution is suspended", func() {
		wfe := start(within(execution("idle", step("a"), step("b", "a")), 2))
		suspend(wfe, true)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseSuspended))
		Eventually(busy).Should(BeFalse())
		reconciles := calls.reconciles(wfe)
		Consistently(func() int { return calls.reconciles(wfe) }).WithTimeout(3*time.Second).Should(Equal(reconciles), "the controller must not poll")
	})

	It("in Argo by another user is not undone by the controller", func() {
		wfe := start(execution("foreign", step("a"), step("b", "a")))
		argo := argoOf(wfe)
		argo.write(run("a"), succeed("a"))
		change(workflowOf(wfe), func(wf *wfv1.Workflow) { wf.Spec.Suspend = ptr.To(true) })
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseSuspended))
		suspend(wfe, true)
		triggerReconcile(wfe)
		suspend(wfe, false)
		triggerReconcile(wfe)
		Eventually(busy).Should(BeFalse())
		Expect(patched("foreign")).To(BeEmpty())
		Expect(isPaused(wfe)()).To(BeTrue())
		change(workflowOf(wfe), func(wf *wfv1.Workflow) { wf.Spec.Suspend = nil })
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRunning))
	})
})
