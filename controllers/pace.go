package controllers

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// pace spaces out what is written about the progress of executions: where many of them work at once, Argo and their pods need
// the API server more than their readers need each step of them. What has to wait is not lost but told together with what
// happens until then.
type pace struct {
	mu      sync.Mutex
	limiter *rate.Limiter
	// turns are when the executions of which progress was told may tell of more; nil for those that have nothing to tell.
	turns map[types.NamespacedName]*rate.Reservation
}

// wait is how long an execution that has made progress has to wait before that is written. The first time in a process it
// need not: nobody knows for how long nothing was written about it.
func (p *pace) wait(key types.NamespacedName, perSecond int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limiter == nil {
		p.limiter, p.turns = rate.NewLimiter(rate.Limit(perSecond), 2*perSecond), map[types.NamespacedName]*rate.Reservation{}
	}
	turn, told := p.turns[key]
	if !told {
		p.turns[key] = nil
		return 0
	}
	if turn == nil {
		turn = p.limiter.ReserveN(now, 1)
		p.turns[key] = turn
	}
	return turn.DelayFrom(now)
}

// written says that all was told about an execution. If its turn had not come, it is for others.
func (p *pace) written(key types.NamespacedName, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	turn := p.turns[key]
	if turn == nil {
		return
	}
	if turn.DelayFrom(now) > 0 { // one that has come would be given back, too
		turn.CancelAt(now)
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
	for steps := range slices.Values([][]wfev1.StepStatus{status.Steps, status.RollbackSteps}) {
		for i := range steps {
			if steps[i].Phase == wfev1.StepFailed {
				failed++
			}
		}
	}
	return failed
}
