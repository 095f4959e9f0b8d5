package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// expectOffloaded checks that Argo stores the nodes of a Workflow in its database.
func expectOffloaded(ctx SpecContext, namespace, name string) {
	GinkgoHelper()
	wf := &wfv1.Workflow{}
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, wf)).To(Succeed())
	Expect(wf.Status.OffloadNodeStatusVersion).NotTo(BeEmpty())
	Expect(wf.Status.Nodes).To(BeEmpty())
}

// haveCondition matches a status with a condition.
func haveCondition(conditionType string, status metav1.ConditionStatus, reason string) OmegaMatcher {
	return HaveField("Conditions", ContainElement(MatchFields(IgnoreExtras, Fields{
		"Type": Equal(conditionType), "Status": Equal(status), "Reason": Equal(reason),
	})))
}

// eventsOn lists the reasons of the events on an execution.
func eventsOn(ctx SpecContext, wfe *wfev1.WorkflowExecution) func(g Gomega) []string {
	return func(g Gomega) []string {
		events := &eventsv1.EventList{}
		g.Expect(cluster.List(ctx, events, client.InNamespace(wfe.Namespace))).To(Succeed())
		var reasons []string
		for i := range events.Items {
			if events.Items[i].Regarding.UID == wfe.UID {
				reasons = append(reasons, events.Items[i].Reason)
			}
		}
		return reasons
	}
}

