package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// within sets the timeout of an execution.
func within(wfe *wfev1.WorkflowExecution, seconds int32) *wfev1.WorkflowExecution {
	wfe.Spec.TimeoutSeconds = &seconds
	return wfe
}

var _ = Describe("The timeout of an execution", func() {
	It("ends the execution on time without another event", func() {
		wfe := start(within(execution("short", step("slow")), 2))
		argoOf(wfe).write(run("slow"))
		Eventually(isShutDown(wfe)).Should(BeTrue())
		Expect(testClock.Since(wfe.Status.StartTime.Time)).To(BeNumerically("~", 3*time.Second, 1500*time.Millisecond))
	})

	It("is recorded before the Workflow is shut down, and stopped steps have not failed", func() {
		wfe := start(within(execution("late", step("done"), step("slow", "done"), step("next", "slow")), 600))
		argo := argoOf(wfe)
		argo.write(run("done"))
		testClock.advance(10 * time.Second)
		argo.write(succeed("done"), run("slow"))
		Eventually(stepsOf(wfe)).Should(Equal("done=Completed slow=Running next=Pending"))
		testClock.advance(580 * time.Second)
		triggerReconcile(wfe)
		Consistently(isShutDown(wfe)).Should(BeFalse(), "the timeout has not passed")
		testClock.advance(11 * time.Second)
		triggerReconcile(wfe)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		Eventually(recordedBefore).WithArguments("late", `"reason":"TimedOut"`, `"shutdown":"Terminate"`).Should(BeTrue())
		Expect(patched("late")).To(HaveLen(1))
		argo.write(obeyShutdown)

		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(
			HaveField("Step", ""), HaveField("Reason", wfev1.ReasonTimedOut), HaveField("Message", ContainSubstring("10m0s")))))
		Expect(stepsOf(wfe)()).To(Equal("done=Completed slow=Cancelled next=Skipped"))
		Expect(conditionsOf(wfe)).To(HaveKeyWithValue("Failed", "True TimedOut"))
		Eventually(moved).Should(Equal(started().add(seriesValues{
			"total{status=failed}": 1, "failures_total{reason=TimedOut}": 1, "duration_seconds": 1, "parallel_steps_count": 1,
			"step_execution_total{action=do-it,status=completed}": 1, "step_execution_duration_seconds{action=do-it}": 1,
			"step_skipped_total{action=do-it}": 1, "steps_executed_total": 1,
		})))
		Eventually(isHeld(wfe)).Should(BeFalse())
	})

	It("does not run while the execution is suspended", func() {
		wfe := start(within(execution("paused", step("a"), step("b", "a")), 600))
		argo := argoOf(wfe)
		argo.write(run("a"))
		change(wfe, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = true })
		Eventually(isPaused(wfe)).Should(BeTrue())
		argo.write(succeed("a"))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseSuspended))
		testClock.advance(time.Hour)
		triggerReconcile(wfe)
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhaseSuspended))
		change(wfe, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = false })
		Eventually(isPaused(wfe)).Should(BeFalse())
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRunning))
		Expect(statusOf(wfe).SuspendedSeconds).To(BeNumerically("~", 3600, 5))
		Expect(statusOf(wfe).Failure).To(BeNil())
		testClock.advance(601 * time.Second)
		triggerReconcile(wfe)
		Eventually(isShutDown(wfe)).Should(BeTrue())
	})

	It("does not run while the execution is suspended before its start", func() {
		wfe := within(execution("planned", step("a")), 600)
		wfe.Spec.Suspended = true
		create(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhasePending))
		testClock.advance(time.Hour)
		triggerReconcile(wfe)
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhasePending))
	})

	It("leaves no pending step when it ends a waiting execution", func() {
		holder := start(execution("holder", step("a")))
		wfe := within(execution("waits", step("a")), 600)
		wfe.Spec.Target = holder.Spec.Target
		create(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhasePending))
		testClock.advance(601 * time.Second)
		triggerReconcile(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(stepsOf(wfe)()).NotTo(ContainSubstring("Pending"))
	})
})

