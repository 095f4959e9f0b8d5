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

// double makes the events that the specs let happen in Argo.
var (
	double       = simulator.Argo{Now: moment.Now}
	pend         = double.Pend
	run          = double.Run
	succeed      = double.Succeed
	fail         = double.Fail
	lose         = double.LosePod
	skip         = double.Skip
	omit         = double.Omit
	ask          = double.Suspend
	finish       = double.Finish
	obeyShutdown = double.ObeyShutdown
	end          = double.End
	second       = double.Timestamp
	pickUp       = double.PickUp
	put          = simulator.Put
	lastAttempt  = simulator.LastAttempt
	retryNode    = simulator.RetryNode
	podNameOf    = simulator.PodName
	isSuspended  = simulator.IsSuspended
)

type event = simulator.Event

// argo plays Argo for one Workflow: nothing happens in it that a spec does not ask for.
type argo struct{ key types.NamespacedName }

// argoOf plays Argo for the Workflow of an execution, which must exist.
func argoOf(wfe *wfev1.WorkflowExecution) argo {
	GinkgoHelper()
	workflowOf(wfe)
	return argo{key: client.ObjectKeyFromObject(wfe)}
}

// write lets events happen and writes the Workflow once, as Argo does at the end of each of its looks.
func (a argo) write(events ...event) {
	GinkgoHelper()
	wf := &wfv1.Workflow{}
	Expect(admin.Get(ctx, a.key, wf)).To(Succeed())
	was := wf.DeepCopy()
	if wf.Status.Phase == "" {
		double.PickUp(wf)
	}
	for _, happen := range events {
		happen(wf)
	}
	Expect(admin.Patch(ctx, wf, client.MergeFrom(was))).To(Succeed())
}
