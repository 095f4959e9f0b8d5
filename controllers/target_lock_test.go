package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// on sets the target of an execution.
func on(target wfev1.Target, wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	wfe.Spec.Target = target
	return wfe
}

// waitsFor checks that an execution waits for the holder of the lock.
func waitsFor(wfe, holder *wfev1.WorkflowExecution) {
	GinkgoHelper()
	Eventually(func() string { return conditionMessage(wfe, wfev1.ConditionAdmitted) }).Should(
		ContainSubstring("is being remediated by " + holder.Namespace + "/" + holder.Name))
	Expect(conditionsOf(wfe)).To(SatisfyAll(
		HaveKeyWithValue("Admitted", "False TargetLocked"), HaveKeyWithValue("Reconciling", "True TargetLocked"), HaveKeyWithValue("Valid", "True Accepted")))
	Expect(phaseOf(wfe)()).To(Equal(wfev1.PhasePending))
	Expect(statusOf(wfe).WorkflowRef).To(BeNil())
	Expect(exists(&wfv1.Workflow{ObjectMeta: wfe.ObjectMeta})).To(BeFalse())
}

// waitsBehind checks that an execution waits for a locked target directly behind another waiting one.
func waitsBehind(wfe, before *wfev1.WorkflowExecution) {
	GinkgoHelper()
	Eventually(func() string { return conditionMessage(wfe, wfev1.ConditionAdmitted) }).Should(
		ContainSubstring("this execution is next after " + before.Namespace + "/" + before.Name))
	Expect(conditionsOf(wfe)).To(HaveKeyWithValue("Admitted", "False TargetLocked"))
}

// complete completes an execution of one step.
func complete(wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	name := wfe.Spec.Steps[0].Name
	argoOf(wfe).write(run(name), succeed(name), finish(wfv1.WorkflowSucceeded))
	Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
}

