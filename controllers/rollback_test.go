package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// undone adds a rollback to a step that restores the previous state.
func undone(s wfev1.Step) wfev1.Step {
	s.Rollback = &wfev1.Rollback{Action: undoIt, Parameters: []wfev1.Parameter{
		{Name: "object", ValueFrom: &wfev1.OutputReference{Step: s.Name, Output: "previous"}},
	}}
	return s
}

// rollbackOf plays Argo for the rollback's Workflow, once it exists.
func rollbackOf(wfe *wfev1.WorkflowExecution) argo {
	GinkgoHelper()
	key := types.NamespacedName{Namespace: wfe.Namespace, Name: wfe.Name + wfev1.RollbackSuffix}
	Eventually(func() error { return admin.Get(ctx, key, &wfv1.Workflow{}) }).Should(Succeed())
	return argo{key: key}
}

func undosOf(wfe *wfev1.WorkflowExecution) func() string {
	return func() string {
		return stepsOf(&wfev1.WorkflowExecution{ObjectMeta: wfe.ObjectMeta})() + "; " + describeUndos(wfe)
	}
}

func describeUndos(wfe *wfev1.WorkflowExecution) string {
	text := "undone:"
	for _, s := range statusOf(wfe).RollbackSteps {
		text += " " + s.Name + "=" + string(s.Phase)
	}
	return text
}

func hasRollback(wfe *wfev1.WorkflowExecution) bool {
	key := types.NamespacedName{Namespace: wfe.Namespace, Name: wfe.Name + wfev1.RollbackSuffix}
	err := admin.Get(ctx, key, &wfv1.Workflow{})
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil
}

// failAfter completes the steps a and b, which have rollbacks, and fails the step c.
func failAfter(wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	argo := argoOf(wfe)
	argo.write(run("a"))
	testClock.advance(time.Second)
	argo.write(succeed("a", "previous=2"), run("b"))
	testClock.advance(time.Second)
	argo.write(succeed("b", "previous=blue"), run("c"))
	testClock.advance(time.Second)
	argo.write(fail("c", "main: Error (exit code 1)"), finish(wfv1.WorkflowFailed))
}

func chain(name string) *wfev1.WorkflowExecution {
	return execution(name, undone(step("a")), undone(step("b", "a")), step("c", "b"))
}

