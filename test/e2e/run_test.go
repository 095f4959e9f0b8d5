package e2e

import (
	"maps"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

var _ = Describe("A run", Label(smoke), func() {
	It("remediates the Deployment of the sample, and the metrics are exact", Serial, func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTarget(ctx, namespace)
		before := scrape(ctx)

		apply(ctx, namespace, "config/samples/remediate.yaml")
		wfe := waitEnd(ctx, &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "payment-api-oom"}})

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", wfe.Status.Failure)
		Expect(wfe.Status.Progress).To(Equal("4/4"))
		Expect(meta.IsStatusConditionTrue(wfe.Status.Conditions, wfev1.ConditionComplete)).To(BeTrue())
		Expect(stepOf(wfe, "scale-up").Outputs).To(ContainElement(wfev1.Output{Name: "previous-replicas", Value: "2"}))

		deployment, err := cluster.Clientset.AppsV1().Deployments(namespace).Get(ctx, "payment-api", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(deployment.Status.AvailableReplicas).To(BeEquivalentTo(5))
		Expect(deployment.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().String()).To(Equal("2Gi"))

		wf := &wfv1.Workflow{}
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), wf)).To(Succeed())
		Expect(wf.UID).To(Equal(wfe.Status.WorkflowRef.UID))
		Expect(wf.Status.Phase).To(Equal(wfv1.WorkflowSucceeded))

		after := scrape(ctx)
		// The efficiency covers the last hour, so it depends on earlier specs.
		const efficiency = "workflowexecution_parallel_execution_efficiency"
		Expect(after).To(HaveKeyWithValue(efficiency, And(BeNumerically(">", 0), BeNumerically("<=", 1))))
		moved := testutil.Moved(before, after)
		delete(moved, efficiency)
		// If a step ends before the controller reads its node, its queue time is unknown.
		maps.DeleteFunc(moved, func(series string, _ float64) bool {
			return strings.HasPrefix(series, "workflowexecution_step_queue_duration_seconds")
		})
		Expect(moved).To(MatchAllKeys(expectedMoves(wfe, 4, 4)))
	})

	It("fails with the reason of a critical step and starts no step after it", Serial, func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		before := scrape(ctx)

		wfe := run(ctx, newExecution(namespace, "critical",
			step("first", "test-ok"),
			after(step("breaks", "test-fail", "exit-code", "64", "termination", `{"reason":"Forbidden","message":"pods is forbidden"}`), "first"),
			after(step("meanwhile", "test-sleep", "seconds", "6"), "first"),
			after(step("later", "test-ok"), "meanwhile"),
			after(step("never", "test-ok"), "breaks"),
		))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(wfe.Status.Failure).To(Equal(&wfev1.Failure{Step: "breaks", Action: "test-fail", Reason: wfev1.ReasonForbidden, Message: "pods is forbidden"}))
		Expect(stepOf(wfe, "breaks").Phase).To(Equal(wfev1.StepFailed))
		Expect(stepOf(wfe, "meanwhile").Phase).To(Equal(wfev1.StepCompleted), "running steps finish")
		Expect(stepOf(wfe, "later").Phase).To(Equal(wfev1.StepSkipped), "no new step starts")
		Expect(stepOf(wfe, "never").Phase).To(Equal(wfev1.StepSkipped))

		moved := testutil.Moved(before, scrape(ctx))
		Expect(moved).To(HaveKeyWithValue(`workflowexecution_total{status="failed"}`, 1.0))
		Expect(moved).To(HaveKeyWithValue(`workflowexecution_failures_total{reason="Forbidden"}`, 1.0))
		Expect(moved).NotTo(HaveKey(`workflowexecution_total{status="completed"}`))
		// The suite applied the catalog, so the controller counts its actions by name.
		Expect(moved).To(HaveKeyWithValue(`workflowexecution_step_execution_total{action="test-fail",status="failed"}`, 1.0))
		Expect(moved).To(HaveKeyWithValue(`workflowexecution_step_execution_total{action="test-ok",status="completed"}`, 1.0))
		Expect(moved).To(HaveKeyWithValue(`workflowexecution_step_execution_total{action="test-sleep",status="completed"}`, 1.0))
		expectEvent(ctx, wfe, "StepFailed")
	})

	It("completes when a non-critical step failed", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		optional := step("optional", "test-fail")
		optional.Critical = ptr.To(false)

		wfe := run(ctx, newExecution(namespace, "optional", optional, after(step("next", "test-ok"), "optional")))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted))
		Expect(stepOf(wfe, "optional")).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Phase": Equal(wfev1.StepFailed), "Reason": Equal(wfev1.ReasonActionFailed),
		})))
		Expect(stepOf(wfe, "next").Phase).To(Equal(wfev1.StepCompleted))
		expectEvent(ctx, wfe, "StepFailed")
	})

	It("counts a retried step once", Serial, func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		before := scrape(ctx)
		flaky := step("flaky", "test-flaky", "failures", "2")
		flaky.Retry = &wfev1.Retry{Limit: 3, BackoffSeconds: ptr.To[int32](1), BackoffFactor: ptr.To[int32](1)}

		wfe := run(ctx, newExecution(namespace, "flaky", flaky))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted))
		Expect(stepOf(wfe, "flaky").Attempts).To(BeEquivalentTo(3))
		Expect(stepOf(wfe, "flaky").Outputs).To(ConsistOf(wfev1.Output{Name: "did", Value: "after-2"}))
		moved := testutil.Moved(before, scrape(ctx))
		Expect(moved).To(HaveKeyWithValue(`workflowexecution_step_execution_total{action="test-flaky",status="completed"}`, 1.0))
		Expect(moved).To(HaveKeyWithValue(`workflowexecution_step_retries_total{action="test-flaky"}`, 2.0))
		Expect(moved).NotTo(HaveKey(`workflowexecution_step_execution_total{action="test-flaky",status="failed"}`))
	})

	It("does not retry a step that cannot succeed", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		hopeless := step("hopeless", "test-fail", "exit-code", "64", "termination", `{"reason":"InvalidSpec","message":"no such thing"}`)
		hopeless.Retry = &wfev1.Retry{Limit: 3, BackoffSeconds: ptr.To[int32](1)}

		wfe := run(ctx, newExecution(namespace, "hopeless", hopeless))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(stepOf(wfe, "hopeless").Attempts).To(BeEquivalentTo(1))
		Expect(wfe.Status.Failure.Reason).To(Equal(wfev1.ReasonInvalidSpec))
	})

	It("ends at its timeout and cancels the running step", Serial, func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		before := scrape(ctx)
		wfe := newExecution(namespace, "slow", step("sleep", "test-sleep", "seconds", "120"))
		wfe.Spec.TimeoutSeconds = ptr.To[int32](8)

		ended := run(ctx, wfe)

		Expect(ended.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(ended.Status.Failure.Reason).To(Equal(wfev1.ReasonTimedOut))
		Expect(stepOf(ended, "sleep").Phase).To(Equal(wfev1.StepCancelled))
		moved := testutil.Moved(before, scrape(ctx))
		Expect(moved).NotTo(HaveKey(`workflowexecution_step_execution_total{action="test-sleep",status="failed"}`))
	})

	It("fails with the name of an object that the namespace lacks", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := newExecution(namespace, "homeless", step("only", "test-ok"))
		wfe.Spec.ServiceAccountName = "nobody"

		ended := run(ctx, wfe)

		Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Reason": Equal(wfev1.ReasonNamespaceNotReady), "Message": ContainSubstring("nobody"),
		})))
		Expect(meta.IsStatusConditionFalse(ended.Status.Conditions, wfev1.ConditionNamespaceReady)).To(BeTrue())
	})

	It("refuses an unknown action and creates nothing", func(ctx SpecContext) {
		namespace := newNamespace(ctx)

		wfe := run(ctx, newExecution(namespace, "unknown", step("only", "no-such-action")))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(wfe.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Reason": Equal(wfev1.ReasonUnknownAction), "Step": Equal("only"), "Message": ContainSubstring("no-such-action"),
		})))
		Expect(meta.IsStatusConditionFalse(wfe.Status.Conditions, wfev1.ConditionValid)).To(BeTrue())
		workflows := &wfv1.WorkflowList{}
		Expect(cluster.List(ctx, workflows, client.InNamespace(namespace))).To(Succeed())
		Expect(workflows.Items).To(BeEmpty())
	})
})