var _ = Describe("The lock on a target", func() {
	api := wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}
	node := wfev1.Target{APIVersion: "v1", Kind: "Node", Name: "node-1"}

	It("lets one execution run at a time in order of creation, and wakes the next one without polling", func() {
		first := start(on(api, execution("m-first", step("a"))))
		second := create(on(api, execution("z-second", step("a"))))
		waitsFor(second, first)
		// Creation times are whole seconds. The name decides within a second.
		Eventually(func() int64 { return time.Now().Unix() }).Should(BeNumerically(">", second.CreationTimestamp.Unix()))
		third := create(on(api, execution("a-third", step("a"))))
		waitsBehind(third, second)
		Eventually(eventsOf(second)).Should(ConsistOf("Normal Pending: waiting for " + ns + "/m-first"))
		Eventually(gauges).Should(SatisfyAll(HaveKeyWithValue("workflows{phase=Pending}", 2.0), HaveKeyWithValue("active_total", 1.0)))
		Eventually(busy).Should(BeFalse())
		reconciles, writes := calls.reconciles(third), len(calls.writeNames("a-third"))
		Consistently(func() int { return calls.reconciles(third) }).Should(Equal(reconciles), "the controller must not poll")
		Expect(calls.writeNames("a-third")).To(HaveLen(writes))

		complete(first)
		Eventually(phaseOf(second)).WithTimeout(5 * time.Second).Should(Equal(wfev1.PhaseRunning))
		Expect(conditionsOf(second)).To(HaveKeyWithValue("Admitted", "True TargetFree"))
		Eventually(busy).Should(BeFalse())
		Expect(calls.writeNames("a-third")).To(HaveLen(writes), "a change of the holder must not cause writes for executions that wait behind the next one")
		waitsBehind(third, second)
		complete(second)
		Eventually(phaseOf(third)).WithTimeout(5 * time.Second).Should(Equal(wfev1.PhaseRunning))
		complete(third)
		Eventually(moved).Should(SatisfyAll(HaveKeyWithValue("total{status=completed}", 3.0), HaveKeyWithValue("step_count", 3.0)))
	})

	It("is released by a failure", func() {
		first := start(on(api, execution("first", step("a"))))
		second := create(on(api, execution("second", step("a"))))
		waitsFor(second, first)
		argoOf(first).write(run("a"), fail("a", "main: Error (exit code 1)"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(second)).Should(Equal(wfev1.PhaseRunning))
	})

	It("is released when its holder is deleted", func() {
		first := start(on(api, execution("first", step("a"))))
		second := create(on(api, execution("second", step("a"))))
		waitsFor(second, first)
		Expect(admin.Delete(ctx, first)).To(Succeed())
		// The steps of the holder run until its Workflow is deleted.
		Eventually(func() []string { collectGarbage(); return []string{string(phaseOf(second)())} }).Should(ConsistOf("Running"))
	})

	It("ignores the version in the target", func() {
		first := start(on(api, execution("first", step("a"))))
		other := api
		other.APIVersion = "apps/v1beta2"
		waitsFor(create(on(other, execution("second", step("a")))), first)
	})

	It("spans namespaces only for cluster-scoped targets", func() {
		elsewhere := newNamespace()
		in := func(namespace string, wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
			wfe.Namespace = namespace
			return wfe
		}
		start(on(api, execution("deployment", step("a"))))
		start(on(api, in(elsewhere, execution("deployment", step("a")))))
		drain := start(on(node, execution("drain", step("a"))))
		again := create(on(node, in(elsewhere, execution("drain", step("a")))))
		waitsFor(again, drain)
		complete(drain)
		Eventually(phaseOf(again)).Should(Equal(wfev1.PhaseRunning))
	})

	It("does not apply to dry runs", func() {
		dry := func(name string) *wfev1.WorkflowExecution {
			wfe := on(api, execution(name, step("a")))
			wfe.Spec.DryRun = true
			return wfe
		}
		first := start(dry("dry-first"))
		real := start(on(api, execution("real", step("a"))))
		last := start(dry("dry-last"))
		for _, wfe := range []*wfev1.WorkflowExecution{first, real, last} {
			complete(wfe)
		}
		Eventually(moved).Should(SatisfyAll(
			HaveKeyWithValue("dry_runs_total{status=completed}", 2.0), HaveKeyWithValue("total{status=completed}", 1.0),
			HaveKeyWithValue("step_count", 1.0), HaveKeyWithValue("step_execution_total{action=do-it,status=completed}", 1.0)))
		Expect(workflowOf(first).Labels).To(HaveKeyWithValue(wfev1.LabelDryRun, "true"))
	})

	It("allows cancelling a waiting execution", func() {
		first := start(on(api, execution("first", step("a"))))
		second := create(on(api, execution("second", step("a"))))
		waitsFor(second, first)
		change(second, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Cancel = wfev1.CancelStop })
		Eventually(phaseOf(second)).Should(Equal(wfev1.PhaseCancelled))
		Eventually(moved).Should(Equal(started().add(seriesValues{"cancelled_total": 1})))
		Expect(phaseOf(first)()).To(Equal(wfev1.PhaseRunning))
	})

	It("does not stop the timeout of a waiting execution", func() {
		first := start(on(api, execution("first", step("a"))))
		second := create(within(on(api, execution("second", step("a"))), 2))
		waitsFor(second, first)
		Eventually(phaseOf(second)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(second).Failure).To(HaveValue(HaveField("Reason", wfev1.ReasonTimedOut)))
		Expect(statusOf(second).StartTime).To(BeNil())
		Eventually(moved).Should(Equal(started().add(seriesValues{"total{status=failed}": 1, "failures_total{reason=TimedOut}": 1})))
	})

	It("passes over a suspended waiting execution", func() {
		first := start(on(api, execution("first", step("a"))))
		second := create(on(api, execution("p-second", step("a"))))
		third := create(on(api, execution("q-third", step("a"))))
		waitsFor(second, first)
		waitsBehind(third, second)
		change(second, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = true })
		Eventually(conditionsOf).WithArguments(second).Should(HaveKeyWithValue("Reconciling", "True Suspended"))
		waitsFor(third, first)
		complete(first)
		Eventually(phaseOf(third)).Should(Equal(wfev1.PhaseRunning))
		change(second, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = false })
		waitsFor(second, third)
		complete(third)
		Eventually(phaseOf(second)).Should(Equal(wfev1.PhaseRunning))
	})

	It("survives a change of leader", func() {
		first := start(on(api, execution("first", step("a"))))
		second := create(on(api, execution("a-second", step("a"))))
		waitsFor(second, first)
		withNewLeader(func() {})
		triggerReconcile(second)
		waitsFor(second, first)
		complete(first)
		Eventually(phaseOf(second)).Should(Equal(wfev1.PhaseRunning))
	})

	It("is restored by the next leader from a Workflow that no status refers to", func() {
		var orphaned, rival *wfev1.WorkflowExecution
		var wf *wfv1.Workflow
		withNewLeader(func() {
			// The last leader admitted the execution with the later name, created its Workflow, and crashed.
			rival = create(on(api, execution("a-rival", step("a"))))
			orphaned = create(on(api, execution("b-orphaned", step("a"))))
			wf = plannedWorkflow(orphaned)
			Expect(admin.Create(ctx, wf)).To(Succeed())
		})
		Eventually(phaseOf(orphaned)).Should(Equal(wfev1.PhaseRunning))
		Expect(statusOf(orphaned).WorkflowRef.UID).To(Equal(wf.UID), "the existing Workflow must be adopted")
		Expect(statusOf(orphaned).StartTime.Equal(&wf.CreationTimestamp)).To(BeTrue())
		waitsFor(rival, orphaned)
		complete(orphaned)
		Eventually(phaseOf(rival)).Should(Equal(wfev1.PhaseRunning))
		Expect(calls.creations()).To(HaveLen(1), "only the Workflow of the other execution is created")
	})

	It("is restored by the next leader from the Workflow of the first execution", func() {
		var orphaned, rival *wfev1.WorkflowExecution
		withNewLeader(func() {
			orphaned = create(on(api, execution("a-orphaned", step("a"))))
			rival = create(on(api, execution("b-rival", step("a"))))
			Expect(admin.Create(ctx, plannedWorkflow(orphaned))).To(Succeed())
		})
		Eventually(phaseOf(orphaned)).Should(Equal(wfev1.PhaseRunning))
		waitsFor(rival, orphaned)
		Expect(calls.creations()).To(BeEmpty())
	})

	It("stays with its holder if an older execution resumes before the start is recorded", func() {
		older := on(api, execution("a-older", step("a")))
		older.Spec.Suspended = true
		create(older)
		Eventually(conditionsOf).WithArguments(older).Should(HaveKeyWithValue("Reconciling", "True Suspended"))
		resumed := older.DeepCopy()
		calls.injectOnce(updateStatus, func(c call, proceed func() error) error {
			defer GinkgoRecover()
			change(resumed, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = false })
			Eventually(conditionsOf).WithArguments(resumed).Should(HaveKeyWithValue("Admitted", "False TargetLocked"))
			return conflict(c, proceed)
		})
		holder := create(on(api, execution("b-holder", step("a"))))
		Eventually(phaseOf(holder)).WithTimeout(5 * time.Second).Should(Equal(wfev1.PhaseRunning))
		waitsFor(older, holder)
	})
})
