package controllers_test

import (
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers"
)

// waitsForSlot checks that an execution waits because its namespace has reached the limit.
func waitsForSlot(wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	Eventually(conditionsOf).WithArguments(wfe).Should(SatisfyAll(
		HaveKeyWithValue("Admitted", "False NamespaceFull"), HaveKeyWithValue("Reconciling", "True NamespaceFull"), HaveKeyWithValue("Valid", "True Accepted")))
	Expect(conditionMessage(wfe, wfev1.ConditionAdmitted)).To(ContainSubstring("namespace " + wfe.Namespace + " has 2 live executions"))
	Expect(phaseOf(wfe)()).To(Equal(wfev1.PhasePending))
	Expect(exists(&wfv1.Workflow{ObjectMeta: wfe.ObjectMeta})).To(BeFalse())
}

var _ = Describe("The limit of live executions in a namespace", Ordered, ContinueOnFailure, func() {
	BeforeAll(func() {
		DeferCleanup(func() { withNewLeader(func() { maxLive = 0 }) })
		withNewLeader(func() { maxLive = 2 })
	})
	// Creation times are whole seconds. The name decides within a second.
	one := func(name string) *wfev1.WorkflowExecution { return execution(name, step("s")) }

	It("admits executions in order of creation, and wakes the next one without polling", func() {
		a, b := start(one("a")), start(one("b"))
		c, d := create(one("c")), create(one("d"))
		waitsForSlot(c)
		waitsForSlot(d)
		elsewhere := one("e")
		elsewhere.Namespace = newNamespace()
		start(elsewhere)
		Eventually(busy).Should(BeFalse())
		reconciles := calls.reconciles(d)
		Consistently(func() int { return calls.reconciles(d) }).Should(Equal(reconciles), "the controller must not poll")

		complete(a)
		Eventually(phaseOf(c)).Should(Equal(wfev1.PhaseRunning))
		waitsForSlot(d)
		argoOf(b).write(run("s"), fail("s", "main: Error (exit code 1)"), finish(wfv1.WorkflowFailed))
		Eventually(phaseOf(d)).Should(Equal(wfev1.PhaseRunning))
	})

	It("frees a slot when a live execution is deleted", func() {
		a := start(one("a"))
		start(one("b"))
		c := create(one("c"))
		waitsForSlot(c)
		Expect(admin.Delete(ctx, a)).To(Succeed())
		Eventually(func() []string { collectGarbage(); return []string{string(phaseOf(c)())} }).Should(ConsistOf("Running"))
	})

	It("counts an execution once whose start the cache does not show", func() {
		a, b := start(one("a")), start(one("b"))
		c, d := create(one("c")), create(one("d"))
		waitsForSlot(c)
		waitsForSlot(d)
		cStarts, dStarts := make(chan struct{}, 1), make(chan struct{}, 1)
		var late atomic.Bool
		calls.inject(func(k call) bool { return k.String() == createWorkflow }, func(k call, proceed func() error) error {
			switch k.key {
			case client.ObjectKeyFromObject(c):
				cStarts <- struct{}{}
				select {
				case <-dStarts:
				case <-time.After(5 * time.Second):
					late.Store(true)
				}
			case client.ObjectKeyFromObject(d):
				dStarts <- struct{}{}
			}
			return proceed()
		})
		complete(a)
		Eventually(cStarts).Should(Receive())
		complete(b)
		Eventually(phaseOf(d)).Should(Equal(wfev1.PhaseRunning))
		Eventually(phaseOf(c)).Should(Equal(wfev1.PhaseRunning))
		Expect(late.Load()).To(BeFalse(), "d must not start while c starts")
	})

	It("includes dry runs", func() {
		dry := one("a")
		dry.Spec.DryRun = true
		start(dry)
		start(one("b"))
		last := one("c")
		last.Spec.DryRun = true
		waitsForSlot(create(last))
		complete(dry)
		Eventually(phaseOf(last)).Should(Equal(wfev1.PhaseRunning))
	})

	It("gives no slot to an execution that waits for its target, which also loses its place", func() {
		api := wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}
		a := start(on(api, one("a")))
		b := create(on(api, one("b")))
		waitsFor(b, a)
		c := start(one("c"))
		d := create(one("d"))
		waitsForSlot(d)
		complete(c)
		Eventually(phaseOf(d)).Should(Equal(wfev1.PhaseRunning))
		waitsFor(b, a)
		complete(a)
		Eventually(phaseOf(b)).Should(Equal(wfev1.PhaseRunning))
	})

	It("passes over suspended and cancelled waiting executions", func() {
		a := start(one("a"))
		b := start(one("b"))
		c, d, e := create(one("c")), create(one("d")), create(one("e"))
		waitsForSlot(c)
		waitsForSlot(d)
		waitsForSlot(e)
		change(c, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = true })
		change(d, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Cancel = wfev1.CancelStop })
		Eventually(phaseOf(d)).Should(Equal(wfev1.PhaseCancelled))
		complete(a)
		Eventually(phaseOf(e)).Should(Equal(wfev1.PhaseRunning))
		change(c, func(wfe *wfev1.WorkflowExecution) { wfe.Spec.Suspended = false })
		waitsForSlot(c)
		complete(b)
		Eventually(phaseOf(c)).Should(Equal(wfev1.PhaseRunning))
	})

	It("survives a change of leader, also for a Workflow that no status refers to", func() {
		start(one("a"))
		var b, c *wfev1.WorkflowExecution
		withNewLeader(func() {
			c = create(one("c"))
			b = create(one("b"))
			Expect(admin.Create(ctx, plannedWorkflow(b))).To(Succeed())
		})
		Eventually(phaseOf(b)).Should(Equal(wfev1.PhaseRunning))
		waitsForSlot(c)
		complete(b)
		Eventually(phaseOf(c)).Should(Equal(wfev1.PhaseRunning))
	})

	It("forgets ended and deleted executions", func() {
		remembered := func() []int {
			counts := controllers.Remembered(leader)
			return []int{counts["admitted"]}
		}
		Eventually(remembered).Should(HaveEach(BeZero()))
		a, b := start(one("a")), start(one("b"))
		Expect(remembered()).To(HaveEach(BeNumerically(">=", 2)))
		complete(a)
		Expect(admin.Delete(ctx, b)).To(Succeed())
		Eventually(func() []int { collectGarbage(); return remembered() }).Should(HaveEach(BeZero()))
	})
})
