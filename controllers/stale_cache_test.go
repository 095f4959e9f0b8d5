package controllers_test

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers"
)

// targetAPI is the target of the executions.
var targetAPI = wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}

// begin creates an execution and delivers it to the cache.
func begin(s *simulation, wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	Expect(s.refresh()).To(Succeed())
	Expect(s.apply(wfe)).To(Succeed())
	s.deliver(wfe.Name)
}

// A leader creates the Workflow and crashes. The cache of the next leader is older than its list.
var _ = It("A stale cache does not free the lock on a target", func() {
	withNewLeader(func() {
		s := newSimulation(newSimulationNamespace(), nil)
		begin(s, on(targetAPI, execution("x", step("a"))))
		s.calls.inject(func(c call) bool { return c.String() == updateStatus }, justOnce(func(call, func() error) error {
			s.stopped = true
			return errStopped
		}))
		Expect(s.reconcile("x")).To(Succeed())
		// A suspended execution gives way to others unless it has started.
		Expect(s.refresh()).To(Succeed())
		Expect(edit("x", func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = true })(s)).To(Succeed())
		Expect(s.apply(on(targetAPI, execution("y", step("a"))))).To(Succeed())

		s.clearCache()
		s.startController()
		s.deliver("y")
		Expect(s.reconcile("y")).To(Succeed())
		Expect(s.stored.Workflows).To(HaveKey("x"))
		Expect(s.stored.Workflows).NotTo(HaveKey("y"))
		Expect(s.queue.HasTimer("y")).To(BeTrue(), "y must be reconciled again")
		Expect(s.log.String()).NotTo(ContainSubstring("the cache is stale"), "a stale cache is no error")
		s.cache.Workflows["x"] = s.stored.Workflows["x"]
		Expect(s.reconcile("x")).To(Succeed()) // the cache receives the Workflow first
		Expect(s.stored.Executions["x"].Status.WorkflowRef).To(BeNil())
		s.deliver("x")
		Expect(s.reconcile("y")).To(Succeed())
		Expect(s.refresh()).To(Succeed())
		Expect(s.stored.Workflows).NotTo(HaveKey("y"))
		Expect(conditionMessage(s.stored.Executions["y"], wfev1.ConditionAdmitted)).To(ContainSubstring("is being remediated by " + s.ns + "/x"))
		Expect(s.cleanUp()).To(Succeed())
	})
})

// A list after an interrupted watch shows a replaced execution as an update, and no deletion.
var _ = It("An execution that waits for a replaced execution is enqueued", func() {
	s := newSimulation(newSimulationNamespace(), nil)
	s.maxLive = 1
	s.startController()
	named := func(name string, uid types.UID, reason string) *wfev1.WorkflowExecution {
		wfe := execution(name, step("a"))
		wfe.Namespace, wfe.UID = s.ns, uid
		meta.SetStatusCondition(&wfe.Status.Conditions, metav1.Condition{Type: wfev1.ConditionAdmitted, Status: metav1.ConditionFalse, Reason: reason})
		return wfe
	}
	watches := controllers.AdmissionWatches(s.reconciler)
	for i, reason := range []string{wfev1.ReasonTargetLocked, wfev1.ReasonNamespaceFull} {
		waker := watches[i]
		waiting := named("y", "y", reason)
		s.cache.Executions["y"] = waiting
		before, after := named("x", "first", reason), named("x", "second", reason)
		before.Spec.Target = targetAPI
		waiting.Spec.Target = before.Spec.Target
		queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		waker.Update(ctx, ctrlevent.UpdateEvent{ObjectOld: before, ObjectNew: before}, queue)
		Expect(queue.Len()).To(BeZero())
		waker.Update(ctx, ctrlevent.UpdateEvent{ObjectOld: before, ObjectNew: after}, queue)
		Expect(queue.Len()).To(Equal(1))
		woken, _ := queue.Get()
		Expect(woken.Name).To(Equal("y"))
		queue.ShutDown()
	}
})

// An execution ends between the list from which the locks are rebuilt and the read of the cache.
var _ = It("The locks are rebuilt correctly while an execution ends", func() {
	withNewLeader(func() {
		s := newSimulation(newSimulationNamespace(), nil)
		begin(s, execution("x", step("a")))
		begin(s, execution("y", step("a")))
		Expect(s.reconcile("x")).To(Succeed())
		Expect(s.refresh()).To(Succeed())
		s.startController()
		s.calls.inject(func(c call) bool { return c.live && c.String() == "list *v1alpha1.WorkflowExecutionList" }, func(_ call, proceed func() error) error {
			defer delete(s.cache.Executions, "x")
			err := proceed()
			ended := s.stored.Executions["x"].DeepCopy()
			ended.Status.Phase = wfev1.PhaseCompleted
			return errors.Join(err, s.api.Status().Patch(ctx, ended, client.MergeFrom(s.stored.Executions["x"])))
		})
		Expect(s.reconcile("y")).To(Succeed())
		Expect(s.refresh()).To(Succeed())
		Expect(s.stored.Workflows).To(HaveKey("y"))
		Expect(s.cleanUp()).To(Succeed())
	})
})

// A reconcile does not find the execution in the cache. Before it goes on, the cache receives the execution, which gets the lock.
var _ = It("A late reconcile does not release the lock of a new execution", func() {
	withNewLeader(func() {
		s := newSimulation(newSimulationNamespace(), nil)
		begin(s, on(targetAPI, execution("x", step("a"))))
		s.calls.inject(func(c call) bool { return c.String() == "get "+wfev1.Kind && !c.live }, justOnce(func(c call, _ func() error) error {
			Expect(s.reconcile("x")).To(Succeed())
			return apierrors.NewNotFound(schema.GroupResource{}, c.key.Name)
		}))
		Expect(s.reconcile("x")).To(Succeed())
		Expect(controllers.Remembered(s.reconciler)).To(HaveKeyWithValue("admitted", 1))
		Expect(s.cleanUp()).To(Succeed())
	})
})

var _ = It("An execution does not start before the cache has it, since others must find its lock", func() {
	withNewLeader(func() {
		s := newSimulation(newSimulationNamespace(), nil)
		Expect(s.refresh()).To(Succeed())
		Expect(s.apply(execution("x", step("a")))).To(Succeed())
		// An earlier execution of its name is being rolled back.
		predecessor := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Name: "x", UID: "predecessor"}}
		s.cache.Workflows["x-rollback"] = &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
			Namespace: s.ns, Name: "x-rollback", Finalizers: []string{wfev1.FinalizerObserved},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(predecessor, wfev1.GroupVersion.WithKind(wfev1.Kind))},
		}}
		Expect(s.reconcile("x")).To(Succeed())
		Expect(s.calls.creations()).To(BeEmpty())
		delete(s.cache.Workflows, "x-rollback") // the garbage collector deletes it
		s.deliver("x")
		Expect(s.reconcile("x")).To(Succeed())
		Expect(s.calls.creations()).To(HaveLen(1))
		Expect(s.cleanUp()).To(Succeed())
	})
})
