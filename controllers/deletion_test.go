package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// midway starts an execution with a completed, a running and a pending step.
func midway(name string) *wfev1.WorkflowExecution {
	GinkgoHelper()
	wfe := start(execution(name, step("done"), step("slow", "done"), step("next", "slow")))
	argoOf(wfe).write(run("done"), succeed("done"), run("slow"))
	Eventually(stepsOf(wfe)).Should(Equal("done=Completed slow=Running next=Pending"))
	return wfe
}

// midwayCounts are the counters for midway.
func midwayCounts() seriesValues {
	return started().add(seriesValues{"step_execution_total{action=do-it,status=completed}": 1})
}

// deleteWorkflow deletes the Workflow of an execution.
func deleteWorkflow(wfe *wfev1.WorkflowExecution) *wfv1.Workflow {
	GinkgoHelper()
	wf := workflowOf(wfe)
	Expect(admin.Delete(ctx, wf)).To(Succeed())
	return wf
}

func expectWorkflowDeleted(wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
	Expect(statusOf(wfe).Failure).To(HaveValue(HaveField("Reason", wfev1.ReasonWorkflowDeleted)))
	Expect(conditionsOf(wfe)).To(HaveKeyWithValue("Failed", "True WorkflowDeleted"))
	Expect(stepOf(wfe, "done").Phase).To(Equal(wfev1.StepCompleted))
	Expect(stepOf(wfe, "slow").Phase).To(Equal(wfev1.StepCancelled))
	Eventually(moved).Should(SatisfyAll(
		HaveKeyWithValue("total{status=failed}", 1.0), HaveKeyWithValue("failures_total{reason=WorkflowDeleted}", 1.0),
		Not(HaveKey("cancelled_total")), Not(HaveKey("step_execution_total{action=do-it,status=failed}"))))
}

var _ = Describe("A Workflow that is deleted while it runs", func() {
	It("stays until its end is recorded", func() {
		wfe := midway("deleted")
		wf := deleteWorkflow(wfe)
		Eventually(isShutDown(wfe)).Should(BeTrue(), "Argo starts steps also while its Workflow is being deleted")
		argoOf(wfe).write(obeyShutdown)
		expectWorkflowDeleted(wfe)
		Eventually(func() bool { return exists(wf) }).Should(BeFalse(), "released")
		Eventually(eventsOf(wfe)).Should(ContainElement(HavePrefix("Warning WorkflowDeleted: ")))
	})

	It("is not created again if its finalizer was removed", func() {
		wfe := midway("forced")
		wf := workflowOf(wfe)
		change(wf, func(wf *wfv1.Workflow) { wf.Finalizers = nil })
		deleteWorkflow(wfe)
		expectWorkflowDeleted(wfe)
		triggerReconcile(wfe)
		Eventually(busy).Should(BeFalse())
		Expect(exists(wf)).To(BeFalse())
		Expect(calls.creations()).To(HaveLen(1))
	})

	It("ends the execution under the next leader", func() {
		wfe := midway("unseen")
		withNewLeader(func() {
			change(workflowOf(wfe), func(wf *wfv1.Workflow) { wf.Finalizers = nil })
			deleteWorkflow(wfe)
		})
		expectWorkflowDeleted(wfe)
		Expect(calls.creations()).To(HaveLen(1))
	})

	It("does not change an end that Argo has written", func() {
		wfe := start(execution("ended", step("a")))
		withNewLeader(func() {
			argoOf(wfe).write(run("a"), succeed("a"), finish(wfv1.WorkflowSucceeded))
			deleteWorkflow(wfe)
		})
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
	})
})

var _ = Describe("An execution that is deleted while it runs", func() {
	It("releases its Workflow and is counted once as cancelled", func() {
		wfe := midway("gone")
		wf := workflowOf(wfe)
		Expect(admin.Delete(ctx, wfe)).To(Succeed())
		Eventually(collectGarbage).Should(BeEmpty())
		Expect(exists(wf)).To(BeFalse())
		Eventually(moved).Should(Equal(midwayCounts().add(seriesValues{"cancelled_total": 1})))
		Eventually(busy).Should(BeFalse())
		Consistently(moved).Should(HaveKeyWithValue("cancelled_total", 1.0))
	})

	It("stops its Workflow at once", func() {
		wfe := midway("running-on")
		Expect(admin.Delete(ctx, wfe)).To(Succeed())
		Eventually(isShutDown(wfe)).Should(BeTrue(), "Argo starts steps until the garbage collector deletes the Workflow")
		Consistently(isHeld(wfe)).Should(BeTrue(), "its pods may still run")
		Eventually(collectGarbage).Should(BeEmpty())
	})

	It("is counted once if the next leader does not find it", func() {
		wfe := midway("between")
		Eventually(moved).Should(Equal(midwayCounts()), "a leader that stops can lose the counts of a call")
		withNewLeader(func() { Expect(admin.Delete(ctx, wfe)).To(Succeed()) })
		Eventually(collectGarbage).Should(BeEmpty())
		Eventually(moved).Should(Equal(midwayCounts().add(seriesValues{"cancelled_total": 1})))
	})

	It("is not counted again if it had ended", func() {
		wfe := start(execution("over", step("a")))
		complete(wfe)
		Eventually(moved).Should(HaveKeyWithValue("total{status=completed}", 1.0))
		counts := moved()
		Expect(admin.Delete(ctx, wfe)).To(Succeed())
		Eventually(collectGarbage).Should(BeEmpty())
		Eventually(busy).Should(BeFalse())
		Expect(moved()).To(Equal(counts))
	})

	It("is stopped first in a foreground deletion", func() {
		wfe := midway("foreground")
		// In a cluster the garbage collector removes this finalizer.
		DeferCleanup(func() {
			if exists(wfe) {
				change(wfe, func(wfe *wfev1.WorkflowExecution) { wfe.Finalizers = nil })
			}
		})
		Expect(admin.Delete(ctx, wfe, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
		Eventually(isShutDown(wfe)).Should(BeTrue())
		argoOf(wfe).write(obeyShutdown)
		wf := deleteWorkflow(wfe)
		Eventually(func() bool { return exists(wf) }).Should(BeFalse())
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhaseCancelled))
		Eventually(moved).Should(SatisfyAll(
			HaveKeyWithValue("cancelled_total", 1.0), HaveKeyWithValue("steps_executed_total", 1.0), Not(HaveKey(HavePrefix("total")))))
	})

	It("does not affect the next execution of its name, which gets a Workflow of its own", func() {
		first := midway("again")
		predecessor := workflowOf(first)
		Expect(admin.Delete(ctx, first)).To(Succeed())
		second := create(execution("again", step("other")))
		Eventually(conditionsOf).WithArguments(second).Should(HaveKeyWithValue("Reconciling", "True PredecessorEnding"))
		Expect(workflowOf(second).UID).To(Equal(predecessor.UID))
		Expect(phaseOf(second)()).To(Equal(wfev1.PhasePending))
		Eventually(func() wfev1.Phase { collectGarbage(); return phaseOf(second)() }).Should(Equal(wfev1.PhaseRunning))
		wf := workflowOf(second)
		Expect(wf.UID).NotTo(Equal(predecessor.UID))
		Expect(statusOf(second).WorkflowRef.UID).To(Equal(wf.UID))
		Expect(metav1.GetControllerOf(wf).UID).To(Equal(second.UID))
		Eventually(moved).Should(Equal(midwayCounts().add(started()).add(seriesValues{"cancelled_total": 1})))
	})
})
