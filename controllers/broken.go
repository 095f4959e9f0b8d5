package controllers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// reasonBrokenAction is the reason of the events on templates that carry the label of an action and are none.
const reasonBrokenAction = "BrokenAction"

// told remembers what was told about broken templates, so that it is told once for each change of one.
type told struct {
	mu       sync.Mutex
	problems map[types.UID]string
}

// isNews notes what is known about a template now, and reports whether that is a problem that was not told before.
func (t *told) isNews(template translate.Template, problem error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	uid := template.GetUID()
	if problem == nil {
		delete(t.problems, uid)
		return false
	}
	// Whoever mended one thing and left the next one hears of that, also when it reads the same.
	news := fmt.Sprintf("generation %d: %s", template.GetGeneration(), problem)
	if t.problems[uid] == news {
		return false
	}
	if t.problems == nil {
		t.problems = map[types.UID]string{}
	}
	t.problems[uid] = news
	return true
}

func (t *told) forget(uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.problems, uid)
}

// learnActions tells the metrics which actions there are, so that their series exist before the first step runs, and
// tells people which templates are broken. It wakes no execution: a missing action is final.
func (r *Reconciler) learnActions() handler.EventHandler {
	learn := func(ctx context.Context, template client.Object) {
		r.Metrics.SetActions([]string{template.GetLabels()[wfev1.LabelAction]})
		r.tellBroken(ctx, template)
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, _ queue) { learn(ctx, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, _ queue) {
			if e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion() {
				return
			}
			learn(ctx, e.ObjectNew)
			// Those that shared a name with it may have it for themselves now.
			r.tellBroken(ctx, e.ObjectOld)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, _ queue) {
			r.told.forget(e.Object.GetUID())
			r.tellBroken(ctx, e.Object)
		},
	}
}

// tellBroken judges the templates that claim the same action as this one.
func (r *Reconciler) tellBroken(ctx context.Context, template client.Object) {
	action := template.GetLabels()[wfev1.LabelAction]
	claims, err := r.claims(ctx, r.Client, template.GetNamespace(), client.MatchingLabels{wfev1.LabelAction: action})
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot tell whether a template of the catalog is broken", "action", action)
		return
	}
	for _, claim := range claims {
		if r.told.isNews(claim.Template, claim.Problem) {
			log.FromContext(ctx).Info("a template of the catalog is broken", "problem", claim.Problem.Error())
			r.Events.Eventf(claim.Template, nil, corev1.EventTypeWarning, reasonBrokenAction, "ReadAction",
				"This template is no action: %s", shorten(claim.Problem.Error()))
		}
	}
}
