package controllers_test

// Promises in the corners: what must hold when several things go wrong at once.

import (
	"errors"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func in(namespace string, wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	wfe.Namespace = namespace
	return wfe
}

var _ = Describe("In the corners", func() {
	It("The timeout of an execution ends a step that hangs after a critical step failed", func() {
		wfe := start(within(execution("hung", step("bad"), step("hangs")), 600))
		argo := argoOf(wfe)
		argo.write(run("bad"), run("hangs"))
		argo.write(fail("bad", "main: Error (exit code 1)"))
		Eventually(isPaused(wfe)).Should(BeTrue())
		testClock.advance(30 * 24 * time.Hour)
		triggerReconcile(wfe)
		Eventually(isShutDown(wfe)).WithTimeout(3*time.Second).Should(BeTrue(), "a month after a timeout of ten minutes: phase %s, %s", phaseOf(wfe)(), stepsOf(wfe)())
	})

	It("The timeout of a step ends a pod that cannot be scheduled after a critical step failed", func() {
		wfe := start(within(execution("unscheduled", step("bad"), bounded(step("waits"), 30)), 600))
		argo := argoOf(wfe)
		argo.write(run("bad"), pend("waits", "Unschedulable: 0/3 nodes are available"))
		argo.write(fail("bad", "main: Error (exit code 1)"))
		Eventually(isPaused(wfe)).Should(BeTrue())
		testClock.advance(33 * time.Second)
		triggerReconcile(wfe)
		// Its pod is deleted; of a suspended Workflow Argo leaves a pending node without a pod as it is (operator.go:1263, :331).
		testClock.advance(30 * 24 * time.Hour)
		triggerReconcile(wfe)
		Eventually(isShutDown(wfe)).WithTimeout(3*time.Second).Should(BeTrue(), "%s", stepsOf(wfe)())
	})

	It("The Workflow of a deleted execution is shut down if a suspended execution has its name", func() {
		first := midway("replaced")
		wf := workflowOf(first)
		withNewLeader(func() {
			Expect(admin.Delete(ctx, first)).To(Succeed())
			second := execution("replaced", step("other"))
			second.Spec.Suspended = true
			create(second)
		})
		Eventually(busy).Should(BeFalse())
		second := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "replaced"}}
		Eventually(phaseOf(second)).Should(Equal(wfev1.PhasePending))
		refresh(wf)
		Eventually(isShutDown(second)).WithTimeout(3*time.Second).Should(BeTrue(), "the Workflow of the one that is gone runs on: shutdown=%q finalizers=%v", wf.Spec.Shutdown, wf.Finalizers)
	})

	It("The Workflow of a deleted execution is shut down if an invalid execution has its name", func() {
		target := wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "shared"}
		orphaned := 0
		for i := range 10 {
			name := fmt.Sprintf("swap%d", i)
			target.Name = name
			first := start(on(target, execution(name, step("a"), step("b", "a"))))
			wf := workflowOf(first)
			invalid := execution(name, wfev1.Step{Name: "x", Action: "no-such-action"})
			invalid.Namespace = ns
			Expect(admin.Delete(ctx, first)).To(Succeed())
			Expect(admin.Create(ctx, invalid)).To(Succeed())
			Eventually(phaseOf(invalid)).Should(Equal(wfev1.PhaseFailed))
			<-time.After(300 * time.Millisecond)
			refresh(wf)
			if wf.Spec.Shutdown == "" {
				orphaned++
				start(on(target, execution(name+"-next", step("a"))))
			}
		}
		Expect(orphaned).To(BeZero(), "of ten Workflows run on without an execution, and the next execution runs on the same target")
	})

	It("A cluster-scoped target has one holder, whatever version names it", func() {
		gold := wfev1.Target{APIVersion: "scheduling.k8s.io/v1", Kind: "PriorityClass", Name: "gold"}
		old := gold
		old.APIVersion = "scheduling.k8s.io/v1beta1"
		first := start(on(gold, execution("first", step("a"))))
		second := create(on(old, in(newNamespace(), execution("second", step("a")))))
		waitsFor(second, first)
	})

	It("Executions whose target has an unknown kind do not delay others", func() {
		const many = 150
		measure := func(kind string) time.Duration {
			target := wfev1.Target{APIVersion: "apps/v1", Kind: kind, Name: "x"}
			for i := range many {
				create(on(target, execution(fmt.Sprintf("%s-%d", strings.ToLower(kind), i), step("a"))))
			}
			began := time.Now()
			urgent := create(in(newNamespace(), execution("urgent", step("a"))))
			Eventually(phaseOf(urgent)).WithTimeout(5 * time.Minute).Should(Equal(wfev1.PhaseRunning))
			took := time.Since(began)
			Eventually(busy).WithTimeout(5 * time.Minute).Should(BeFalse())
			return took
		}
		known := measure("Deployment")
		unknown := measure("Deploymnet")
		GinkgoWriter.Printf("urgent behind %d of a known kind: %s, of an unknown kind: %s\n", many, known, unknown)
		Expect(unknown).To(BeNumerically("<", 4*known+2*time.Second))
	})

	// The size of an execution is bounded before it starts. If the bound is wrong, the controller must act all the same.
	It("An execution whose status is too large to be written can be cancelled", func() {
		calls.inject(func(c call) bool { return c.String() == updateStatus && strings.Contains(c.body, `"outputs"`) }, func(call, func() error) error {
			return apierrors.NewInternalError(errors.New("etcdserver: request is too large"))
		})
		wfe := start(execution("large", step("a"), step("b")))
		argo := argoOf(wfe)
		argo.write(run("a"), run("b"))
		argo.write(succeed("a", "previous=1"))
		Eventually(func() string { return stepOf(wfe, "a").Message }).Should(ContainSubstring("the outputs were dropped"))
		cancel(wfe, wfev1.CancelTerminate)
		Eventually(isShutDown(wfe)).Should(BeTrue())
	})

	It("An execution that was admitted and is suspended before its start releases its target", func() {
		target := wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}
		calls.inject(func(c call) bool { return c.String() == createWorkflow && c.key.Name == "holder" }, unavailable)
		holder := create(on(target, execution("holder", step("a"))))
		Eventually(func() int { return calls.reconciles(holder) }).Should(BeNumerically(">", 2))
		suspend(holder, true)
		Eventually(conditionsOf).WithArguments(holder).Should(HaveKeyWithValue("Reconciling", "True Suspended"))
		calls.removeFaults()
		rival := create(on(target, execution("rival", step("a"))))
		Eventually(phaseOf(rival)).WithTimeout(3*time.Second).Should(Equal(wfev1.PhaseRunning), "%s", conditionMessage(rival, wfev1.ConditionAdmitted))
	})

	It("A suspended execution that Argo never picked up can be cancelled", func() {
		wfe := start(within(execution("ignored", step("a")), 600))
		suspend(wfe, true)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseSuspended))
		cancel(wfe, wfev1.CancelTerminate)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		testClock.advance(10 * 24 * time.Hour)
		triggerReconcile(wfe)
		Eventually(phaseOf(wfe)).WithTimeout(3 * time.Second).Should(Equal(wfev1.PhaseCancelled))
	})

	It("A rollback that the API server refuses is tried again", func() {
		wfe := start(chain("refused"))
		calls.injectOnce(createWorkflow, func(call, func() error) error {
			return apierrors.NewForbidden(wfv1.Resource("workflows"), "refused-rollback", fmt.Errorf("exceeded quota: objects, requested: count/workflows.argoproj.io=1"))
		})
		failAfter(wfe)
		Eventually(phaseOf(wfe)).ShouldNot(Equal(wfev1.PhaseRunning))
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhaseRollingBack), "%+v", statusOf(wfe).Failure)
	})

	It("A rollback that was created and not recorded is followed after the catalog changed", func() {
		wfe := start(chain("forgotten"))
		calls.inject(func(c call) bool { return c.String() == updateStatus && c.key.Name == "forgotten" }, unavailable)
		failAfter(wfe)
		rollback := rollbackOf(wfe)
		undo := templates()[1]
		Expect(admin.Delete(ctx, undo.DeepCopy())).To(Succeed())
		DeferCleanup(func() { Expect(admin.Create(ctx, templates()[1])).To(Succeed()) })
		<-time.After(500 * time.Millisecond)
		calls.removeFaults()
		triggerReconcile(wfe)
		Eventually(phaseOf(wfe)).ShouldNot(Equal(wfev1.PhaseRunning))
		wf := &wfv1.Workflow{}
		Expect(admin.Get(ctx, rollback.key, wf)).To(Succeed())
		Expect(phaseOf(wfe)()).To(Equal(wfev1.PhaseRollingBack), "it has ended, and its rollback runs: phase=%q shutdown=%q; %s", wf.Status.Phase, wf.Spec.Shutdown, conditionMessage(wfe, "RolledBack"))
	})

	It("An execution in foreground deletion holds its target if its start is not recorded", func() {
		target := wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}
		namespace := ns
		holder := on(target, execution("holder", step("a")))
		rival := on(target, in(namespace, execution("rival", step("a"))))
		phases := make(chan wfev1.Phase, 1)
		calls.injectOnce(updateStatus, func(_ call, proceed func() error) error {
			defer GinkgoRecover()
			Expect(admin.Delete(ctx, &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "holder"}}, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
			<-time.After(200 * time.Millisecond)
			Expect(admin.Create(ctx, rival)).To(Succeed())
			<-time.After(time.Second)
			phases <- phaseOf(rival)()
			return proceed()
		})
		DeferCleanup(func() {
			if exists(holder) {
				change(holder, func(wfe *wfev1.WorkflowExecution) { wfe.Finalizers = nil })
			}
		})
		create(holder)
		Eventually(phases).Should(Receive(Not(Equal(wfev1.PhaseRunning))))
	})

	It("An end is counted once if its release meets a conflict and the execution is deleted", func() {
		wfe := midway("twice")
		key := client.ObjectKeyFromObject(wfe)
		Eventually(busy).Should(BeFalse())
		calls.injectOnce(patchWorkflow, func(c call, proceed func() error) error {
			defer GinkgoRecover()
			Expect(admin.Delete(ctx, &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}})).To(Succeed())
			<-time.After(300 * time.Millisecond)
			return conflict(c, proceed)
		})
		deleteWorkflow(wfe)
		Eventually(collectGarbage).Should(BeEmpty())
		Eventually(busy).Should(BeFalse())
		counts := moved()
		Expect(counts["total{status=failed}"]+counts["cancelled_total"]).To(Equal(1.0), "%v", counts)
	})

	It("A rollback waits for the pods of the stopped steps", func() {
		target := wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}
		wfe := start(on(target, execution("stopped", undone(step("a")), step("slow", "a"))))
		argo := argoOf(wfe)
		argo.write(run("a"))
		argo.write(succeed("a", "previous=1"), run("slow"))
		wf := workflowOf(wfe)
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: podNameOf(wf, lastAttempt(wf, "slow")), Labels: map[string]string{"workflows.argoproj.io/workflow": wf.Name},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(wf, wfv1.SchemeGroupVersion.WithKind("Workflow"))}},
			Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "main", Image: "example.invalid/action:v1"}}},
		}
		Expect(admin.Create(ctx, pod)).To(Succeed())
		pod.Status.Phase = corev1.PodRunning
		Expect(admin.Status().Update(ctx, pod)).To(Succeed())
		cancel(wfe, wfev1.CancelStop)
		Eventually(isShutDown(wfe)).Should(BeTrue())
		argo.write(obeyShutdown) // as Argo does once its wait container has let go, which it does at SIGTERM, whatever main does
		Consistently(func() bool { return hasRollback(wfe) }).WithTimeout(time.Second).Should(BeFalse(), "the pod is Running")
		Expect(admin.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(func() bool { return hasRollback(wfe) }).Should(BeTrue())
	})

	It("A cancellation by Stop during a rollback is reported to have no effect", func() {
		wfe := start(chain("late-stop"))
		failAfter(wfe)
		Eventually(phaseOf(wfe)).Should(Equal(wfev1.PhaseRollingBack))
		Eventually(busy).Should(BeFalse())
		eventsBefore := len(eventsOf(wfe)())
		was := conditionsOf(wfe)
		cancel(wfe, wfev1.CancelStop)
		triggerReconcile(wfe)
		Eventually(busy).Should(BeFalse())
		Expect(len(eventsOf(wfe)()) > eventsBefore || fmt.Sprint(was) != fmt.Sprint(conditionsOf(wfe))).To(BeTrue(), "nothing is reported: %v", conditionsOf(wfe))
	})
})

var _ = Describe("In a full namespace", Ordered, func() {
	BeforeAll(func() {
		DeferCleanup(func() { withNewLeader(func() { maxLive = 0 }) })
		withNewLeader(func() { maxLive = 1 })
	})

	It("An execution that waits for a slot of its namespace does not block a target for other namespaces", func() {
		node := wfev1.Target{APIVersion: "v1", Kind: "Node", Name: "node-1"}
		start(execution("busy", step("a")))
		waiting := create(on(node, execution("waiting", step("a"))))
		Eventually(conditionsOf).WithArguments(waiting).Should(HaveKeyWithValue("Admitted", "False NamespaceFull"))
		Eventually(func() int64 { return time.Now().Unix() }).Should(BeNumerically(">", waiting.CreationTimestamp.Unix()))
		urgent := create(on(node, in(newNamespace(), execution("urgent", step("a")))))
		Eventually(phaseOf(urgent)).WithTimeout(3*time.Second).Should(Equal(wfev1.PhaseRunning), "%s", conditionMessage(urgent, wfev1.ConditionAdmitted))
	})
})
