package controllers

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// SetupWithManager adds the indices and the watches, and the cache of what has ended. An execution is looked at when it
// changes, when one of its Workflows changes, and when one with the same target, or of the same namespace, stops being in
// its way: then it leaves the manager's cache, be it ended or deleted.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, concurrency int) error {
	if err := addIndices(ctx, mgr.GetFieldIndexer(), r.Settings); err != nil {
		return err
	}
	ended, err := newEnded(mgr, r.Settings)
	if err != nil {
		return err
	}
	r.Ended = ended
	building := ctrl.NewControllerManagedBy(mgr).
		Named("workflowexecution").
		For(&wfev1.WorkflowExecution{}).
		Watches(&wfev1.WorkflowExecution{}, r.wakeRivals()).
		WatchesRawSource(afterTheOthers()).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency})
	if r.Settings.MaxLivePerNamespace > 0 {
		building = building.Watches(&wfev1.WorkflowExecution{}, r.wakeNextInLine())
	}
	c, err := building.Build(ended.notice(r))
	if err != nil {
		return err
	}
	ended.controller = c
	if err := mgr.Add(ended); err != nil {
		return err
	}
	r.engine = &engine{mgr: mgr, controller: c, reconciler: r}
	if err := r.engine.open(ctx); err != nil {
		return err
	}
	return mgr.Add(r.engine)
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// wakeRivals wakes those that wait for a target when whoever was before them is gone from the cache or gave way.
func (r *Reconciler) wakeRivals() handler.EventHandler {
	wake := func(ctx context.Context, object client.Object, q queue) {
		rivals, err := r.rivals(ctx, object.(*wfev1.WorkflowExecution))
		if err != nil {
			log.FromContext(ctx).Error(err, "cannot wake the executions that wait for the target")
			return
		}
		for i := range rivals {
			if rivals[i].Status.WorkflowRef == nil {
				q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&rivals[i])})
			}
		}
	}
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if replaced(e) || givesWay(e.ObjectOld.(*wfev1.WorkflowExecution), e.ObjectNew.(*wfev1.WorkflowExecution)) {
				wake(ctx, e.ObjectOld, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { wake(ctx, e.Object, q) },
	}
}

// replaced reports whether the one before is gone and another has its name: after an interrupted watch nothing else tells so.
func replaced(e event.UpdateEvent) bool { return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() }

func givesWay(before, after *wfev1.WorkflowExecution) bool {
	return after.Spec.Suspended && !before.Spec.Suspended && after.Status.WorkflowRef == nil
}

// wakeNextInLine wakes those that wait for a slot of their namespace when one before them is gone from the cache or gave way.
func (r *Reconciler) wakeNextInLine() handler.EventHandler {
	wake := func(ctx context.Context, object client.Object, q queue) {
		next, err := r.nextInLine(ctx, object.GetNamespace())
		if err != nil {
			log.FromContext(ctx).Error(err, "cannot wake the executions that wait for a slot of their namespace")
			return
		}
		for _, key := range next {
			q.Add(reconcile.Request{NamespacedName: key})
		}
	}
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if replaced(e) || isInLine(e.ObjectOld.(*wfev1.WorkflowExecution)) && !isInLine(e.ObjectNew.(*wfev1.WorkflowExecution)) {
				wake(ctx, e.ObjectNew, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { wake(ctx, e.Object, q) },
	}
}
