package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/test/simulator"
)

// simulatedArgo makes the events of the specs.
var (
	simulatedArgo = simulator.Argo{Now: testClock.Now}
	pend          = simulatedArgo.Pend
	run           = simulatedArgo.Run
	succeed       = simulatedArgo.Succeed
	fail          = simulatedArgo.Fail
	losePod       = simulatedArgo.LosePod
	skip          = simulatedArgo.Skip
	omit          = simulatedArgo.Omit
	awaitApproval = simulatedArgo.Suspend
	finish        = simulatedArgo.Finish
	obeyShutdown  = simulatedArgo.ObeyShutdown
	end           = simulatedArgo.End
	timestamp     = simulatedArgo.Timestamp
	pickUp        = simulatedArgo.PickUp
	put           = simulator.Put
	lastAttempt   = simulator.LastAttempt
	retryNode     = simulator.RetryNode
	podNameOf     = simulator.PodName
	isSuspended   = simulator.IsSuspended
)

type event = simulator.Event

// argo plays Argo for one Workflow. Only the events of the spec happen in it.
type argo struct{ key types.NamespacedName }

// argoOf plays Argo for the Workflow of an execution, which must exist.
func argoOf(wfe *wfev1.WorkflowExecution) argo {
	GinkgoHelper()
	workflowOf(wfe)
	return argo{key: client.ObjectKeyFromObject(wfe)}
}

// write applies events to the Workflow in one write, as Argo does at the end of each reconciliation.
func (a argo) write(events ...event) {
	GinkgoHelper()
	wf := &wfv1.Workflow{}
	Expect(admin.Get(ctx, a.key, wf)).To(Succeed())
	was := wf.DeepCopy()
	if wf.Status.Phase == "" {
		simulatedArgo.PickUp(wf)
	}
	for _, happen := range events {
		happen(wf)
	}
	Expect(admin.Patch(ctx, wf, client.MergeFrom(was))).To(Succeed())
}
