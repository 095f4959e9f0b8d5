package e2e

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// undoneBy adds a rollback to a step.
func undoneBy(s wfev1.Step, action string, parameters ...wfev1.Parameter) wfev1.Step {
	s.Rollback = &wfev1.Rollback{Action: action, Parameters: parameters}
	return s
}

func from(parameter, step, output string) wfev1.Parameter {
	return wfev1.Parameter{Name: parameter, ValueFrom: &wfev1.OutputReference{Step: step, Output: output}}
}

func approval(name string, timeout int32) wfev1.Step {
	request := &wfev1.ApprovalRequest{Message: "Go on?"}
	if timeout > 0 {
		request.TimeoutSeconds = &timeout
	}
	return wfev1.Step{Name: name, Approval: request}
}

// change edits the specification of an execution.
func change(ctx SpecContext, wfe *wfev1.WorkflowExecution, edit func(*wfev1.WorkflowExecutionSpec)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		current := &wfev1.WorkflowExecution{}
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), current)).To(Succeed())
		edit(&current.Spec)
		g.Expect(cluster.Update(ctx, current)).To(Succeed())
	}).WithContext(ctx).WithTimeout(10 * time.Second).WithPolling(pollEvery).Should(Succeed())
}

func waitPhase(ctx SpecContext, wfe *wfev1.WorkflowExecution, phase wfev1.Phase) {
	GinkgoHelper()
	waitPhaseFor(ctx, wfe, phase, time.Minute)
}

func waitPhaseFor(ctx SpecContext, wfe *wfev1.WorkflowExecution, phase wfev1.Phase, timeout time.Duration) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		current := &wfev1.WorkflowExecution{}
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), current)).To(Succeed())
		if current.Status.Phase.IsTerminal() && current.Status.Phase != phase {
			StopTrying(fmt.Sprintf("the execution has ended: %s, %+v", current.Status.Phase, current.Status.Failure)).Now()
		}
		g.Expect(current.Status.Phase).To(Equal(phase), "%s", current.Status.Progress)
	}).WithContext(ctx).WithTimeout(timeout).WithPolling(pollEvery).Should(Succeed())
}

