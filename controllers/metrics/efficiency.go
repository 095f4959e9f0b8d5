package metrics

import (
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// EfficiencyWindow is the period over which the parallel execution efficiency is computed.
const EfficiencyWindow = time.Hour

// Efficiency counts the executed and the parallel steps of ended executions by the second of their end, so that the cost of
// a scrape does not depend on the number of executions. The zero value is empty. It is safe for concurrent use.
type Efficiency struct {
	mu    sync.Mutex
	ended map[int64]executedSteps
}

// executedSteps counts steps.
type executedSteps struct{ all, parallel int }

// Add adds an execution, if it has ended and is no dry run. It stays in the account after it was deleted. Call it once for
// each execution.
func (e *Efficiency) Add(wfe *wfev1.WorkflowExecution) {
	status := &wfe.Status
	executed := int(ptr.Deref(status.ExecutedSteps, 0))
	if !status.Phase.IsTerminal() || status.CompletionTime == nil || wfe.Spec.DryRun || executed <= 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended == nil {
		e.ended = map[int64]executedSteps{}
	}
	steps := e.ended[status.CompletionTime.Unix()]
	steps.all += executed
	steps.parallel += min(max(int(ptr.Deref(status.ParallelSteps, 0)), 0), executed)
	e.ended[status.CompletionTime.Unix()] = steps
}

// Ratio returns the ratio of parallel to executed steps, between 0 and 1, of the executions that ended within the
// EfficiencyWindow before now, and false if no step was executed. It discards older executions.
func (e *Efficiency) Ratio(now time.Time) (float64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	since := now.Add(-EfficiencyWindow)
	var sum executedSteps
	for second, steps := range e.ended {
		end := metav1.Unix(second, 0)
		switch {
		case end.Time.Before(since):
			delete(e.ended, second)
		case isPast(&end, now):
			sum.all += steps.all
			sum.parallel += steps.parallel
		}
	}
	return float64(sum.parallel) / float64(max(sum.all, 1)), sum.all > 0
}
