package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// reopen does what `argo retry` does with a failed Workflow: the object runs again without the failed nodes.
func reopen(wf *wfv1.Workflow) {
	wf.Status.Phase, wf.Status.Message = wfv1.WorkflowRunning, ""
	wf.Status.FinishedAt.Reset()
	delete(wf.Labels, "workflows.argoproj.io/completed")
	for id, node := range wf.Status.Nodes {
		if node.Name == wf.Name {
			node.Phase = wfv1.NodeRunning
			node.FinishedAt.Reset()
			wf.Status.Nodes[id] = node
		} else if node.FailedOrError() {
			delete(wf.Status.Nodes, id)
		}
	}
}

var _ = Describe("A Workflow that is reopened in Argo", func() {
	It("after its end was recorded does not change the ended execution", func() {
		wfe := start(execution("late", step("a"), step("b", "a")))
		argo := argoOf(wfe)
		argo.write(run("a"), succeed("a"), run("b"), fail("b", "main: Error (exit code 1)"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Eventually(isHeld(wfe)).Should(BeFalse())
		Expect(workflowOf(wfe).Labels).To(HaveKeyWithValue(wfev1.LabelObserved, "true"))
		Eventually(busy).Should(BeFalse())
		refresh(wfe)
		version, counts := wfe.ResourceVersion, moved()
		argo.write(reopen)
		argo.write(run("b"))
		argo.write(succeed("b"), finish(wfv1.WorkflowSucceeded))
		Consistently(moved).Should(Equal(counts))
		Eventually(busy).Should(BeFalse())
		refresh(wfe)
		Expect(wfe.ResourceVersion).To(Equal(version))
	})

	It("during the rollback is stopped", func() {
		wfe := start(chain("undone"))
		failAfter(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRollingBack))
		argoOf(wfe).write(func(wf *wfv1.Workflow) { wf.Spec.Shutdown = "" }, reopen)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		argoOf(wfe).write(obeyShutdown)
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhaseRollingBack))
		rollback := &wfv1.Workflow{}
		Expect(admin.Get(ctx, rollbackOf(wfe).key, rollback)).To(Succeed())
		Expect(rollback.Spec.Shutdown).To(BeEmpty())
	})

	It("before its end was recorded is mirrored to its new end", func() {
		wfe := start(execution("early", step("a"), step("b", "a")))
		withNewLeader(func() {
			argo := argoOf(wfe)
			argo.write(run("a"), succeed("a"), run("b"), fail("b", "main: Error (exit code 1)"), finish(wfv1.WorkflowFailed))
			argo.write(reopen)
			argo.write(run("b"))
		})
		Eventually(stepsOf(wfe)).Should(Equal("a=Completed b=Running"))
		argoOf(wfe).write(succeed("b"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Expect(stepsOf(wfe)()).To(Equal("a=Completed b=Completed"))
	})
})

var _ = Describe("A Workflow that a user edits", func() {
	It("with suspend stays suspended", func() {
		wfe := start(execution("paused", step("a")))
		argoOf(wfe).write(func(wf *wfv1.Workflow) { wf.Spec.Suspend = ptr.To(true) })
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseSuspended))
		triggerReconcile(wfe)
		Consistently(isPaused(wfe)).Should(BeTrue())
	})

	It("without its nodes keeps the recorded steps and fails with reason Unknown", func() {
		wfe := start(execution("emptied", step("a"), step("b", "a"), step("c", "b")))
		argo := argoOf(wfe)
		argo.write(run("a"), succeed("a"), run("b"))
		Eventually(stepsOf(wfe)).Should(Equal("a=Completed b=Running c=Pending"))
		argo.write(func(wf *wfv1.Workflow) { wf.Status.Nodes = nil })
		triggerReconcile(wfe)
		Expect(stepsOf(wfe)()).To(Equal("a=Completed b=Running c=Pending"))
		argo.write(func(wf *wfv1.Workflow) { wf.Status.Phase, wf.Status.FinishedAt = wfv1.WorkflowSucceeded, timestamp() })
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(stepsOf(wfe)()).To(Equal("a=Completed b=Failed c=Skipped"))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(HaveField("Step", "b"), HaveField("Reason", wfev1.ReasonUnknown))))
	})

	DescribeTable("in its labels gets them back", func(hide func(wf *wfv1.Workflow)) {
		wfe := start(execution("hidden", step("a")))
		argo := argoOf(wfe)
		argo.write(run("a"), hide)
		Eventually(func() map[string]string { return workflowOf(wfe).Labels }).Should(And(
			HaveKeyWithValue(wfev1.LabelRole, wfev1.RoleMain), HaveKeyWithValue(wfev1.LabelName, "hidden"), Not(HaveKey(wfev1.LabelObserved))))
		Eventually(stepsOf(wfe)).Should(Equal("a=Running"))
		argo.write(succeed("a"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Eventually(isHeld(wfe)).Should(BeFalse())
	},
		Entry("that were removed", func(wf *wfv1.Workflow) { wf.Labels = nil }),
		Entry("with the label that hides it from the cache", func(wf *wfv1.Workflow) { wf.Labels[wfev1.LabelObserved] = "true" }),
	)
})

var _ = Describe("A Workflow that Argo never picks up", func() {
	It("ends at its timeout and releases the target", func() {
		wfe := start(within(execution("ignored", step("a")), 600))
		next := create(on(wfe.Spec.Target, execution("next", step("a"))))
		waitsFor(next, wfe)
		testClock.advance(601 * time.Second)
		triggerReconcile(wfe)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhaseRunning), "Argo can still pick it up")
		testClock.advance(31 * time.Second)
		triggerReconcile(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(
			HaveField("Reason", wfev1.ReasonTimedOut), HaveField("Message", ContainSubstring("Argo did not act on the Workflow")))))
		Expect(stepsOf(wfe)()).To(Equal("a=Cancelled"))
		Eventually(isHeld(wfe)).Should(BeFalse())
		Expect(isShutDown(wfe)()).To(BeTrue(), "Argo must not run it later")
		Eventually(phaseOf(next)).Should(Equal(wfev1.PhaseRunning))
	})

	It("ends as Cancelled if it is cancelled", func() {
		wfe := start(within(execution("ignored", step("a")), 600))
		cancel(wfe, wfev1.CancelTerminate)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		testClock.advance(631 * time.Second)
		triggerReconcile(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
	})

	It("ends at the rollback's timeout if it is a rollback", func() {
		wfe := chain("ignored")
		wfe.Spec.RollbackTimeoutSeconds = ptr.To[int32](60)
		start(wfe)
		failAfter(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRollingBack))
		testClock.advance(61 * time.Second)
		triggerReconcile(wfe)
		testClock.advance(31 * time.Second)
		triggerReconcile(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure.Reason).To(Equal(wfev1.ReasonRollbackFailed))
		Expect(conditionMessage(wfe, "RolledBack")).To(ContainSubstring("left undone: b"))
	})
})
