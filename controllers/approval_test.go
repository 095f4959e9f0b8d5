package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// approval is an approval step with a timeout, or without one if seconds is 0.
func approval(name string, seconds int32, dependsOn ...string) wfev1.Step {
	request := &wfev1.ApprovalRequest{Message: "go on?"}
	if seconds > 0 {
		request.TimeoutSeconds = &seconds
	}
	return wfev1.Step{Name: name, Approval: request, DependsOn: dependsOn}
}

// nodePhase is the phase of a task's node in Argo.
func nodePhase(wfe *wfev1.WorkflowExecution, task string) func() wfv1.NodePhase {
	return func() wfv1.NodePhase {
		wf := workflowOf(wfe)
		return wf.Status.Nodes[wf.NodeID(wf.Name+"."+task)].Phase
	}
}

func decide(wfe *wfev1.WorkflowExecution, approved bool) {
	GinkgoHelper()
	change(wfe, func(wfe *wfev1.WorkflowExecution) {
		wfe.Spec.Approvals = append(wfe.Spec.Approvals, wfev1.Approval{Step: "ask", Approved: approved, By: "carol"})
	})
}

var _ = Describe("An approval", func() {
	It("pauses the execution, and the wait is no part of the duration", func() {
		wfe := start(execution("asks", approval("ask", 0), step("next", "ask")))
		argo := argoOf(wfe)
		argo.write(awaitApproval("ask"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		Expect(conditionsOf(wfe)).To(HaveKeyWithValue("Reconciling", "True AwaitingApproval"))
		testClock.advance(2 * time.Hour)
		triggerReconcile(wfe)
		Consistently(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval), "the wait does not count towards the timeout")
		decide(wfe, true)
		Eventually(nodePhase(wfe, "ask")).Should(Equal(wfv1.NodeSucceeded))
		argo.write(run("next"))
		Eventually(stepsOf(wfe)).Should(Equal("ask=Completed next=Running"))
		Expect(stepOf(wfe, "ask").Message).To(Equal("approved by carol"))
		testClock.advance(time.Second)
		argo.write(succeed("next"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Expect(statusOf(wfe).ApprovalWaitSeconds).To(BeNumerically("~", 7200, 5))
		Eventually(eventsOf(wfe)).Should(HaveExactElements(
			"Normal Running: Workflow asks runs the steps",
			"Normal AwaitingApproval: waiting for a decision in spec.approvals on ask",
			"Normal Running: Workflow asks runs the steps again",
			HavePrefix("Normal Completed: 2/2: "),
		), "each approval has events of its own")
		Eventually(moved).Should(SatisfyAll(
			HaveKeyWithValue("approval_wait_duration_seconds", 1.0),
			Not(HaveKey(ContainSubstring("action=,"))),
			HaveKeyWithValue("step_execution_total{action=do-it,status=completed}", 1.0),
		))
	})

	It("fails the execution if it is rejected", func() {
		wfe := start(execution("rejects", approval("ask", 0), step("next", "ask")))
		argo := argoOf(wfe)
		argo.write(awaitApproval("ask"))
		decide(wfe, false)
		Eventually(nodePhase(wfe, "ask")).Should(Equal(wfv1.NodeFailed))
		argo.write(omit("next"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(
			HaveField("Step", "ask"), HaveField("Reason", wfev1.ReasonApprovalRejected), HaveField("Message", "rejected by carol"))))
	})

	It("fails the execution after its timeout", func() {
		wfe := start(execution("expires", approval("ask", 60), step("next", "ask")))
		argo := argoOf(wfe)
		argo.write(awaitApproval("ask"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		testClock.advance(61 * time.Second)
		triggerReconcile(wfe)
		Eventually(nodePhase(wfe, "ask")).Should(Equal(wfv1.NodeFailed))
		argo.write(omit("next"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(HaveField("Reason", wfev1.ReasonApprovalTimeout)))
	})

	It("can be decided before its step is reached", func() {
		wfe := execution("early", approval("ask", 0), step("next", "ask"))
		wfe.Spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true}}
		start(wfe)
		argoOf(wfe).write(awaitApproval("ask"))
		Eventually(nodePhase(wfe, "ask")).Should(Equal(wfv1.NodeSucceeded))
	})

	It("counts as approved if a user resumes it in Argo", func() {
		wfe := start(execution("resumed", approval("ask", 0), step("next", "ask")))
		argo := argoOf(wfe)
		argo.write(awaitApproval("ask"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		argo.write(func(wf *wfv1.Workflow) {
			node := wf.Status.Nodes[wf.NodeID(wf.Name+".ask")]
			end(wf, &node, wfv1.NodeSucceeded, "")
		}, run("next"))
		Eventually(stepsOf(wfe)).Should(Equal("ask=Completed next=Running"))
		Expect(stepOf(wfe, "ask").Message).To(Equal("approved in Argo"))
	})

	It("ends with the other steps if the execution is cancelled", func() {
		wfe := start(execution("gives-up", approval("ask", 0), step("next", "ask")))
		argo := argoOf(wfe)
		argo.write(awaitApproval("ask"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		cancel(wfe, wfev1.CancelTerminate)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		argo.write(obeyShutdown)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
		Expect(stepsOf(wfe)()).To(Equal("ask=Cancelled next=Skipped"))
	})
})
