package metrics

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// maxClockSkew is how far the clock of another machine may be ahead before its times count as future.
const maxClockSkew = 10 * time.Second

// ExecutedSteps returns the number of steps that were executed: those with an action that completed or failed.
func ExecutedSteps(status *wfev1.WorkflowExecutionStatus) int {
	executed := 0
	for i := range status.Steps {
		if status.Steps[i].IsExecuted() {
			executed++
		}
	}
	return executed
}

// ParallelSteps returns the number of executed steps that overlapped another one, 0 if the status does not record it. It
// is at most ExecutedSteps, so that the ratio of the two is between 0 and 1.
func ParallelSteps(status *wfev1.WorkflowExecutionStatus) int {
	if status.ParallelSteps == nil {
		return 0
	}
	return min(max(int(*status.ParallelSteps), 0), ExecutedSteps(status))
}

// movedSteps returns the steps of is for which moved holds between their phase in was and in is; a new step has no phase
// in was.
func movedSteps(was, is []wfev1.StepStatus, moved func(from, to wfev1.StepPhase) bool) []*wfev1.StepStatus {
	from := make(map[string]wfev1.StepPhase, len(was))
	for i := range was {
		from[was[i].Name] = was[i].Phase
	}
	var steps []*wfev1.StepStatus
	for i := range is {
		if moved(from[is[i].Name], is[i].Phase) {
			steps = append(steps, &is[i])
		}
	}
	return steps
}

// hasEnded reports whether a step moved into a terminal phase.
func hasEnded(from, to wfev1.StepPhase) bool { return to.IsTerminal() && !from.IsTerminal() }

// hasBegun reports whether a step moved from waiting for its pod to running.
func hasBegun(from, to wfev1.StepPhase) bool {
	return from == wfev1.StepPending && to == wfev1.StepRunning
}

// failureReason returns the reason of a failed execution as a member of the closed set.
func failureReason(status *wfev1.WorkflowExecutionStatus) string {
	if status.Failure != nil && slices.Contains(wfev1.FailureReasons, status.Failure.Reason) {
		return string(status.Failure.Reason)
	}
	return string(wfev1.ReasonUnknown)
}

// executionTimes returns the working time of an ended execution, without approvals and pauses, and the time that it awaited
// approvals. Both are 0 if they are unknown: the execution never started, its times are impossible, or it waited longer than
// it lived.
func executionTimes(status *wfev1.WorkflowExecutionStatus, now time.Time) (working, waiting time.Duration) {
	total, ok := elapsed(status.StartTime, status.CompletionTime, now)
	if !ok {
		return 0, 0
	}
	waiting, ok = seconds(status.ApprovalWaitSeconds, total)
	if !ok {
		return 0, 0
	}
	suspended, ok := seconds(status.SuspendedSeconds, total-waiting)
	if !ok {
		return 0, 0
	}
	return total - waiting - suspended, waiting
}

// pendingReason returns the reason why a pending execution waits, as a member of the closed set: that of the condition
// Admitted if it is False, and otherwise that of Reconciling.
func pendingReason(status *wfev1.WorkflowExecutionStatus) string {
	condition := meta.FindStatusCondition(status.Conditions, wfev1.ConditionAdmitted)
	if condition == nil || condition.Status != metav1.ConditionFalse {
		condition = meta.FindStatusCondition(status.Conditions, wfev1.ConditionReconciling)
	}
	if condition == nil || !slices.Contains(pendingReasons, condition.Reason) {
		return pendingOther
	}
	return condition.Reason
}

// elapsed returns the time from start to end, and false unless both are set, in the past, and in this order. Equal times
// give false too: the API stores whole seconds, so they carry no information about the duration.
func elapsed(start, end *metav1.Time, now time.Time) (time.Duration, bool) {
	if !isPast(start, now) || !isPast(end, now) || !end.After(start.Time) {
		return 0, false
	}
	return end.Sub(start.Time), true
}

// isPast reports whether t is after the epoch and not in the future, with a tolerance of maxClockSkew.
func isPast(t *metav1.Time, now time.Time) bool {
	return t != nil && t.Unix() > 0 && !t.After(now.Add(maxClockSkew))
}

// seconds returns a number of seconds as a duration, and false if it is negative or exceeds the limit.
func seconds(n int64, limit time.Duration) (time.Duration, bool) {
	// Compared in seconds, because a forged number can overflow a duration.
	if n < 0 || n > int64(limit/time.Second) {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}

// effectiveStart returns the start of an execution plus its pauses, so that the time since then is its working time; false
// if the start is unset or in the future. A pause that does not fit between the start and now is ignored.
func effectiveStart(status *wfev1.WorkflowExecutionStatus, now time.Time) (time.Time, bool) {
	if !isPast(status.StartTime, now) {
		return time.Time{}, false
	}
	start := status.StartTime.Time
	for _, paused := range []int64{status.ApprovalWaitSeconds, status.SuspendedSeconds} {
		if pause, ok := seconds(paused, now.Sub(start)); ok {
			start = start.Add(pause)
		}
	}
	return start, true
}