var _ = Describe("The timeout of a step", func() {
	It("deletes a pod that did not start in time and records the reason", func() {
		wfe := start(execution("unstarted", retried(bounded(step("stuck"), 30), 1)))
		argo := argoOf(wfe)
		argo.write(pend("stuck", "ImagePullBackOff: Back-off pulling image"))
		Eventually(func() wfev1.FailureReason { return stepOf(wfe, "stuck").Reason }).Should(Equal(wfev1.ReasonImagePullBackOff))
		wf := workflowOf(wfe)
		stuck := &corev1.Pod{
			ObjectMeta: podMeta(wf, lastAttempt(wf, "stuck")),
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.invalid/action:v1"}}},
		}
		Expect(admin.Create(ctx, stuck)).To(Succeed())
		Expect(stepOf(wfe, "stuck").PodName).To(Equal(stuck.Name))
		testClock.advance(25 * time.Second)
		triggerReconcile(wfe)
		Consistently(func() bool { return exists(stuck) }).Should(BeTrue(), "the timeout has not passed")
		testClock.advance(8 * time.Second)
		triggerReconcile(wfe)
		Eventually(func() bool { return exists(stuck) }).Should(BeFalse())
		Eventually(calls.writeNames).WithArguments(stuck.Name).Should(HaveExactElements("delete Pod"))

		argo.write(losePod("stuck"))
		triggerReconcile(wfe)
		Expect(stepOf(wfe, "stuck").Phase.IsTerminal()).To(BeFalse(), "an attempt is left")
		argo.write(pend("stuck", "ContainerCreating"))
		testClock.advance(33 * time.Second)
		triggerReconcile(wfe)
		Eventually(func() wfev1.FailureReason { return stepOf(wfe, "stuck").Reason }).ShouldNot(BeEmpty())
		argo.write(func(wf *wfv1.Workflow) {
			losePod("stuck")(wf)
			retry, _ := retryNode(wf, "stuck")
			end(wf, retry, wfv1.NodeError, "No more retries left")
		}, finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(
			HaveField("Step", "stuck"), HaveField("Reason", wfev1.ReasonDeadlineExceeded), HaveField("Message", ContainSubstring("did not start")))))
	})

	It("records the image that could not be pulled, although Argo overwrites the message", func() {
		wfe := start(execution("image", bounded(step("stuck"), 30)))
		argo := argoOf(wfe)
		argo.write(pend("stuck", "ErrImagePull: no such host"))
		Eventually(func() wfev1.FailureReason { return stepOf(wfe, "stuck").Reason }).Should(Equal(wfev1.ReasonImagePullBackOff))
		argo.write(fail("stuck", "Pod was active on the node longer than the specified deadline"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(
			HaveField("Reason", wfev1.ReasonImagePullBackOff), HaveField("Message", ContainSubstring("no such host")))))
	})

	It("causes a reconcile without another event", func() {
		wfe := start(execution("overdue", bounded(step("stuck"), 1)))
		argoOf(wfe).write(pend("stuck", "Unschedulable"))
		Eventually(func() wfev1.FailureReason { return stepOf(wfe, "stuck").Reason }).Should(Equal(wfev1.ReasonDeadlineExceeded))
		Expect(wfe.Spec.TimeoutSeconds).To(Equal((*int32)(nil)), "no other timer exists")
		Expect(ptr.Deref(wfe.Spec.Steps[0].TimeoutSeconds, 0)).To(BeEquivalentTo(1))
	})
})

// podMeta is the metadata that Argo gives to the pod of an attempt.
func podMeta(wf *wfv1.Workflow, node *wfv1.NodeStatus) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: wf.Namespace, Name: podNameOf(wf, node), Labels: map[string]string{"workflows.argoproj.io/workflow": wf.Name},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(wf, wfv1.SchemeGroupVersion.WithKind("Workflow"))},
	}
}
