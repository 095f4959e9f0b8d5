package controllers_test

import (
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	createWorkflow = "create Workflow"
	updateStatus   = "update WorkflowExecution/status"
	patchWorkflow  = "patch Workflow"
)

// conflict refuses a call as the API server refuses a patch of an outdated object.
func conflict(call, func() error) error {
	return apierrors.NewConflict(wfev1.GroupVersion.WithResource("workflowexecutions").GroupResource(), "x", errors.New("changed"))
}

// unavailable refuses a call before it takes effect.
func unavailable(call, func() error) error { return apierrors.NewInternalError(errors.New("down")) }

// unanswered makes a call and loses its response.
func unanswered(_ call, proceed func() error) error {
	_ = proceed() // the response is lost
	return apierrors.NewTimeoutError("no answer", 1)
}

var _ = Describe("An API server that fails", func() {
	DescribeTable("at the start causes neither a second Workflow nor a wrong count",
		func(name string, f fault, lost seriesValues) {
			calls.injectOnce(name, f)
			wfe := start(execution("unlucky", step("a")))
			Expect(calls.creations()).To(HaveLen(1))
			Expect(statusOf(wfe).WorkflowRef.UID).To(Equal(workflowOf(wfe).UID))
			complete(wfe)
			Eventually(isHeld(wfe)).Should(BeFalse())
			// The measurements of a call without a response are lost.
			Eventually(moved).Should(SatisfyAll(
				HaveKeyWithValue("total{status=completed}", 1.0),
				HaveKeyWithValue("step_execution_total{action=do-it,status=completed}", 1.0),
				WithTransform(func(t seriesValues) float64 { return t["step_count"] }, Equal(1-lost["step_count"])),
			))
			Consistently(moved).Should(HaveKeyWithValue("total{status=completed}", 1.0))
		},
		Entry("a conflict of the first status update", updateStatus, conflict, seriesValues{}),
		Entry("an error of the first status update", updateStatus, unavailable, seriesValues{}),
		Entry("a status update without a response", updateStatus, unanswered, seriesValues{}),
		Entry("an error of the creation", createWorkflow, unavailable, seriesValues{}),
		Entry("a creation without a response", createWorkflow, unanswered, seriesValues{"step_count": 1}),
		Entry("an error of a read", "get "+wfev1.Kind, unavailable, seriesValues{}),
	)

	DescribeTable("at the end causes no wrong count, and the Workflow is released",
		func(name string, f fault, counted float64) {
			wfe := start(execution("unlucky", step("a")))
			argo := argoOf(wfe)
			argo.write(run("a"))
			Eventually(stepsOf(wfe)).Should(Equal("a=Running"))
			Eventually(busy).Should(BeFalse())
			calls.injectOnce(name, f)
			argo.write(succeed("a"), finish(wfv1.WorkflowSucceeded))
			Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
			Eventually(isHeld(wfe)).Should(BeFalse())
			Eventually(busy).Should(BeFalse())
			Expect(moved()["total{status=completed}"]).To(Equal(counted))
		},
		Entry("a conflict of the last status update", updateStatus, conflict, 1.0),
		Entry("an error of the last status update", updateStatus, unavailable, 1.0),
		Entry("a last status update without a response: its counts are lost, and not counted twice", updateStatus, unanswered, 0.0),
		Entry("a conflict of the release", patchWorkflow, conflict, 1.0),
		Entry("an error of the release", patchWorkflow, unavailable, 1.0),
		Entry("a release without a response", patchWorkflow, unanswered, 1.0),
	)

	It("at the shutdown does not change the recorded cause", func() {
		wfe := start(within(execution("unlucky", step("a")), 600))
		argo := argoOf(wfe)
		argo.write(run("a"))
		Eventually(stepsOf(wfe)).Should(Equal("a=Running"))
		calls.injectOnce(patchWorkflow, unavailable)
		testClock.advance(601 * time.Second)
		triggerReconcile(wfe)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		argo.write(obeyShutdown)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure.Reason).To(Equal(wfev1.ReasonTimedOut))
	})

	It("ends the execution if it refuses the Workflow permanently", func() {
		calls.injectOnce(createWorkflow, func(call, func() error) error {
			return apierrors.NewForbidden(wfv1.Resource("workflows"), "refused", errors.New("exceeded quota"))
		})
		wfe := create(execution("refused", step("a")))
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure).To(HaveValue(SatisfyAll(
			HaveField("Reason", wfev1.ReasonForbidden), HaveField("Message", ContainSubstring("exceeded quota")))))
		Eventually(moved).Should(Equal(seriesValues{"total{status=failed}": 1, "failures_total{reason=Forbidden}": 1}))
	})
})

// A user's change between the creation of the Workflow and the status update causes a conflict of the update. Then a Workflow
// exists that no status refers to, and the next decision must not ignore it.
var _ = Describe("A change between the creation and its record", func() {
	meanwhile := func(name string, mutate func(*wfev1.WorkflowExecution)) *wfev1.WorkflowExecution {
		GinkgoHelper()
		wfe, namespace := execution(name, step("a")), ns
		calls.injectOnce(updateStatus, func(_ call, proceed func() error) error {
			defer GinkgoRecover()
			change(&wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}, mutate)
			return proceed()
		})
		return create(wfe)
	}

	DescribeTable("that cancels stops the Workflow", func(mode wfev1.CancelMode) {
		wfe := meanwhile("cancelled", func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Cancel = mode })
		Eventually(func() bool { return exists(&wfv1.Workflow{ObjectMeta: wfe.ObjectMeta}) }).Should(BeTrue())
		Eventually(isShutDown(wfe)).WithTimeout(3 * time.Second).Should(BeTrue())
		argoOf(wfe).write(obeyShutdown)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCancelled))
		Eventually(isHeld(wfe)).Should(BeFalse())
	}, Entry("Stop", wfev1.CancelStop), Entry("Terminate", wfev1.CancelTerminate))

	It("that suspends pauses the Workflow", func() {
		wfe := meanwhile("suspended", func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = true })
		Eventually(func() bool { return exists(&wfv1.Workflow{ObjectMeta: wfe.ObjectMeta}) }).Should(BeTrue())
		Eventually(isPaused(wfe)).WithTimeout(3 * time.Second).Should(BeTrue())
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseSuspended))
	})

	It("of the leader, after which the timeout has passed, ends the execution", func() {
		var wfe *wfev1.WorkflowExecution
		withNewLeader(func() {
			wfe = create(within(execution("late", step("a")), 600))
			Expect(admin.Create(ctx, plannedWorkflow(wfe))).To(Succeed())
			testClock.advance(601 * time.Second)
		})
		Eventually(isShutDown(wfe)).WithTimeout(3 * time.Second).Should(BeTrue())
		argoOf(wfe).write(obeyShutdown)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Eventually(isHeld(wfe)).Should(BeFalse())
	})
})
