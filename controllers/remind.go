package controllers

import (
	"context"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	"github.com/kubernaut-io/workflowexecution/translate"
)

// Argo 3.7 writes its own answer into its informer's store (operator.go:854), and so forgets a patch of ours that the
// store has got in the same moment: it goes on by the older copy until the Workflow changes once more, or for the twenty
// minutes of its resync. A cancellation would wait as long: nine of sixty did when Argo, with little CPU, was told to stop
// right after a write of its own. Any write helps, so a Workflow that Argo owes something is written again.
const (
	// remindersSent counts the reminders on a Workflow.
	remindersSent = "workflowexecution.kubernaut.io/reminders"
	// remindAfter is longer than the ten seconds that Argo takes to look again, unless told otherwise.
	remindAfter = 15 * time.Second
	// remindAtMost bounds the time between reminders, which doubles with each.
	remindAtMost = 5 * time.Minute
)

// silences remembers since when a version of a Workflow is the last one while Argo owes it something.
type silences struct {
	mu    sync.Mutex
	began map[types.NamespacedName]silence
}

type silence struct {
	version string
	since   time.Time
}

// since is when the Workflow was first seen in this version.
func (s *silences) since(wf *wfv1.Workflow, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := client.ObjectKeyFromObject(wf)
	if known, found := s.began[name]; found && known.version == wf.ResourceVersion {
		return known.since
	}
	if s.began == nil {
		s.began = map[types.NamespacedName]silence{}
	}
	s.began[name] = silence{version: wf.ResourceVersion, since: now}
	return now
}

func (s *silences) forget(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.began, name)
}

// orRemind reminds Argo of a Workflow about which there is nothing else to do, once Argo has been silent for too long.
func (r *Reconciler) orRemind(wf *wfv1.Workflow, result ctrl.Result, act action) (ctrl.Result, action) {
	sent, _ := strconv.Atoi(wf.Annotations[remindersSent]) // whatever else it says is as good as none
	if act != nil || !owes(wf, sent) {
		r.silences.forget(client.ObjectKeyFromObject(wf))
		return result, act
	}
	patience := min(remindAfter<<min(max(sent, 0), 10), remindAtMost)
	if wait := r.silences.since(wf, r.now()).Add(patience).Sub(r.now()); wait > 0 {
		result.RequeueAfter = earliest(result.RequeueAfter, wait)
		return result, nil
	}
	return result, func(ctx context.Context) error {
		log.FromContext(ctx).Info("Argo has not acted on the Workflow; writing it again", "Workflow", wf.Name, "silentFor", patience.String())
		return r.patchWorkflow(ctx, wf, map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{remindersSent: strconv.Itoa(sent + 1)}},
		})
	}
}

// owes reports whether Argo may have missed what it was last told. That it took note of a suspension is not to be seen,
// so of one that could keep steps from starting it is reminded once.
func owes(wf *wfv1.Workflow, sent int) bool {
	switch {
	case wf.Status.Phase != wfv1.WorkflowRunning:
		return false
	case wf.Spec.Shutdown != "":
		return true
	case isSuspended(wf):
		return sent == 0 && wf.Annotations[suspendedByUs] != "" && translate.Running(wf) > 0
	}
	return translate.IsIdle(wf)
}
