package workflows

import (
	"context"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	"github.com/kubernaut-io/workflowexecution/translate"
)

// Argo 3.7 writes its own answer into its informer's store (operator.go:854) and so can lose a patch that the store received
// in the same moment: it continues with the older copy until the Workflow changes once more, or for the twenty minutes of
// its resync. A cancellation would wait as long: nine of sixty did when Argo had little CPU and the patch came right after a
// write of its own. Any further write helps, so a Workflow on which Argo has yet to act is written again.
const (
	// annotationNudges counts the nudges of a Workflow.
	annotationNudges = "workflowexecution.kubernaut.io/reminders"
	// nudgeAfter is longer than the ten seconds that Argo takes, by default, to process a Workflow again.
	nudgeAfter = 15 * time.Second
	// nudgeAtMost bounds the time between nudges, which doubles with each.
	nudgeAtMost = 5 * time.Minute
)

// nudges remembers since when a version of a Workflow has been the last one although Argo has yet to act on it.
type nudges struct {
	mu    sync.Mutex
	since map[types.NamespacedName]silence
}

type silence struct {
	version string
	began   time.Time
}

// began is when the Workflow was first read in this version.
func (n *nudges) began(wf *wfv1.Workflow, now time.Time) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := client.ObjectKeyFromObject(wf)
	if known, found := n.since[name]; found && known.version == wf.ResourceVersion {
		return known.began
	}
	if n.since == nil {
		n.since = map[types.NamespacedName]silence{}
	}
	n.since[name] = silence{version: wf.ResourceVersion, began: now}
	return now
}

func (n *nudges) clear(name types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.since, name)
}

func (n *nudges) len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.since)
}

// UntilNudge is how long until Argo is to be nudged about a Workflow, zero or less for now; false when Argo has nothing left
// to do for it.
func (s *Store) UntilNudge(wf *wfv1.Workflow) (time.Duration, bool) {
	sent := sentNudges(wf)
	if !isOwed(wf, sent) {
		s.nudges.clear(client.ObjectKeyFromObject(wf))
		return 0, false
	}
	now := s.clock.Now()
	return s.nudges.began(wf, now).Add(patience(sent)).Sub(now), true
}

// ClearNudge starts the wait for Argo anew, because the Workflow is about to be written for another reason.
func (s *Store) ClearNudge(wf *wfv1.Workflow) { s.nudges.clear(client.ObjectKeyFromObject(wf)) }

// Nudge writes a Workflow so that Argo processes it again.
func (s *Store) Nudge(ctx context.Context, wf *wfv1.Workflow) error {
	sent := sentNudges(wf)
	log.FromContext(ctx).Info("Argo has not acted on the Workflow; writing it again", "Workflow", wf.Name, "silentFor", patience(sent).String())
	return s.patch(ctx, wf, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{annotationNudges: strconv.Itoa(sent + 1)}},
	})
}

// sentNudges is how many nudges a Workflow had. An annotation that is no number counts as none.
func sentNudges(wf *wfv1.Workflow) int {
	sent, err := strconv.Atoi(wf.Annotations[annotationNudges])
	if err != nil {
		return 0
	}
	return max(sent, 0)
}

func patience(sent int) time.Duration { return min(nudgeAfter<<min(sent, 10), nudgeAtMost) }

// isOwed reports whether Argo may have missed the last write. A suspension leaves no trace in Argo's status, so Argo is
// nudged once about one that could keep steps from starting.
func isOwed(wf *wfv1.Workflow, sent int) bool {
	switch {
	case wf.Status.Phase != wfv1.WorkflowRunning:
		return false
	case wf.Spec.Shutdown != "":
		return true
	case IsSuspended(wf):
		return sent == 0 && IsSuspendedByController(wf) && translate.Running(wf) > 0
	}
	return translate.IsIdle(wf)
}
