package e2e

import (
	"fmt"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// maxSteps is the maximum number of steps of an execution.
const maxSteps = 500

// largeExecution has the maximum number of steps, in layers that end with a gate. All steps except the gates and the first one
// have a false condition, so that Argo evaluates each of them and few pods run.
func largeExecution(namespace string) *wfev1.WorkflowExecution {
	const layers, width = 10, 49
	steps := []wfev1.Step{step("gate-0", "test-ok", "say", "no")}
	for layer := 1; layer <= layers; layer++ {
		before := fmt.Sprintf("gate-%d", layer-1)
		gate := after(step(fmt.Sprintf("gate-%d", layer), "test-ok"), before)
		for i := range width {
			s := after(step(fmt.Sprintf("step-%d-%d", layer, i), "test-ok"), before)
			s.When = &wfev1.When{Step: "gate-0", Output: "did", Operator: wfev1.OperatorIn, Values: []string{"yes"}}
			gate.DependsOn = append(gate.DependsOn, s.Name)
			steps = append(steps, s)
		}
		steps = append(steps, gate)
	}
	return newExecution(namespace, "large", steps[:maxSteps]...) // leaves out the last gate
}

// packedExecution has skipped steps before two approvals, so that it has many similar nodes and few pods run.
func packedExecution(namespace string) *wfev1.WorkflowExecution {
	const width = 40
	steps := []wfev1.Step{step("first", "test-ok", "say", "no")}
	first, second := after(approval("first-ask", 0), "first"), after(approval("second-ask", 0), "first-ask")
	for i := range width {
		s := after(step(fmt.Sprintf("skipped-%d", i), "test-ok"), "first")
		s.When = &wfev1.When{Step: "first", Output: "did", Operator: wfev1.OperatorIn, Values: []string{"yes"}}
		first.DependsOn = append(first.DependsOn, s.Name)
		steps = append(steps, s)
	}
	return newExecution(namespace, "packed", append(steps, first, second, after(step("last", "test-ok"), "second-ask"))...)
}

// expectPacked checks that Argo packed the nodes of a Workflow.
func expectPacked(ctx SpecContext, wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	wf := &wfv1.Workflow{}
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), wf)).To(Succeed())
	Expect(wf.Status.CompressedNodes).NotTo(BeEmpty())
	Expect(wf.Status.Nodes).To(BeEmpty())
}

var _ = Describe("A large execution", Serial, Label(whole), func() {
	It("completes with 500 steps", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := largeExecution(namespace)
		Expect(cluster.Create(ctx, wfe)).To(Succeed())
		wfe = waitEndFor(ctx, wfe, 2*patience)

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", wfe.Status.Failure)
		Expect(wfe.Status.Steps).To(HaveLen(maxSteps))
		phases := map[wfev1.StepPhase]int{}
		for i := range wfe.Status.Steps {
			phases[wfe.Status.Steps[i].Phase]++
		}
		Expect(phases).To(Equal(map[wfev1.StepPhase]int{wfev1.StepCompleted: 10, wfev1.StepSkipped: 490}))
		wf := &wfv1.Workflow{}
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(wfe), wf)).To(Succeed())
		GinkgoWriter.Println("nodes", len(wf.Status.Nodes), "compressed", len(wf.Status.CompressedNodes), "seconds", wfe.Status.CompletionTime.Sub(wfe.Status.StartTime.Time).Seconds())
	})

	It("shows all steps and decides approvals when Argo packs its nodes", func(ctx SpecContext) {
		const most = 28 << 10 // instead of 1 MiB: between the sizes of the Workflow with plain and with packed nodes
		configureArgo(ctx, nil, corev1.EnvVar{Name: "MAX_WORKFLOW_SIZE", Value: strconv.Itoa(most)})
		namespace := newNamespace(ctx)
		wfe := packedExecution(namespace)
		wfe.Spec.Approvals = []wfev1.Approval{{Step: "first-ask", Approved: true, By: "carol"}}
		Expect(cluster.Create(ctx, wfe)).To(Succeed())
		waitStep(ctx, wfe, "second-ask", wfev1.StepAwaitingApproval)
		expectPacked(ctx, wfe)
		change(ctx, wfe, func(spec *wfev1.WorkflowExecutionSpec) {
			spec.Approvals = append(spec.Approvals, wfev1.Approval{Step: "second-ask", Approved: true, By: "dave"})
		})
		wfe = waitEnd(ctx, wfe)

		expectPacked(ctx, wfe)
		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseCompleted), "%+v", wfe.Status.Failure)
		Expect(wfe.Status.Progress).To(Equal("44/44"))
		Expect(stepOf(wfe, "first-ask").Message).To(Equal("approved by carol"))
		Expect(stepOf(wfe, "second-ask").Message).To(Equal("approved by dave"))
		Expect(stepOf(wfe, "skipped-17").Phase).To(Equal(wfev1.StepSkipped))
		Expect(stepOf(wfe, "last").Outputs).To(ConsistOf(wfev1.Output{Name: "did", Value: "yes"}))
	})

	It("is refused when its Workflow would be too large", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		steps := make([]wfev1.Step, maxSteps)
		for i := range steps {
			steps[i] = step(fmt.Sprintf("step-%d", i), "test-ok", "say", strings.Repeat("v", 2100))
		}

		wfe := run(ctx, newExecution(namespace, "too-large", steps...))

		Expect(wfe.Status.Phase).To(Equal(wfev1.PhaseFailed))
		Expect(wfe.Status.Failure).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Reason": Equal(wfev1.ReasonWorkflowTooLarge), "Message": ContainSubstring("fewer steps or smaller values"),
		})))
		Expect(meta.IsStatusConditionFalse(wfe.Status.Conditions, wfev1.ConditionValid)).To(BeTrue())
		Expect(wfe.Status.WorkflowRef).To(BeNil())
		workflows := &wfv1.WorkflowList{}
		Expect(cluster.List(ctx, workflows, client.InNamespace(namespace))).To(Succeed())
		Expect(workflows.Items).To(BeEmpty())
	})
})
