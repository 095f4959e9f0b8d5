package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// maxRetries is the maximum number of retries in the API; a larger number in a status is capped.
const maxRetries = 20

// Observe counts what began and ended between two versions of an execution. Call it once for each successful status update,
// with the object that was read and the object that was written, and never for a failed one. If before is nil, the
// execution had no status. Observe counts nothing if before has already ended, because an execution never leaves a
// terminal phase, and only the end of a dry run.
func (r *Recorder) Observe(before, after *wfev1.WorkflowExecution) {
	if after == nil {
		return
	}
	var was wfev1.WorkflowExecutionStatus
	if before != nil {
		was = before.Status
	}
	if was.Phase.IsTerminal() {
		return
	}
	is := &after.Status
	if after.Spec.DryRun {
		if is.Phase.IsTerminal() {
			r.dryRuns.WithLabelValues(executionStatus(is.Phase)).Inc()
		}
		return
	}
	now := r.now()
	for _, step := range movedSteps(was.Steps, is.Steps, hasBegun) {
		r.observeQueue(step, now)
	}
	for _, step := range movedSteps(was.Steps, is.Steps, hasEnded) {
		r.observeStep(step, now)
	}
	for _, step := range movedSteps(was.RollbackSteps, is.RollbackSteps, hasEnded) {
		if step.IsExecuted() {
			r.rollbackSteps.WithLabelValues(stepStatus(step.Phase), r.actionLabel(step.Action)).Inc()
		}
	}
	if is.Phase.IsTerminal() {
		r.observeEnd(is, now)
	}
}

// observeQueue measures how long a step waited until its pod ran. Argo does not record when a container started, so the wait
// ends now, late by at most the requeue time of Argo. The wait of a later attempt is unknown: the status records the start
// of the first attempt.
func (r *Recorder) observeQueue(step *wfev1.StepStatus, now time.Time) {
	if step.Action == "" || step.Attempts > 1 {
		return
	}
	if d, ok := elapsed(step.StartTime, &metav1.Time{Time: now}, now); ok {
		r.stepQueueDuration.WithLabelValues(r.actionLabel(step.Action)).Observe(d.Seconds())
	}
}

// observeStep counts a step that has just ended. An approval has no action and is in no metric of steps.
func (r *Recorder) observeStep(step *wfev1.StepStatus, now time.Time) {
	if step.Action == "" {
		return
	}
	action := r.actionLabel(step.Action)
	if step.Phase == wfev1.StepSkipped {
		r.stepSkipped.WithLabelValues(action).Inc()
		return
	}
	if step.Attempts > 1 {
		r.stepRetries.WithLabelValues(action).Add(float64(min(step.Attempts-1, maxRetries)))
	}
	if !step.IsExecuted() {
		return
	}
	r.steps.WithLabelValues(stepStatus(step.Phase), action).Inc()
	if d, ok := elapsed(step.StartTime, step.CompletionTime, now); ok {
		r.stepDuration.WithLabelValues(action).Observe(d.Seconds())
	}
}

// observeEnd counts an execution that has just ended.
func (r *Recorder) observeEnd(status *wfev1.WorkflowExecutionStatus, now time.Time) {
	if status.Phase == wfev1.PhaseCancelled {
		r.cancelled.Inc()
	} else {
		r.executions.WithLabelValues(executionStatus(status.Phase)).Inc()
	}
	if status.Phase == wfev1.PhaseFailed {
		r.failures.WithLabelValues(failureReason(status)).Inc()
	}
	// A rollback that could not be created has the condition and no reference.
	if status.RollbackRef != nil || meta.FindStatusCondition(status.Conditions, wfev1.ConditionRolledBack) != nil {
		r.rollbacks.WithLabelValues(rollbackStatus(status)).Inc()
	}
	working, waiting := executionTimes(status, now)
	// The success rate excludes cancelled executions, and so does the latency.
	if working > 0 && status.Phase != wfev1.PhaseCancelled {
		r.duration.Observe(working.Seconds())
	}
	if waiting > 0 {
		r.approvalWaitDuration.Observe(waiting.Seconds())
	}
	r.stepsExecuted.Add(float64(ExecutedSteps(status)))
	r.parallelSteps.Add(float64(ParallelSteps(status)))
	// Unset means unknown, which differs from none.
	if status.ParallelSteps != nil {
		r.parallelStepsCount.Observe(float64(ParallelSteps(status)))
	}
}

// ObserveResolution records that validating, ordering and translating an execution took d, and the number of its dependency
// edges and steps. Call it once for each execution and never for a dry run. Negative values are dropped.
func (r *Recorder) ObserveResolution(d time.Duration, edges, steps int) {
	observeMeasured(r.resolutionDuration, d)
	if edges >= 0 {
		r.graphComplexity.Observe(float64(edges))
	}
	if steps >= 0 {
		r.stepCount.Observe(float64(steps))
	}
}

// ObserveCreation records that creating a Workflow in the API server took d. Call it once for each created Workflow and
// never for a dry run. A negative d is dropped.
func (r *Recorder) ObserveCreation(d time.Duration) {
	observeMeasured(r.creationDuration, d)
}

// ObserveDeletion counts an execution that was deleted while it ran: it ended as cancelled without a status that records
// this. Call it once, after the last object of the execution was released.
func (r *Recorder) ObserveDeletion() { r.cancelled.Inc() }

// observeMeasured records a duration of the controller's own clock, which can be 0 but not negative.
func observeMeasured(histogram prometheus.Observer, d time.Duration) {
	if d >= 0 {
		histogram.Observe(d.Seconds())
	}
}

// executionStatus returns the label value of a terminal phase.
func executionStatus(phase wfev1.Phase) string {
	if phase == wfev1.PhaseCompleted {
		return statusCompleted
	}
	if phase == wfev1.PhaseCancelled {
		return statusCancelled
	}
	return statusFailed
}

// stepStatus returns the label value of the phase of a step that was executed.
func stepStatus(phase wfev1.StepPhase) string {
	if phase == wfev1.StepCompleted {
		return statusCompleted
	}
	return statusFailed
}

// rollbackStatus returns the label value of the end of a rollback; it is failed unless the status records success.
func rollbackStatus(status *wfev1.WorkflowExecutionStatus) string {
	if meta.IsStatusConditionTrue(status.Conditions, wfev1.ConditionRolledBack) {
		return statusCompleted
	}
	return statusFailed
}
