package e2e

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// execution is the key of a sample's execution.
func execution(namespace, name string) *wfev1.WorkflowExecution {
	return &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func target(ctx SpecContext, namespace string) *appsv1.Deployment {
	GinkgoHelper()
	deployment, err := cluster.Clientset.AppsV1().Deployments(namespace).Get(ctx, "payment-api", metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	return deployment
}

var _ = Describe("The samples", func() {
	It("roll back a failed remediation", Label(smoke), func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTarget(ctx, namespace)

		apply(ctx, namespace, "config/samples/rollback.yaml")
		wfe := waitEnd(ctx, execution(namespace, "payment-api-rollback-sample"))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(wfe.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Step": Equal("verify"), "Reason": Equal(wfev1.ReasonActionFailed), "Message": ContainSubstring("payment-api-canary"),
		})))
		Expect(meta.IsStatusConditionTrue(wfe.Status.Conditions, wfev1.ConditionRolledBack)).To(BeTrue())
		Expect(target(ctx, namespace).Spec.Replicas).To(HaveValue(BeEquivalentTo(2)))
	})

	It("wait for an approval", Label(smoke), func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTarget(ctx, namespace)
		generation := target(ctx, namespace).Generation

		apply(ctx, namespace, "config/samples/approval.yaml")
		wfe := execution(namespace, "payment-api-approval")
		waitPhase(ctx, wfe, wfev1.PhaseAwaitingApproval)
		Expect(target(ctx, namespace).Generation).To(Equal(generation))
		change(ctx, wfe, func(spec *wfev1.WorkflowExecutionSpec) {
			spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: "carol"}}
		})

		Expect(waitEnd(ctx, wfe).Status.Phase).To(Equal(wfev1.PhaseCompleted))
		Expect(target(ctx, namespace).Generation).To(BeNumerically(">", generation))
	})

	It("change nothing in a dry run", Serial, func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTarget(ctx, namespace)
		before, series := target(ctx, namespace).ResourceVersion, scrape(ctx)

		apply(ctx, namespace, "config/samples/dry-run.yaml")
		wfe := waitEnd(ctx, execution(namespace, "payment-api-dry-run"))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", wfe.Status.Failure)
		Expect(target(ctx, namespace).ResourceVersion).To(Equal(before))
		Expect(stepOf(wfe, "scale-up").Outputs).To(ContainElement(wfev1.Output{Name: "changed", Value: "true"}))
		Expect(testutil.Moved(series, scrape(ctx))).To(Equal(testutil.Samples{`workflowexecution_dry_runs_total{status="completed"}`: 1}))
	})

	It("skip a step whose condition is false, and continue after a failed non-critical step", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTarget(ctx, namespace)

		apply(ctx, namespace, "config/samples/conditions.yaml")
		wfe := waitEnd(ctx, execution(namespace, "payment-api-conditions"))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", wfe.Status.Failure)
		Expect(stepOf(wfe, "restart").Phase).To(Equal(wfev1.StepSkipped))
		Expect(stepOf(wfe, "look-at-canary").Phase).To(Equal(wfev1.StepFailed))
		Expect(stepOf(wfe, "verify").Phase).To(Equal(wfev1.StepCompleted))
	})

	It("wait while they are suspended, and roll back when they are stopped", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTarget(ctx, namespace)

		apply(ctx, namespace, "config/samples/pause-and-cancel.yaml")
		wfe := execution(namespace, "payment-api-paused")
		Consistently(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), wfe)).To(Succeed())
			g.Expect(wfe.Status.WorkflowRef).To(BeNil())
		}).WithContext(ctx).WithTimeout(2 * time.Second).WithPolling(pollEvery).Should(Succeed())
		change(ctx, wfe, func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = false })
		waitPhase(ctx, wfe, wfev1.PhaseAwaitingApproval)
		Expect(target(ctx, namespace).Spec.Replicas).To(HaveValue(BeEquivalentTo(3)))
		change(ctx, wfe, func(spec *wfev1.WorkflowExecutionSpec) { spec.Cancel = wfev1.CancelStop })

		Expect(waitEnd(ctx, wfe).Status.Phase).To(Equal(wfev1.PhaseCancelled))
		Expect(target(ctx, namespace).Spec.Replicas).To(HaveValue(BeEquivalentTo(2)))
	})

	It("run one at a time on a target", Label(smoke), func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTarget(ctx, namespace)

		apply(ctx, namespace, "config/samples/one-at-a-time.yaml")
		first := waitEnd(ctx, execution(namespace, "payment-api-first"))
		second := waitEnd(ctx, execution(namespace, "payment-api-second"))

		Expect(first.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", first.Status.Failure)
		Expect(second.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", second.Status.Failure)
		Expect(second.Status.StartTime.Before(first.Status.CompletionTime)).To(BeFalse())
		Expect(first.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(60)))
	})

	It("add actions: a shell script, and a patch that Argo applies", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTarget(ctx, namespace)
		applyForSpecs(ctx, "config/samples/actions/multiply.yaml", "config/samples/actions/pause-rollouts.yaml")

		apply(ctx, namespace, "config/samples/own-actions.yaml")
		wfe := waitEnd(ctx, execution(namespace, "payment-api-own-actions"))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", wfe.Status.Failure)
		Expect(stepOf(wfe, "double").Outputs).To(ConsistOf(wfev1.Output{Name: "product", Value: "4"}))
		Expect(stepOf(wfe, "pause").Outputs).To(ConsistOf(wfev1.Output{Name: "paused", Value: "true"}))
		Expect(target(ctx, namespace).Spec.Replicas).To(HaveValue(BeEquivalentTo(4)))
		Expect(target(ctx, namespace).Spec.Paused).To(BeTrue())

		By("an invalid value")
		wrong := step("double", "multiply", "number", "1; exit 0")
		wrong.Retry = &wfev1.Retry{Limit: 2, BackoffSeconds: ptr.To[int32](1)}
		refused := run(ctx, newExecution(namespace, "refused", wrong))

		Expect(stepOf(refused, "double").Attempts).To(BeEquivalentTo(1))
		Expect(refused.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Step": Equal("double"), "Reason": Equal(wfev1.ReasonInvalidSpec), "Message": ContainSubstring("whole numbers"),
		})))
	})
})
