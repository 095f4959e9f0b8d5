package controllers_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// isShutDown reports whether the Workflow of an execution is shut down and not suspended, so that Argo can end it.
func isShutDown(wfe *wfev1.WorkflowExecution) func() bool {
	return func() bool {
		wf := workflowOf(wfe)
		return wf.Spec.Shutdown == wfv1.ShutdownStrategyTerminate && !isSuspended(wf)
	}
}

// isPaused reports whether the Workflow of an execution is suspended.
func isPaused(wfe *wfev1.WorkflowExecution) func() bool {
	return func() bool { return isSuspended(workflowOf(wfe)) }
}

// patched are the bodies of the controller's patches of a Workflow.
func patched(name string) []string {
	var bodies []string
	for _, c := range calls.writes(name) {
		if c.String() == "patch Workflow" {
			bodies = append(bodies, c.body)
		}
	}
	return bodies
}

// recordedBefore reports whether a status update that contains the first text came before a patch of the Workflow that contains
// the second one.
func recordedBefore(name, recorded, patch string) bool {
	seen := false
	for _, c := range calls.writes(name) {
		switch {
		case c.kind == wfev1.Kind+"/status" && strings.Contains(c.body, recorded):
			seen = true
		case c.String() == "patch Workflow" && strings.Contains(c.body, patch):
			return seen
		}
	}
	return false
}