var _ = Describe("Argo with nodes in a database", Ordered, Serial, Label(whole), func() {
	BeforeAll(func(ctx SpecContext) {
		data := deployDatabase(ctx)
		maps.Copy(data, linksOf(ctx))
		configureArgo(ctx, data, corev1.EnvVar{Name: "ALWAYS_OFFLOAD_NODE_STATUS", Value: "true"})
	})

	It("ends executions with the phase of their Workflows when the controller does not use the Argo server", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		good := newExecution(namespace, "blind-good", step("one", "test-ok"), after(step("two", "test-ok"), "one"))
		bad := newExecution(namespace, "blind-bad", undoneBy(step("one", "test-ok"), "test-ok"), after(step("two", "test-fail"), "one"))
		Expect(cluster.Create(ctx, good)).To(Succeed())
		Expect(cluster.Create(ctx, bad)).To(Succeed())
		good, bad = waitEnd(ctx, good), waitEnd(ctx, bad)

		expectOffloaded(ctx, namespace, good.Name)
		expectOffloaded(ctx, namespace, bad.Name)
		Expect(good.Status).To(haveCondition(wfev1.ConditionNodeStatusUnavailable, metav1.ConditionTrue, "Offloaded"))
		Expect(bad.Status).To(haveCondition(wfev1.ConditionNodeStatusUnavailable, metav1.ConditionTrue, "Offloaded"))
		Expect(good.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", good.Status.Failure)
		Expect(bad.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(bad.Status.Failure.Reason).To(Equal(wfev1.ReasonNodeStatusUnavailable))
		Expect(bad.Status.RollbackRef).To(BeNil(), "the completed steps are unknown")
	})

	Context("that the controller reads through the Argo server", Ordered, func() {
		var server *argoServer

		BeforeAll(func(ctx SpecContext) {
			server = deployServer(ctx)
			server.trust(ctx)
		})

		It("shows all steps of executions, and decides approvals once the controller has the role for it", func(ctx SpecContext) {
			namespace := newNamespace(ctx)
			wfe := newExecution(namespace, "offloaded",
				undoneBy(step("one", "test-ok", "say", "first"), "test-ok", from("say", "one", "did")),
				after(approval("ask", 0), "one"),
				after(step("breaks", "test-fail"), "ask"))
			Expect(cluster.Create(ctx, wfe)).To(Succeed())
			waitPhase(ctx, wfe, wfev1.PhaseAwaitingApproval)
			expectOffloaded(ctx, namespace, wfe.Name)
			change(ctx, wfe, func(spec *wfev1.WorkflowExecutionSpec) {
				spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: true, By: "carol", Reason: "looks right"}}
			})
			Eventually(eventsOn(ctx, wfe)).WithContext(ctx).WithTimeout(30 * time.Second).WithPolling(pollEvery).Should(ContainElement("DecisionRefused"))

			applyForSpecs(ctx, "config/components/argo-server/role.yaml")
			ended := waitEnd(ctx, wfe)

			Expect(ended.Status.Phase).To(Equal(wfev1.PhaseFailed))
			Expect(ended.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Step": Equal("breaks"), "Reason": Equal(wfev1.ReasonActionFailed)})), "%+v", ended.Status.Failure)
			Expect(stepOf(ended, "one").Outputs).To(ConsistOf(wfev1.Output{Name: "did", Value: "first"}))
			Expect(stepOf(ended, "ask")).To(PointTo(MatchFields(IgnoreExtras, Fields{
				"Phase": Equal(wfev1.StepCompleted), "Message": Equal("approved by carol: looks right"),
			})))
			Expect(meta.FindStatusCondition(ended.Status.Conditions, wfev1.ConditionNodeStatusUnavailable)).To(BeNil())
			Expect(meta.IsStatusConditionTrue(ended.Status.Conditions, wfev1.ConditionRolledBack)).To(BeTrue())
			Expect(ended.Status.RollbackSteps).To(HaveExactElements(MatchFields(IgnoreExtras, Fields{
				"Name": Equal("one"), "Phase": Equal(wfev1.StepCompleted), "Outputs": ConsistOf(wfev1.Output{Name: "did", Value: "first"}),
			})))
			expectOffloaded(ctx, namespace, wfe.Name)
			expectOffloaded(ctx, namespace, ended.Status.RollbackRef.Name)
		})

		It("rejects approvals and lets them expire", func(ctx SpecContext) {
			applyForSpecs(ctx, "config/components/argo-server/role.yaml")
			namespace := newNamespace(ctx)
			rejected := newExecution(namespace, "rejected", approval("ask", 0), after(step("never", "test-ok"), "ask"))
			rejected.Spec.Approvals = []wfev1.Approval{{Step: "ask", Approved: false, By: "carol"}}
			expired := newExecution(namespace, "expired", approval("ask", 3), after(step("never", "test-ok"), "ask"))
			Expect(cluster.Create(ctx, rejected)).To(Succeed())
			Expect(cluster.Create(ctx, expired)).To(Succeed())
			rejected, expired = waitEnd(ctx, rejected), waitEnd(ctx, expired)

			Expect(rejected.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Step": Equal("ask"), "Reason": Equal(wfev1.ReasonApprovalRejected)})), "%+v", rejected.Status.Failure)
			Expect(expired.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{"Step": Equal("ask"), "Reason": Equal(wfev1.ReasonApprovalTimeout)})), "%+v", expired.Status.Failure)
			Expect(stepOf(rejected, "never").Phase).To(Equal(wfev1.StepSkipped))
			Expect(eventsOn(ctx, rejected)(Default)).NotTo(ContainElement("DecisionRefused"))
		})

		It("draws an execution as in its specification, and Resume counts as an approval", func(ctx SpecContext) {
			applyForSpecs(ctx, "config/components/argo-server/role.yaml")
			namespace := newNamespace(ctx)
			no := after(step("no", "test-ok"), "ask")
			no.When = &wfev1.When{Step: "one", Output: "did", Operator: wfev1.OperatorIn, Values: []string{"nothing"}}
			wfe := newExecution(namespace, "drawn", step("one", "test-ok"), after(approval("ask", 0), "one"),
				after(step("yes", "test-ok"), "ask"), no, after(step("last", "test-ok"), "yes", "no"))
			Expect(cluster.Create(ctx, wfe)).To(Succeed())
			waitPhase(ctx, wfe, wfev1.PhaseAwaitingApproval)

			waiting := draw(server.workflow(ctx, namespace, wfe.Name))
			Expect(waiting.labels).To(Equal(map[string]string{"drawn": "Running", "one": "Succeeded", "ask": "Suspended"}))
			// The button of the user interface copies the node's inputs to its outputs and then resumes the node.
			for _, call := range [][2]string{
				{"set", `{"nodeFieldSelector":"displayName=ask","outputParameters":"{\"message\":\"Go on?\"}"}`},
				{"resume", `{"nodeFieldSelector":"displayName=ask"}`},
			} {
				path := fmt.Sprintf("/api/v1/workflows/%s/%s/%s", namespace, wfe.Name, call[0])
				content, status := server.call(ctx, controllerKey, http.MethodPut, path, call[1])
				Expect(status).To(Equal(http.StatusOK), "%s: %s", call[0], content)
			}
			ended := waitEnd(ctx, wfe)

			Expect(ended.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", ended.Status.Failure)
			Expect(stepOf(ended, "ask").Message).To(HavePrefix("approved in Argo: "))
			wf := server.workflow(ctx, namespace, wfe.Name)
			Expect(draw(wf)).To(Equal(drawing{
				labels: map[string]string{"drawn": "Succeeded", "one": "Succeeded", "ask": "Succeeded", "yes": "Succeeded", "no": "Skipped", "last": "Succeeded"},
				arrows: []string{"ask-no", "ask-yes", "drawn-one", "no-last", "one-ask", "one-no", "yes-last"}, // a reference to an output is a dependency
			}))
			expectTitles(ctx, server, wf)
			expectLinks(ctx, server, wf)
			expectPage(ctx, server, ended)
		})
	})
})
