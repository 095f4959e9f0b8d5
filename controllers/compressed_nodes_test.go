package controllers_test

import (
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/util/file"
	"github.com/argoproj/argo-workflows/v3/workflow/packer"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// pack moves the nodes to status.compressedNodes, as Argo does for Workflows above about 1 MiB.
func pack(wf *wfv1.Workflow) {
	encoded, err := json.Marshal(wf.Status.Nodes)
	Expect(err).NotTo(HaveOccurred())
	wf.Status.CompressedNodes, wf.Status.Nodes = file.CompressEncodeString(string(encoded)), nil
}

func unpack(wf *wfv1.Workflow) { Expect(packer.DecompressWorkflow(wf)).To(Succeed()) }

var _ = Describe("A Workflow whose nodes are compressed", func() {
	It("is mirrored and its approval is decided like those of others", func() {
		wfe := start(execution("packed", step("a"), approval("ask", 0, "a"), step("b", "ask")))
		argo := argoOf(wfe)
		argo.write(run("a"), pack)
		Eventually(stepsOf(wfe)).Should(Equal("a=Running ask=Pending b=Pending"))
		testClock.advance(time.Second)
		argo.write(unpack, succeed("a"), awaitApproval("ask"), pack)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseAwaitingApproval))
		decide(wfe, true)
		packedPhase := func() wfv1.NodePhase {
			wf := workflowOf(wfe)
			Expect(wf.Status.Nodes).To(BeEmpty(), "Argo ignores packed nodes if a plain node exists")
			unpack(wf)
			return wf.Status.Nodes[wf.NodeID("packed.ask")].Phase
		}
		Eventually(packedPhase).Should(Equal(wfv1.NodeSucceeded))
		argo.write(unpack, run("b"), pack)
		Eventually(stepsOf(wfe)).Should(Equal("a=Completed ask=Completed b=Running"))
		argo.write(unpack, succeed("b"), finish(wfv1.WorkflowSucceeded), pack)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseCompleted))
	})

	It("ends at its timeout if the nodes cannot be read, and others continue", func() {
		wfe := start(within(execution("garbled", step("a")), 600))
		argo := argoOf(wfe)
		argo.write(run("a"), func(wf *wfv1.Workflow) { wf.Status.CompressedNodes, wf.Status.Nodes = "bm90IHppcHBlZA==", nil })
		complete(start(execution("healthy", step("a"))))
		testClock.advance(601 * time.Second)
		triggerReconcile(wfe)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		argo.write(func(wf *wfv1.Workflow) { wf.Status.Phase, wf.Status.FinishedAt = wfv1.WorkflowFailed, timestamp() })
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure.Reason).To(Equal(wfev1.ReasonTimedOut))
	})

	It("ends when it is deleted if the nodes cannot be read", func() {
		wfe := start(execution("garbled", step("a")))
		argoOf(wfe).write(run("a"), func(wf *wfv1.Workflow) { wf.Status.CompressedNodes, wf.Status.Nodes = "bm90IHppcHBlZA==", nil })
		Eventually(conditionsOf).WithArguments(wfe).Should(HaveKeyWithValue("NodeStatusUnavailable", "True Garbled"))
		deleteWorkflow(wfe)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		testClock.advance(31 * time.Second) // Argo cannot read them either
		triggerReconcile(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseFailed))
		Expect(statusOf(wfe).Failure.Reason).To(Equal(wfev1.ReasonWorkflowDeleted))
	})
})