var _ = Describe("A step that fails", func() {
	It("fails the execution if it is critical, without a patch of the Workflow if no other step runs", func() {
		wfe := start(execution("linear", step("first"), step("second", "first"), step("third", "second")))
		argo := argoOf(wfe)
		argo.write(run("first"))
		testClock.advance(2 * time.Second)
		argo.write(succeed("first"), run("second"))
		testClock.advance(2 * time.Second)
		argo.write(fail("second", `main: Error (exit code 1): {"reason":"Forbidden","message":"may not patch deployments"}`), omit("third"), finish(wfv1.WorkflowFailed))

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Eventually(isHeld(wfe)).Should(BeFalse())
		status := statusOf(wfe)
		Expect(status.Failure).To(Equal(&wfev1.Failure{Step: "second", Action: doIt, Reason: wfev1.ReasonForbidden, Message: "may not patch deployments"}))
		Expect(stepsOf(wfe)()).To(Equal("first=Completed second=Failed third=Skipped"))
		Expect(conditionsOf(wfe)).To(SatisfyAll(
			HaveKeyWithValue("Reconciling", "False Forbidden"), HaveKeyWithValue("Failed", "True Forbidden"),
			HaveKeyWithValue("Stalled", "True Forbidden"), Not(HaveKey("Complete")),
		))
		Expect(kstatus(wfe)).To(Equal("Failed"))
		Eventually(patched).WithArguments("linear").Should(HaveLen(1), "only the finalizer is removed")
		Eventually(eventsOf(wfe)).Should(HaveExactElements(
			HavePrefix("Normal Running"),
			"Warning StepFailed: Step second failed: Forbidden: may not patch deployments",
			`Warning Forbidden: Failed at 3/3: step "second": may not patch deployments`,
		))
		Eventually(moved).Should(Equal(started().add(seriesValues{
			"total{status=failed}": 1, "failures_total{reason=Forbidden}": 1, "duration_seconds": 1, "parallel_steps_count": 1,
			"step_execution_total{action=do-it,status=completed}": 1, "step_execution_total{action=do-it,status=failed}": 1,
			"step_execution_duration_seconds{action=do-it}": 2, "step_skipped_total{action=do-it}": 1, "steps_executed_total": 2,
		})))
	})

	It("lets running steps finish and starts no other if it is critical", func() {
		wfe := start(execution("branches", step("bad"), step("good"), step("later", "good")))
		argo := argoOf(wfe)
		argo.write(run("bad"), run("good"))
		testClock.advance(time.Second)
		argo.write(fail("bad", "main: OOMKilled (exit code 137)"))
		Eventually(isPaused(wfe)).Should(BeTrue())
		Eventually(recordedBefore).WithArguments("branches", `"failure":{`, `"suspend":true`).Should(BeTrue(), "the failure is recorded first")
		Expect(statusOf(wfe).Failure).To(HaveValue(HaveField("Reason", wfev1.ReasonOOMKilled)))
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhaseRunning))
		triggerReconcile(wfe)
		Consistently(isShutDown(wfe)).Should(BeFalse(), "a step still runs")

		testClock.advance(time.Second)
		argo.write(succeed("good"))
		Eventually(isShutDown(wfe)).Should(BeTrue())
		Eventually(patched).WithArguments("branches").Should(ContainElement(MatchJSON(`{"metadata":{"uid":"`+string(workflowOf(wfe).UID)+`"},"spec":{"shutdown":"Terminate","suspend":null}}`)), "both in one patch")
		argo.write(obeyShutdown)

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(stepsOf(wfe)()).To(Equal("bad=Failed good=Completed later=Skipped"))
		Expect(statusOf(wfe).Failure).To(Equal(&wfev1.Failure{
			Step: "bad", Action: doIt, Reason: wfev1.ReasonOOMKilled, Message: "main: OOMKilled (exit code 137)",
		}))
		Eventually(moved).Should(Equal(started().add(seriesValues{
			"total{status=failed}": 1, "failures_total{reason=OOMKilled}": 1, "duration_seconds": 1, "parallel_steps_count": 1,
			"step_execution_total{action=do-it,status=completed}": 1, "step_execution_total{action=do-it,status=failed}": 1,
			"step_execution_duration_seconds{action=do-it}": 2, "step_skipped_total{action=do-it}": 1,
			"steps_executed_total": 2, "parallel_steps_total": 2,
		})))
	})

	It("does not fail the execution if it is not critical", func() {
		wfe := start(execution("lenient", uncritical(step("bad")), step("good", "bad")))
		argo := argoOf(wfe)
		argo.write(run("bad"))
		argo.write(fail("bad", "main: Error (exit code 1)"), run("good"))
		Eventually(stepsOf(wfe)).Should(Equal("bad=Failed good=Running"))
		Expect(statusOf(wfe).Failure).To(BeNil())
		testClock.advance(time.Second)
		argo.write(succeed("good"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		Expect(conditionsOf(wfe)).NotTo(HaveKey("Failed"))
		Eventually(eventsOf(wfe)).Should(ContainElement("Warning StepFailed: Step bad failed: ActionFailed: main: Error (exit code 1)"))
		Eventually(moved).Should(SatisfyAll(
			HaveKeyWithValue("total{status=completed}", 1.0), HaveKeyWithValue("step_execution_total{action=do-it,status=failed}", 1.0),
			Not(HaveKey(HavePrefix("failures_total"))),
		))
	})

	It("does not fail the execution if it is a non-critical leaf, although the Workflow fails", func() {
		wfe := start(execution("leaf", step("good"), uncritical(step("bad", "good"))))
		argoOf(wfe).write(run("good"), succeed("good"), run("bad"), fail("bad", "main: Error (exit code 1)"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
	})

	It("fails the execution if a critical step needs its output", func() {
		needy := step("needy", "bad")
		needy.Parameters = []wfev1.Parameter{{Name: "object", ValueFrom: &wfev1.OutputReference{Step: "bad", Output: "previous"}}}
		wfe := start(execution("needy", uncritical(step("bad")), needy))
		argoOf(wfe).write(run("bad"), fail("bad", "main: Error (exit code 1)"), omit("needy"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(
			HaveField("Step", "needy"), HaveField("Reason", wfev1.ReasonActionFailed), HaveField("Message", ContainSubstring(`"bad"`)))))
	})

	It("is the failure of the execution before others that failed later", func() {
		wfe := start(execution("order", step("first"), step("second"), step("third")))
		argo := argoOf(wfe)
		argo.write(run("first"), run("second"), run("third"))
		testClock.advance(time.Second)
		// One write of Argo can contain several failures: the first one counts, and within a second the order of the plan.
		late := func(wf *wfv1.Workflow) {
			node := lastAttempt(wf, "first")
			node.FinishedAt.Time = node.FinishedAt.Add(time.Second)
			put(wf, *node)
		}
		argo.write(fail("first", "main: Error (exit code 1)"), late, fail("third", "main: Error (exit code 3)"), fail("second", "main: Error (exit code 2)"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure.Step).To(Equal("second"))
	})

	It("has an event of its own", func() {
		wfe := start(execution("twice", uncritical(step("one")), uncritical(step("two")), step("good")))
		argo := argoOf(wfe)
		argo.write(run("one"), run("two"), run("good"))
		argo.write(fail("one", "main: Error (exit code 1)"), fail("two", "main: Error (exit code 2)"))
		Eventually(eventsOf(wfe)).WithTimeout(2 * time.Second).Should(ContainElements(
			"Warning StepFailed: Step one failed: ActionFailed: main: Error (exit code 1)",
			"Warning StepFailed: Step two failed: ActionFailed: main: Error (exit code 2)",
		))
	})

	It("is not the failure of the execution if Argo did not run the Workflow", func() {
		wfe := start(execution("refused", step("a")))
		wf := workflowOf(wfe)
		change(wf, func(wf *wfv1.Workflow) {
			wf.Status.Phase, wf.Status.Message, wf.Status.FinishedAt = wfv1.WorkflowError, "templates must be referenced", timestamp()
		})
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(
			HaveField("Reason", wfev1.ReasonEngineRefused), HaveField("Message", ContainSubstring("templates must be referenced")))))
		Eventually(isHeld(wfe)).Should(BeFalse())
	})
})

var _ = Describe("A step that is retried", func() {
	It("is counted once, with the number and the times of its attempts", func() {
		wfe := start(execution("retried", retried(step("flaky"), 2)))
		argo := argoOf(wfe)
		argo.write(run("flaky"))
		began := timestamp()
		testClock.advance(3 * time.Second)
		argo.write(fail("flaky", "main: Error (exit code 1)"))
		triggerReconcile(wfe)
		Expect(stepsOf(wfe)()).To(Equal("flaky=Running"), "an attempt is left")
		Expect(statusOf(wfe).Failure).To(BeNil())
		testClock.advance(3 * time.Second)
		argo.write(pend("flaky", "ContainerCreating"))
		Eventually(func() int32 { return stepOf(wfe, "flaky").Attempts }).Should(BeEquivalentTo(2))
		Expect(stepsOf(wfe)()).To(Equal("flaky=Running"), "an attempt has run")
		argo.write(run("flaky"))
		testClock.advance(3 * time.Second)
		var ended = timestamp()
		retryEndsLater := func(wf *wfv1.Workflow) {
			retry, _ := retryNode(wf, "flaky")
			retry.FinishedAt.Time = retry.FinishedAt.Add(5 * time.Second)
			put(wf, *retry)
		}
		argo.write(succeed("flaky", "changed=true"), retryEndsLater, finish(wfv1.WorkflowSucceeded))

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		flaky := stepOf(wfe, "flaky")
		Expect(flaky.Attempts).To(BeEquivalentTo(2))
		Expect(flaky.StartTime.Time).To(BeTemporally("~", began.Time, time.Second))
		Expect(flaky.CompletionTime.Time).To(BeTemporally("~", ended.Time, time.Second))
		Expect(flaky.Outputs).To(ConsistOf(wfev1.Output{Name: "changed", Value: "true"}))
		Eventually(moved).Should(Equal(started().add(seriesValues{
			"total{status=completed}": 1, "duration_seconds": 1, "parallel_steps_count": 1, "steps_executed_total": 1,
			"step_execution_total{action=do-it,status=completed}": 1, "step_execution_duration_seconds{action=do-it}": 1,
			"step_retries_total{action=do-it}": 1,
		})))
		Expect(eventsOf(wfe)()).NotTo(ContainElement(ContainSubstring("StepFailed")))
	})

	It("fails with the reason of its last attempt", func() {
		wfe := start(execution("exhausted", retried(step("flaky"), 1)))
		argo := argoOf(wfe)
		argo.write(run("flaky"), fail("flaky", "main: Error (exit code 1)"))
		argo.write(run("flaky"), fail("flaky", "main: OOMKilled (exit code 137)"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(HaveField("Step", "flaky"), HaveField("Reason", wfev1.ReasonOOMKilled))))
		Eventually(moved).Should(SatisfyAll(
			HaveKeyWithValue("step_execution_total{action=do-it,status=failed}", 1.0), HaveKeyWithValue("step_retries_total{action=do-it}", 1.0)))
	})
})
