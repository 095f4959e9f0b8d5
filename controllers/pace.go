package controllers

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// mostHeld is how long progress is held back at most, however many make some: what a status tells is no older.
const mostHeld = time.Minute

// pace spaces out what is written about the progress of executions: where many of them work at once, Argo and their pods need
// the API server more than their readers need each step of them. What has to wait is not lost but told together with what
// happens until then.
type pace struct {
	mu      sync.Mutex
	limiter *rate.Limiter
	// turns are those of the executions of which progress was told; nil for one that has nothing more to tell.
	turns map[types.NamespacedName]*turn
}

// turn is when an execution may tell of its progress.
type turn struct {
	due time.Time
	// share is what it takes of the bound; nil where it waits no longer than all may.
	share *rate.Reservation
}

// wait is how long an execution that has made progress has to wait before that is written. The first time in a process it
// need not: nobody knows for how long nothing was written about it.
func (p *pace) wait(key types.NamespacedName, perSecond int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limiter == nil {
		p.limiter, p.turns = rate.NewLimiter(rate.Limit(perSecond), 2*perSecond), map[types.NamespacedName]*turn{}
	}
	next, told := p.turns[key]
	if !told {
		p.turns[key] = nil
		return 0
	}
	if next == nil {
		next = p.takeTurn(now)
		p.turns[key] = next
	}
	return max(0, next.due.Sub(now))
}

func (p *pace) takeTurn(now time.Time) *turn {
	share := p.limiter.ReserveN(now, 1)
	wait := share.DelayFrom(now)
	if wait > mostHeld {
		share.CancelAt(now)
		return &turn{due: now.Add(mostHeld)}
	}
	return &turn{due: now.Add(wait), share: share}
}

// written says that all was told about an execution. If its turn had not come, it is for others.
func (p *pace) written(key types.NamespacedName, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.turns[key]
	if last == nil {
		return
	}
	if last.share != nil && now.Before(last.due) { // one that has come would be given back, too
		last.share.CancelAt(now)
	}
	p.turns[key] = nil
}

// forget drops what is remembered of an execution that has ended or is gone.
func (p *pace) forget(key types.NamespacedName, now time.Time) {
	p.written(key, now)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.turns, key)
}

// awaitTurn is how long a new status has to wait until it is written: no time unless it tells of nothing but progress.
func (r *Reconciler) awaitTurn(before, after *wfev1.WorkflowExecution) time.Duration {
	if r.Settings.ProgressPerSecond == 0 || !isProgress(&before.Status, &after.Status) {
		return 0
	}
	return r.pace.wait(nameOf(after), r.Settings.ProgressPerSecond, r.now())
}

// isProgress reports whether two statuses tell the same but for how far the steps are, and no step has failed meanwhile.
func isProgress(before, after *wfev1.WorkflowExecutionStatus) bool {
	was, is := *before, *after
	is.Steps, is.RollbackSteps, is.Progress = was.Steps, was.RollbackSteps, was.Progress
	return failedSteps(before) == failedSteps(after) && equality.Semantic.DeepEqual(was, is)
}

func failedSteps(status *wfev1.WorkflowExecutionStatus) int {
	failed := 0
	for _, steps := range [][]wfev1.StepStatus{status.Steps, status.RollbackSteps} {
		for i := range steps {
			if steps[i].Phase == wfev1.StepFailed {
				failed++
			}
		}
	}
	return failed
}
