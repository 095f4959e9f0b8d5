package catalog

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// maxNoteBytes is the API server's bound on the note of an Event.
const maxNoteBytes = 1024

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// OnChange returns the handler of the templates' watches: announce receives the name of each action, and every template
// that is invalid gets an Event when it is created, when its specification changes, and when another template begins or
// ceases to claim the same action. No execution is reconciled again: a missing action is final.
func (c *Catalog) OnChange(recorder events.EventRecorder, announce func(action string)) handler.EventHandler {
	w := watcher{catalog: c, recorder: recorder}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, _ queue) {
			announce(actionOf(e.Object))
			w.report(ctx, e.Object, !e.IsInInitialList)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, _ queue) {
			renamed := actionOf(e.ObjectOld) != actionOf(e.ObjectNew)
			if !renamed && e.ObjectOld.GetGeneration() == e.ObjectNew.GetGeneration() {
				return
			}
			announce(actionOf(e.ObjectNew))
			w.report(ctx, e.ObjectNew, renamed)
			if renamed {
				w.report(ctx, e.ObjectOld, true)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, _ queue) { w.report(ctx, e.Object, true) },
	}
}

func actionOf(template client.Object) string { return template.GetLabels()[wfev1.LabelAction] }

// watcher writes the events on invalid templates.
type watcher struct {
	catalog  *Catalog
	recorder events.EventRecorder
}

// report writes an event on a changed template if it is invalid, and with others also on those that claim the same action
// and so conflict with each other.
func (w watcher) report(ctx context.Context, changed client.Object, others bool) {
	action := actionOf(changed)
	claims, err := w.catalog.claims(ctx, w.catalog.cached, changed.GetNamespace(), client.MatchingLabels{wfev1.LabelAction: action})
	if err != nil {
		log.FromContext(ctx).Error(err, "Cannot check the templates of an action", "action", action)
		return
	}
	conflicting := 0
	for _, claim := range claims {
		if claim.Template.GetNamespace() == changed.GetNamespace() {
			conflicting++
		}
	}
	for _, claim := range claims {
		isChanged := claim.Template.GetUID() == changed.GetUID()
		conflicts := others && conflicting > 1 && claim.Template.GetNamespace() == changed.GetNamespace()
		if claim.Problem == nil || !isChanged && !conflicts {
			continue
		}
		log.FromContext(ctx).Info("A template of the catalog is invalid", "problem", claim.Problem.Error())
		w.recorder.Eventf(claim.Template, nil, corev1.EventTypeWarning, wfev1.EventBrokenAction, "ReadAction",
			"This template is no action: %s", translate.Truncate(claim.Problem.Error(), maxNoteBytes))
	}
}