// expectedMoves are the changes of the series after a completed run of the sample.
func expectedMoves(wfe *wfev1.WorkflowExecution, steps, edges int) Keys {
	seconds := func(from, to *metav1.Time) float64 { return to.Sub(from.Time).Seconds() }
	keys := Keys{
		`workflowexecution_total{status="completed"}`:                           Equal(1.0),
		`workflowexecution_duration_seconds_count`:                              Equal(1.0),
		`workflowexecution_duration_seconds_sum`:                                Equal(seconds(wfe.Status.StartTime, wfe.Status.CompletionTime)),
		`workflowexecution_step_count_count`:                                    Equal(1.0),
		`workflowexecution_step_count_sum`:                                      Equal(float64(steps)),
		`workflowexecution_steps_executed_total`:                                Equal(float64(steps)),
		`workflowexecution_dependency_graph_complexity_count`:                   Equal(1.0),
		`workflowexecution_dependency_graph_complexity_sum`:                     Equal(float64(edges)),
		`workflowexecution_dependency_resolution_duration_seconds_count`:        Equal(1.0),
		`workflowexecution_dependency_resolution_duration_seconds_sum`:          BeNumerically("<", 5),
		`workflowexecution_kubernetesexecution_creation_duration_seconds_count`: Equal(1.0),
		`workflowexecution_kubernetesexecution_creation_duration_seconds_sum`:   BeNumerically("<", 5),
		`workflowexecution_parallel_steps_count_count`:                          Equal(1.0),
		`workflowexecution_parallel_steps_count_sum`:                            Equal(float64(*wfe.Status.ParallelSteps)),
		`workflowexecution_parallel_steps_total`:                                Equal(float64(*wfe.Status.ParallelSteps)),
	}
	for i := range wfe.Status.Steps {
		s := &wfe.Status.Steps[i]
		keys[`workflowexecution_step_execution_total{action="`+s.Action+`",status="completed"}`] = Equal(1.0)
		keys[`workflowexecution_step_execution_duration_seconds_count{action="`+s.Action+`"}`] = Equal(1.0)
		keys[`workflowexecution_step_execution_duration_seconds_sum{action="`+s.Action+`"}`] = Equal(seconds(s.StartTime, s.CompletionTime))
	}
	return keys
}

// expectEvent waits for an event on the execution.
func expectEvent(ctx SpecContext, wfe *wfev1.WorkflowExecution, reason string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		events, err := cluster.Clientset.CoreV1().Events(wfe.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + wfe.Name})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(events.Items).To(ContainElement(HaveField("Reason", reason)), "%v", eventReasons(events.Items))
	}).WithContext(ctx).WithPolling(pollEvery).Should(Succeed())
}

func eventReasons(events []corev1.Event) []string {
	var reasons []string
	for i := range events {
		reasons = append(reasons, events[i].Reason)
	}
	return reasons
}
