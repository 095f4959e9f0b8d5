package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var _ = Describe("Before its start", func() {
	isRead := func(wfe *wfev1.WorkflowExecution) bool {
		return calls.count(func(c call) bool {
			return c.live && c.String() == "get "+wfev1.Kind && c.key.Name == wfe.Name && c.key.Namespace == ns
		}) > 0
	}

	It("an execution that waited is read again, and a new one is not", func() {
		start(execution("any", step("a"))) // the controller now knows when it became the leader
		target := wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}
		first := start(on(target, execution("first", step("a"))))
		Expect(isRead(first)).To(BeFalse())
		second := create(on(target, execution("second", step("a"))))
		waitsFor(second, first)
		complete(first)
		Eventually(phaseOf(second)).Should(Equal(wfev1.PhaseRunning))
		Expect(isRead(second)).To(BeTrue())
	})
})

// A user removes the finalizer of a Workflow and deletes it. The cache shows neither that nor the record of the start.
var _ = DescribeTable("A Workflow that was deleted without its finalizer is not created again",
	func(meanwhile func(s *simulation)) { withNewLeader(func() { forceAway(meanwhile) }) },
	Entry("by the controller whose record got no response", func(*simulation) {}),
	Entry("by the next leader", func(s *simulation) { s.startController() }),
)

func forceAway(meanwhile func(s *simulation)) {
	GinkgoHelper()
	s := newSimulation(newSimulationNamespace(), nil)
	for _, name := range []string{"first", "x"} { // after the first one the controller knows when it became the leader
		Expect(s.refresh()).To(Succeed())
		Expect(s.apply(execution(name, step("a")))).To(Succeed())
		s.deliver(name)
		if name == "x" {
			isRecord := func(c call) bool { return c.String() == updateStatus }
			s.calls.inject(isRecord, justOnce(unanswered))
		}
		Expect(s.reconcile(name)).To(Succeed())
	}
	Expect(s.refresh()).To(Succeed())
	Expect(s.stored.Executions["x"].Status.WorkflowRef).NotTo(BeNil())
	wf := s.stored.Workflows["x"].DeepCopy()
	change(wf, func(wf *wfv1.Workflow) { wf.Finalizers = nil })
	Expect(admin.Delete(ctx, wf)).To(Succeed())
	s.outdated = true

	meanwhile(s)
	for range 2 {
		Expect(s.reconcile("x")).To(Succeed())
		s.deliver("x")
	}
	Expect(s.calls.count(isCreationOf("x"))).To(Equal(1))
	Expect(s.stored.Executions["x"].Status.Failure).To(HaveValue(HaveField("Reason", wfev1.ReasonWorkflowDeleted)))
	Expect(s.cleanUp()).To(Succeed())
}

func isCreationOf(name string) func(call) bool {
	return func(c call) bool { return c.String() == createWorkflow && c.key.Name == name }
}

// justOnce makes a fault happen once.
func justOnce(f fault) fault {
	happened := false
	return func(c call, proceed func() error) error {
		if happened {
			return proceed()
		}
		happened = true
		return f(c, proceed)
	}
}