var _ = Describe("A rollback", func() {
	It("undoes the completed steps in reverse order and is counted once", func() {
		wfe := start(chain("undo"))
		failAfter(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRollingBack))
		argo := rollbackOf(wfe)
		Expect(isHeld(wfe)()).To(BeTrue(), "the end is not recorded")
		argo.write(run("b"))
		testClock.advance(time.Second)
		argo.write(succeed("b"), run("a"))
		Eventually(undosOf(wfe)).Should(Equal("a=Completed b=Completed c=Failed; undone: b=Completed a=Running"))
		testClock.advance(time.Second)
		argo.write(succeed("a"), finish(wfv1.WorkflowSucceeded))

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(HaveField("Step", "c"), HaveField("Reason", wfev1.ReasonActionFailed))))
		Expect(conditionsOf(wfe)).To(SatisfyAll(HaveKeyWithValue("RolledBack", "True RolledBack"), HaveKeyWithValue("Failed", "True ActionFailed")))
		Expect(kstatus(wfe)).To(Equal("Failed"))
		Eventually(moved).Should(Equal(started().add(seriesValues{
			"total{status=failed}": 1, "failures_total{reason=ActionFailed}": 1, "duration_seconds": 1, "parallel_steps_count": 1,
			"step_execution_total{action=do-it,status=completed}": 2, "step_execution_total{action=do-it,status=failed}": 1,
			"step_execution_duration_seconds{action=do-it}": 3, "steps_executed_total": 3,
			"rollback_total{status=completed}": 1, "rollback_step_execution_total{action=undo-it,status=completed}": 2,
		})))
		Eventually(isHeld(wfe)).Should(BeFalse())
	})

	It("passes the captured outputs", func() {
		wfe := start(chain("captured"))
		failAfter(wfe)
		argo := rollbackOf(wfe)
		wf := &wfv1.Workflow{}
		Expect(admin.Get(ctx, argo.key, wf)).To(Succeed())
		tasks := wf.GetTemplateByName(wf.Spec.Entrypoint).DAG.Tasks
		Expect(tasks).To(HaveLen(2))
		Expect(tasks[0].Name).To(Equal("b"))
		Expect(tasks[0].Arguments.GetParameterByName("object").Value.String()).To(Equal("blue"))
		Expect(tasks[1].Arguments.GetParameterByName("object").Value.String()).To(Equal("2"))
		Expect(tasks[1].Depends).To(Equal("b.Succeeded"))
	})

	It("lists the steps that are left undone", func() {
		wfe := start(chain("stuck"))
		failAfter(wfe)
		argo := rollbackOf(wfe)
		argo.write(run("b"))
		argo.write(fail("b", "main: Error (exit code 1)"), omit("a"), finish(wfv1.WorkflowFailed))

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(
			HaveField("Step", "c"), HaveField("Reason", wfev1.ReasonRollbackFailed),
			HaveField("Message", SatisfyAll(ContainSubstring("left undone: b (ActionFailed"), ContainSubstring("a (Skipped)"))))))
		Expect(conditionsOf(wfe)).To(HaveKeyWithValue("RolledBack", "False RollbackFailed"))
		Eventually(moved).Should(HaveKeyWithValue("rollback_total{status=failed}", 1.0))
	})

	It("ends at its own timeout, after that is recorded", func() {
		wfe := chain("endless")
		wfe.Spec.RollbackTimeoutSeconds = ptr.To[int32](60)
		start(wfe)
		failAfter(wfe)
		argo := rollbackOf(wfe)
		argo.write(run("b"))
		testClock.advance(61 * time.Second)
		triggerReconcile(wfe)
		wf := &wfv1.Workflow{}
		Eventually(func() wfv1.ShutdownStrategy {
			Expect(admin.Get(ctx, argo.key, wf)).To(Succeed())
			return wf.Spec.Shutdown
		}).Should(Equal(wfv1.ShutdownStrategyTerminate))
		Expect(conditionsOf(wfe)).To(HaveKeyWithValue("RolledBack", "Unknown TimedOut"))
		argo.write(obeyShutdown)

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(conditionMessage(wfe, "RolledBack")).To(SatisfyAll(ContainSubstring("longer than its timeout"), ContainSubstring("left undone")))
	})

	It("follows a cancellation by Stop and ends as Cancelled", func() {
		wfe := start(chain("stopped"))
		argo := argoOf(wfe)
		argo.write(run("a"))
		argo.write(succeed("a", "previous=2"), run("b"))
		Eventually(stepsOf(wfe)).Should(Equal("a=Completed b=Running c=Pending"))
		cancel(wfe, wfev1.CancelStop)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		argo.write(obeyShutdown)
		undo := rollbackOf(wfe)
		Eventually(undosOf(wfe)).Should(Equal("a=Completed b=Cancelled c=Skipped; undone: a=Pending"))
		undo.write(run("a"))
		undo.write(succeed("a"), finish(wfv1.WorkflowSucceeded))

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
		Expect(conditionsOf(wfe)).To(HaveKeyWithValue("RolledBack", "True RolledBack"))
	})

	It("ends by Terminate and lists the steps that are left undone", func() {
		wfe := start(chain("terminated"))
		failAfter(wfe)
		argo := rollbackOf(wfe)
		argo.write(run("b"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRollingBack))
		cancel(wfe, wfev1.CancelTerminate)
		wf := &wfv1.Workflow{}
		Eventually(func() wfv1.ShutdownStrategy {
			Expect(admin.Get(ctx, argo.key, wf)).To(Succeed())
			return wf.Spec.Shutdown
		}).Should(Equal(wfv1.ShutdownStrategyTerminate))
		argo.write(obeyShutdown)

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(conditionMessage(wfe, "RolledBack")).To(ContainSubstring("left undone"))
	})

	DescribeTable("does not run", func(name string, prepare func(*wfev1.WorkflowExecution)) {
		wfe := chain(name)
		prepare(wfe)
		start(wfe)
		failAfter(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(hasRollback(wfe)).To(BeFalse())
		Expect(conditionsOf(wfe)).NotTo(HaveKey("RolledBack"))
	},
		Entry("if the policy is None", "policy-none", func(wfe *wfev1.WorkflowExecution) { wfe.Spec.RollbackPolicy = wfev1.RollbackNone }),
		Entry("in a dry run", "dry", func(wfe *wfev1.WorkflowExecution) { wfe.Spec.DryRun = true }),
		Entry("if no step has a rollback", "nothing", func(wfe *wfev1.WorkflowExecution) {
			for i := range wfe.Spec.Steps {
				wfe.Spec.Steps[i].Rollback = nil
			}
		}),
	)

	It("keeps the lock on the target until its end", func() {
		wfe := start(chain("holder"))
		next := execution("next", step("x"))
		next.Spec.Target = wfe.Spec.Target
		create(next)
		failAfter(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRollingBack))
		Consistently(phaseOf(next)).Should(Equal(wfev1.PhasePending))
		argo := rollbackOf(wfe)
		argo.write(run("b"))
		argo.write(succeed("b"), run("a"))
		argo.write(succeed("a"), finish(wfv1.WorkflowSucceeded))
		Eventually(phaseOf(next)).Should(Equal(wfev1.PhaseRunning))
	})

	It("survives a change of leader between its creation and its record", func() {
		wfe := start(chain("succeeded"))
		calls.inject(func(c call) bool {
			return c.kind == wfev1.Kind+"/status" && c.key.Name == wfe.Name
		}, unavailable)
		failAfter(wfe)
		rollbackOf(wfe)
		withNewLeader(func() { calls.removeFaults() })
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRollingBack))
		Expect(calls.creations()).To(HaveKeyWithValue(ContainSubstring("succeeded-rollback"), 1))
	})
})

var _ = Describe("The time to live", func() {
	It("deletes an ended execution after it has passed, and not earlier", func() {
		wfe := execution("brief", step("only"))
		wfe.Spec.TTLSecondsAfterFinished = ptr.To[int32](300)
		start(wfe)
		argo := argoOf(wfe)
		argo.write(run("only"))
		argo.write(succeed("only"), finish(wfv1.WorkflowSucceeded))
		Eventually(isHeld(wfe)).Should(BeFalse())
		testClock.advance(290 * time.Second)
		triggerReconcile(wfe)
		Consistently(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
		testClock.advance(11 * time.Second)
		change(wfe, func(wfe *wfev1.WorkflowExecution) { wfe.Labels = map[string]string{"poked": "again"} })
		Eventually(func() bool {
			return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(wfe), &wfev1.WorkflowExecution{}))
		}).Should(BeTrue())
	})
})
