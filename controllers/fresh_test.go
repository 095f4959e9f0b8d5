package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var _ = Describe("Before it starts", func() {
	isRead := func(wfe *wfev1.WorkflowExecution) bool {
		return calls.count(func(c call) bool {
			return c.live && c.String() == "get "+wfev1.Kind && c.key.Name == wfe.Name && c.key.Namespace == ns
		}) > 0
	}

	It("an execution that waited is read again, and one that is new is not", func() {
		start(execution("any", step("a"))) // by now the controller knows since when it leads
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

// Somebody took the finalizer off a Workflow and deleted it, and the cache shows neither that nor what was recorded of it.
var _ = DescribeTable("A Workflow that was forced away is not created again",
	func(meanwhile func(s *stage)) { succession(func() { forceAway(meanwhile) }) },
	Entry("by the one whose record was not answered", func(*stage) {}),
	Entry("by its successor", func(s *stage) { s.lead() }),
)

func forceAway(meanwhile func(s *stage)) {
	GinkgoHelper()
	s := newStage(newStageNamespace(), nil)
	for _, name := range []string{"first", "x"} { // with the first one the controller gets to know since when it leads
		Expect(s.look()).To(Succeed())
		Expect(s.apply(execution(name, step("a")))).To(Succeed())
		s.see(name)
		if name == "x" {
			isRecord := func(c call) bool { return c.String() == updateStatus }
			s.wire.breakAt(isRecord, justOnce(unanswered))
		}
		Expect(s.reconcile(name)).To(Succeed())
	}
	Expect(s.look()).To(Succeed())
	Expect(s.truth.executions["x"].Status.WorkflowRef).NotTo(BeNil())
	wf := s.truth.workflows["x"].DeepCopy()
	change(wf, func(wf *wfv1.Workflow) { wf.Finalizers = nil })
	Expect(admin.Delete(ctx, wf)).To(Succeed())
	s.stale = true

	meanwhile(s)
	for range 2 {
		Expect(s.reconcile("x")).To(Succeed())
		s.see("x")
	}
	Expect(s.wire.count(isCreationOf("x"))).To(Equal(1))
	Expect(s.truth.executions["x"].Status.Failure).To(HaveValue(HaveField("Reason", wfev1.ReasonWorkflowDeleted)))
	Expect(s.tidy()).To(Succeed())
}

func isCreationOf(name string) func(call) bool {
	return func(c call) bool { return c.String() == createWorkflow && c.key.Name == name }
}

// justOnce lets a fault happen once.
func justOnce(f fault) fault {
	happened := false
	return func(c call, through func() error) error {
		if happened {
			return through()
		}
		happened = true
		return f(c, through)
	}
}
