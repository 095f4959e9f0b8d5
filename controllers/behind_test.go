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

// targetAPI is what executions here are about.
var targetAPI = wfev1.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}

// begin applies an execution, which the controller's cache gets.
func begin(s *stage, wfe *wfev1.WorkflowExecution) {
	GinkgoHelper()
	Expect(s.look()).To(Succeed())
	Expect(s.apply(wfe)).To(Succeed())
	s.see(wfe.Name)
}

// A predecessor created the Workflow and died; the next leader's cache is behind the list that tells so.
var _ = It("The lock on a target is not given away while the cache does not have its holder", func() {
	succession(func() {
		s := newStage(newStageNamespace(), nil)
		begin(s, on(targetAPI, execution("x", step("a"))))
		s.wire.breakAt(func(c call) bool { return c.String() == updateStatus }, justOnce(func(call, func() error) error {
			s.dead = true
			return errDead
		}))
		Expect(s.reconcile("x")).To(Succeed())
		// One that is suspended lets others pass, unless it has started.
		Expect(s.look()).To(Succeed())
		Expect(edit("x", func(spec *wfev1.WorkflowExecutionSpec) { spec.Suspended = true })(s)).To(Succeed())
		Expect(s.apply(on(targetAPI, execution("y", step("a"))))).To(Succeed())

		s.cache = newStageCache(s.recording(stageClient))
		s.lead()
		s.see("y")
		Expect(s.reconcile("y")).To(Succeed())
		Expect(s.truth.workflows).To(HaveKey("x"))
		Expect(s.truth.workflows).NotTo(HaveKey("y"))
		Expect(s.due).To(HaveKey("y"), "it is looked at again")
		Expect(s.log.String()).NotTo(ContainSubstring("the cache is behind"), "that is no error")
		s.cache.workflows["x"] = s.truth.workflows["x"]
		Expect(s.reconcile("x")).To(Succeed()) // its Workflow is seen first
		Expect(s.truth.executions["x"].Status.WorkflowRef).To(BeNil())
		s.see("x")
		Expect(s.reconcile("y")).To(Succeed())
		Expect(s.look()).To(Succeed())
		Expect(s.truth.workflows).NotTo(HaveKey("y"))
		Expect(conditionMessage(s.truth.executions["y"], wfev1.ConditionAdmitted)).To(ContainSubstring("is being remediated by " + s.ns + "/x"))
		Expect(s.tidy()).To(Succeed())
	})
})

// A list after an interrupted watch tells of one that was deleted and applied again by an update, and of no deletion.
var _ = It("Who waits is woken when whoever is before it was replaced", func() {
	s := newStage(newStageNamespace(), nil)
	s.maxLive = 1
	s.lead()
	named := func(name string, uid types.UID, reason string) *wfev1.WorkflowExecution {
		wfe := execution(name, step("a"))
		wfe.Namespace, wfe.UID = s.ns, uid
		meta.SetStatusCondition(&wfe.Status.Conditions, metav1.Condition{Type: wfev1.ConditionAdmitted, Status: metav1.ConditionFalse, Reason: reason})
		return wfe
	}
	watches := controllers.Watches(s.reconciler)
	for i, reason := range []string{wfev1.ReasonTargetLocked, wfev1.ReasonNamespaceFull} {
		waker := watches[i]
		waiting := named("y", "y", reason)
		s.cache.executions["y"] = waiting
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

// An execution ended between the list from which the locks are rebuilt and the look at the cache.
var _ = It("The locks are rebuilt also while an execution ends", func() {
	succession(func() {
		s := newStage(newStageNamespace(), nil)
		begin(s, execution("x", step("a")))
		begin(s, execution("y", step("a")))
		Expect(s.reconcile("x")).To(Succeed())
		Expect(s.look()).To(Succeed())
		s.lead()
		s.wire.breakAt(func(c call) bool { return c.live && c.String() == "list *v1alpha1.WorkflowExecutionList" }, func(_ call, through func() error) error {
			defer delete(s.cache.executions, "x")
			err := through()
			ended := s.truth.executions["x"].DeepCopy()
			ended.Status.Phase = wfev1.PhaseCompleted
			return errors.Join(err, s.world.Status().Patch(ctx, ended, client.MergeFrom(s.truth.executions["x"])))
		})
		Expect(s.reconcile("y")).To(Succeed())
		Expect(s.look()).To(Succeed())
		Expect(s.truth.workflows).To(HaveKey("y"))
		Expect(s.tidy()).To(Succeed())
	})
})

// Its Workflow was seen first; the cache gets it, and it is given the lock, before the look that missed it goes on.
var _ = It("What holds a lock is not forgotten when it is seen late", func() {
	succession(func() {
		s := newStage(newStageNamespace(), nil)
		begin(s, on(targetAPI, execution("x", step("a"))))
		s.wire.breakAt(func(c call) bool { return c.String() == "get "+wfev1.Kind && !c.live }, justOnce(func(c call, _ func() error) error {
			Expect(s.reconcile("x")).To(Succeed())
			return apierrors.NewNotFound(schema.GroupResource{}, c.key.Name)
		}))
		Expect(s.reconcile("x")).To(Succeed())
		Expect(controllers.Remembered(s.reconciler)).To(HaveKeyWithValue("admitted", 1))
		Expect(s.tidy()).To(Succeed())
	})
})

var _ = It("An execution is not started before the cache has it, or others would not see that it holds a lock", func() {
	succession(func() {
		s := newStage(newStageNamespace(), nil)
		Expect(s.look()).To(Succeed())
		Expect(s.apply(execution("x", step("a")))).To(Succeed())
		// One that had its name was being rolled back.
		predecessor := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Name: "x", UID: "predecessor"}}
		s.cache.workflows["x-rollback"] = &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
			Namespace: s.ns, Name: "x-rollback", Finalizers: []string{wfev1.FinalizerObserved},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(predecessor, wfev1.GroupVersion.WithKind(wfev1.Kind))},
		}}
		Expect(s.reconcile("x")).To(Succeed())
		Expect(s.wire.creations()).To(BeEmpty())
		s.see("x")
		Expect(s.reconcile("x")).To(Succeed())
		Expect(s.wire.creations()).To(HaveLen(1))
		Expect(s.tidy()).To(Succeed())
	})
})
