package metrics

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// maxClockSkew is how far another machine's clock may be ahead of ours before its times count as future.
const maxClockSkew = 10 * time.Second

// ExecutedSteps returns how many steps of the status were executed: those with an action that completed or failed.
func ExecutedSteps(status *wfev1.WorkflowExecutionStatus) int {
	executed := 0
	for i := range status.Steps {
		if status.Steps[i].IsExecuted() {
			executed++
		}
	}
	return executed
}

// ParallelSteps returns how many of the executed steps ran while another one ran, as far as the status knows: 0 where
// it does not, and never more than were executed, so that the ratio of the two is between 0 and 1.
func ParallelSteps(status *wfev1.WorkflowExecutionStatus) int {
	if status.ParallelSteps == nil {
		return 0
	}
	return min(max(int(*status.ParallelSteps), 0), ExecutedSteps(status))
}

// movedSteps returns the steps of is whose phase moved, from what it was in was; it was unset for a step that was new.
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

// hasBegun reports whether a step that waited for its pod was seen running.
func hasBegun(from, to wfev1.StepPhase) bool {
	return from == wfev1.StepPending && to == wfev1.StepRunning
}

// failureReason returns the reason of a failed execution as a word of the closed set.
func failureReason(status *wfev1.WorkflowExecutionStatus) string {
	if status.Failure != nil && slices.Contains(wfev1.FailureReasons, status.Failure.Reason) {
		return string(status.Failure.Reason)
	}
	return string(wfev1.ReasonUnknown)
}

// executionTimes returns how long an ended execution worked and how long it waited for approvals. Each is 0 where it is
// unknown: when the execution never started, when its times cannot be right, or when it waited longer than it lived.
func executionTimes(status *wfev1.WorkflowExecutionStatus, now time.Time) (working, waiting time.Duration) {
	total, ok := elapsed(status.StartTime, status.CompletionTime, now)
	if !ok {
		return 0, 0
	}
	waiting, ok = seconds(status.ApprovalWaitSeconds, total)
	if !ok {
		return 0, 0
	}
	return total - waiting, waiting
}

// elapsed returns the time from start to end, and false unless both are set, in the past, and in this order. Equal
// times are refused with the rest: the API keeps whole seconds, so that they say nothing about the duration.
func elapsed(start, end *metav1.Time, now time.Time) (time.Duration, bool) {
	if !isPast(start, now) || !isPast(end, now) || !end.After(start.Time) {
		return 0, false
	}
	return end.Sub(start.Time), true
}

// isPast reports whether t is a time after the epoch and not in the future, give or take maxClockSkew.
func isPast(t *metav1.Time, now time.Time) bool {
	return t != nil && t.Unix() > 0 && !t.After(now.Add(maxClockSkew))
}

// seconds returns a number of seconds as a duration, and false when it is negative or more than the limit.
func seconds(n int64, limit time.Duration) (time.Duration, bool) {
	// Compared as seconds, because a made-up number can be too large for a duration.
	if n < 0 || n > int64(limit/time.Second) {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}

// effectiveStart returns when an execution would have started if it had never been paused, so that the time since then
// is the time it has been working; false when the start is unset or in the future. A pause that does not fit between
// the start and now is not believed and left out.
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