var _ = Describe("An execution", func() {
	It("passes outputs to steps, and skips a step whose condition is false", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		reader := after(step("reader", "test-ok"), "writer")
		reader.Parameters = []wfev1.Parameter{from("say", "writer", "did")}
		yes := after(step("yes", "test-ok"), "reader")
		yes.When = &wfev1.When{Step: "writer", Output: "did", Operator: wfev1.OperatorIn, Values: []string{"blue", "green"}}
		no := after(step("no", "test-ok"), "reader")
		no.When = &wfev1.When{Step: "writer", Output: "did", Operator: wfev1.OperatorNotIn, Values: []string{"blue", "green"}}

		wfe := run(ctx, newExecution(namespace, "outputs",
			step("writer", "test-ok", "say", "blue"), reader, yes, no, after(step("last", "test-ok"), "yes", "no")))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", wfe.Status.Failure)
		Expect(stepOf(wfe, "reader").Outputs).To(ConsistOf(wfev1.Output{Name: "did", Value: "blue"}))
		Expect(stepOf(wfe, "yes").Phase).To(Equal(wfev1.StepCompleted))
		Expect(stepOf(wfe, "no").Phase).To(Equal(wfev1.StepSkipped))
		Expect(stepOf(wfe, "last").Phase).To(Equal(wfev1.StepCompleted))
	})

	It("rolls back in reverse order with the captured outputs", Serial, func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		before := scrape(ctx)

		wfe := run(ctx, newExecution(namespace, "undo",
			undoneBy(step("one", "test-ok", "say", "first"), "test-ok", from("say", "one", "did")),
			undoneBy(after(step("two", "test-ok", "say", "second"), "one"), "test-ok", from("say", "two", "did")),
			after(step("breaks", "test-fail"), "two")))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(wfe.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Step": Equal("breaks"), "Reason": Equal(wfev1.ReasonActionFailed)})))
		Expect(meta.IsStatusConditionTrue(wfe.Status.Conditions, wfev1.ConditionRolledBack)).To(BeTrue())
		Expect(wfe.Status.RollbackRef.Name).To(Equal("undo-rollback"))
		Expect(wfe.Status.RollbackSteps).To(HaveExactElements(
			MatchFields(IgnoreExtras, Fields{"Name": Equal("two"), "Phase": Equal(wfev1.StepCompleted), "Outputs": ConsistOf(wfev1.Output{Name: "did", Value: "second"})}),
			MatchFields(IgnoreExtras, Fields{"Name": Equal("one"), "Phase": Equal(wfev1.StepCompleted), "Outputs": ConsistOf(wfev1.Output{Name: "did", Value: "first"})}),
		))
		two, one := wfe.Status.RollbackSteps[0], wfe.Status.RollbackSteps[1]
		Expect(one.StartTime.Before(two.CompletionTime)).To(BeFalse(), "the later step is rolled back first")
		moved := testutil.Moved(before, scrape(ctx))
		Expect(moved).To(HaveKeyWithValue(`workflowexecution_rollback_total{status="completed"}`, 1.0))
		Expect(moved).To(HaveKeyWithValue(`workflowexecution_rollback_step_execution_total{action="test-ok",status="completed"}`, 2.0))
		Expect(moved).To(HaveKeyWithValue(`workflowexecution_step_execution_total{action="test-ok",status="completed"}`, 2.0))
	})

	It("lists the steps that a failed rollback left undone", func(ctx SpecContext) {
		namespace := newNamespace(ctx)

		wfe := run(ctx, newExecution(namespace, "stuck",
			undoneBy(step("one", "test-ok"), "test-ok"),
			undoneBy(after(step("two", "test-ok"), "one"), "test-fail"),
			after(step("breaks", "test-fail"), "two")))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(wfe.Status.Failure.Reason).To(Equal(wfev1.ReasonRollbackFailed))
		Expect(wfe.Status.Failure.Message).To(And(ContainSubstring("left undone"), ContainSubstring("two"), ContainSubstring("one")))
		Expect(meta.IsStatusConditionFalse(wfe.Status.Conditions, wfev1.ConditionRolledBack)).To(BeTrue())
	})

	It("waits for an approval", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := newExecution(namespace, "approve", step("one", "test-ok"), after(approval("ask", 0), "one"), after(step("two", "test-ok"), "ask"))
		Expect(cluster.Create(ctx, wfe)).To(Succeed())
		waitPhase(ctx, wfe, wfev1.PhaseAwaitingApproval)

		change(ctx, wfe, func(spec *wfev1.WorkflowExecutionSpec) {
			spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: "carol", Reason: "looks right"}}
		})
		ended := waitEnd(ctx, wfe)

		Expect(ended.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", ended.Status.Failure)
		Expect(stepOf(ended, "ask").Message).To(Equal("approved by carol: looks right"))
	})

	It("fails at a rejected approval and rolls back", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := newExecution(namespace, "reject", undoneBy(step("one", "test-ok"), "test-ok"), after(approval("ask", 0), "one"), after(step("two", "test-ok"), "ask"))
		wfe.Spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: false, By: "carol"}}

		ended := run(ctx, wfe)

		Expect(ended.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Step": Equal("ask"), "Reason": Equal(wfev1.ReasonApprovalRejected)})))
		Expect(stepOf(ended, "two").Phase).To(Equal(wfev1.StepSkipped))
		Expect(meta.IsStatusConditionTrue(ended.Status.Conditions, wfev1.ConditionRolledBack)).To(BeTrue())
	})

	It("fails at an approval that is not decided in time", func(ctx SpecContext) {
		namespace := newNamespace(ctx)

		ended := run(ctx, newExecution(namespace, "expire", approval("ask", 3), after(step("two", "test-ok"), "ask")))

		Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Step": Equal("ask"), "Reason": Equal(wfev1.ReasonApprovalTimeout)})))
		Expect(ended.Status.ApprovalWaitSeconds).To(BeNumerically(">=", 2))
	})

	It("stops and rolls back, or terminates, when cancelled", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		for _, mode := range []wfev1.CancelMode{wfev1.CancelStop, wfev1.CancelTerminate} {
			name := map[wfev1.CancelMode]string{wfev1.CancelStop: "stop", wfev1.CancelTerminate: "terminate"}[mode]
			wfe := newExecution(namespace, name, undoneBy(step("one", "test-ok"), "test-ok"), after(step("long", "test-sleep", "seconds", "120"), "one"))
			Expect(cluster.Create(ctx, wfe)).To(Succeed())
			Eventually(func(g Gomega) {
				current := &wfev1.WorkflowExecution{}
				g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), current)).To(Succeed())
				g.Expect(current.Status.Steps).To(ContainElement(MatchFields(IgnoreExtras, Fields{"Name": Equal("long"), "Phase": Equal(wfev1.StepRunning)})))
			}).WithContext(ctx).WithTimeout(time.Minute).WithPolling(pollEvery).Should(Succeed())

			change(ctx, wfe, func(spec *wfev1.WorkflowExecutionSpec) { spec.Cancel = mode })
			ended := waitEnd(ctx, wfe)

			Expect(ended.Status.Phase).To(Equal(wfev1.PhaseCancelled), "%s: %+v", mode, ended.Status.Failure)
			Expect(stepOf(ended, "long").Phase).To(Equal(wfev1.StepCancelled))
			if mode == wfev1.CancelStop {
				Expect(meta.IsStatusConditionTrue(ended.Status.Conditions, wfev1.ConditionRolledBack)).To(BeTrue())
			} else {
				Expect(ended.Status.RollbackRef).To(BeNil())
			}
		}
	})

	It("pauses before the next step and resumes", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := newExecution(namespace, "pause", step("one", "test-sleep", "seconds", "3"), after(step("two", "test-ok"), "one"))
		Expect(cluster.Create(ctx, wfe)).To(Succeed())
		waitPhase(ctx, wfe, wfev1.PhaseRunning)
		change(ctx, wfe, func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = true })
		waitPhase(ctx, wfe, wfev1.PhaseSuspended)

		change(ctx, wfe, func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = false })

		Expect(waitEnd(ctx, wfe).Status.Phase).To(Equal(wfev1.PhaseCompleted))
	})

	It("has a target for itself: others on the same target wait", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		first := newExecution(namespace, "first", step("long", "test-sleep", "seconds", "5"))
		second := newExecution(namespace, "second", step("short", "test-ok"))
		second.Spec.Target = first.Spec.Target
		Expect(cluster.Create(ctx, first)).To(Succeed())
		waitPhase(ctx, first, wfev1.PhaseRunning)
		Expect(cluster.Create(ctx, second)).To(Succeed())
		Eventually(func(g Gomega) {
			waiting := &wfev1.WorkflowExecution{}
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(second), waiting)).To(Succeed())
			condition := meta.FindStatusCondition(waiting.Status.Conditions, wfev1.ConditionAdmitted)
			g.Expect(condition).NotTo(BeNil())
			g.Expect(condition.Status).To(Equal(metav1.ConditionFalse))
			g.Expect(condition.Message).To(ContainSubstring(namespace + "/first"))
		}).WithContext(ctx).WithTimeout(10 * time.Second).WithPolling(pollEvery).Should(Succeed())

		done, next := waitEnd(ctx, first), waitEnd(ctx, second)

		Expect(next.Status.Phase).To(Equal(wfev1.PhaseCompleted))
		Expect(next.Status.StartTime.Before(done.Status.CompletionTime)).To(BeFalse())
	})

	It("is deleted with its Workflow after its time to live", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := newExecution(namespace, "short-lived", step("one", "test-ok"))
		wfe.Spec.TTLSecondsAfterFinished = ptr.To[int32](2)
		Expect(cluster.Create(ctx, wfe)).To(Succeed())

		Eventually(func(g Gomega) {
			executions, workflows := &wfev1.WorkflowExecutionList{}, &wfv1.WorkflowList{}
			g.Expect(cluster.List(ctx, executions, client.InNamespace(namespace))).To(Succeed())
			g.Expect(cluster.List(ctx, workflows, client.InNamespace(namespace))).To(Succeed())
			g.Expect(executions.Items).To(BeEmpty())
			g.Expect(workflows.Items).To(BeEmpty())
		}).WithContext(ctx).WithTimeout(time.Minute).WithPolling(pollEvery).Should(Succeed())
	})
})

var _ = DescribeTable("A failure's reason", func(ctx SpecContext, s wfev1.Step, timeout int32, reason wfev1.FailureReason) {
	namespace := newNamespace(ctx)
	if timeout > 0 {
		s.TimeoutSeconds = &timeout
	}

	wfe := run(ctx, newExecution(namespace, "reason", s))

	Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseFailed))
	Expect(wfe.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Step": Equal(s.Name), "Reason": Equal(reason)})), "%+v", wfe.Status.Failure)
},
	Entry("is OOMKilled above the memory limit", step("eats", "test-oom"), int32(0), wfev1.ReasonOOMKilled),
	Entry("is DeadlineExceeded beyond the step's timeout", step("sleeps", "test-sleep", "seconds", "120"), int32(5), wfev1.ReasonDeadlineExceeded),
	Entry("is ImagePullBackOff for an image that does not exist", step("pulls", "test-no-image"), int32(15), wfev1.ReasonImagePullBackOff),
	Entry("is ActionFailed for any other exit code", step("fails", "test-fail"), int32(0), wfev1.ReasonActionFailed),
)
