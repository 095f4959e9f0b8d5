package e2e

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// maxSteps is how many steps an execution may have.
const maxSteps = 500

// largeExecution has as many steps as there may be, in layers that end with a gate. All but the gates and the first
// have a condition that does not hold, so that Argo decides about each of them and few pods run.
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
	return newExecution(namespace, "large", steps[:maxSteps]...) // without the last gate
}

var _ = Describe("A large execution", Serial, Label(whole), func() {
	It("of 500 steps runs to its end", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		wfe := largeExecution(namespace)
		Expect(cluster.Create(ctx, wfe)).To(Succeed())
		wfe = waitEndFor(ctx, wfe, patience)

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
})
