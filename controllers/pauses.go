package controllers

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const defaultRollbackTimeout = 600

// pauseBeforeStart keeps the account of the time that an execution is suspended before its start, which does not count as
// waiting.
func pauseBeforeStart(wfe *wfev1.WorkflowExecution, now time.Time) {
	since := wfe.Status.PauseStartTime
	switch {
	case wfe.Spec.Suspended && since == nil:
		wfe.Status.PauseStartTime = wholeSecond(now)
	case !wfe.Spec.Suspended && since != nil:
		wfe.Status.SuspendedSeconds += max(0, int64(now.Sub(since.Time).Seconds()))
		wfe.Status.PauseStartTime = nil
	}
}

// accountPause adds a pause that is over to the account of its kind, and records when one begins.
func accountPause(wfe *wfev1.WorkflowExecution, phase wfev1.Phase, now time.Time) {
	status := &wfe.Status
	if phase == status.Phase {
		return
	}
	if since := status.PauseStartTime; since != nil {
		seconds := max(0, int64(now.Sub(since.Time).Seconds()))
		if status.Phase == wfev1.PhaseAwaitingApproval {
			status.ApprovalWaitSeconds += seconds
		} else {
			status.SuspendedSeconds += seconds
		}
		status.PauseStartTime = nil
	}
	if phase == wfev1.PhaseSuspended || phase == wfev1.PhaseAwaitingApproval {
		status.PauseStartTime = wholeSecond(now)
	}
}

// wholeSecond is a time as the API keeps it.
func wholeSecond(now time.Time) *metav1.Time {
	return ptr.To(metav1.NewTime(now.Truncate(time.Second)))
}

// untilStartDeadline is the time left to an execution that has not started, suspensions excluded; zero or less when the time is
// over.
func (s Settings) untilStartDeadline(wfe *wfev1.WorkflowExecution, now time.Time) time.Duration {
	suspended := time.Duration(wfe.Status.SuspendedSeconds) * time.Second
	if since := wfe.Status.PauseStartTime; since != nil {
		suspended += now.Sub(since.Time)
	}
	return wfe.CreationTimestamp.Add(s.timeout(wfe) + suspended).Sub(now)
}

// untilDeadline is the time left to the execution, pauses excluded; zero or less when the time is over.
func (s Settings) untilDeadline(wfe *wfev1.WorkflowExecution, now time.Time) time.Duration {
	paused := time.Duration(wfe.Status.ApprovalWaitSeconds+wfe.Status.SuspendedSeconds) * time.Second
	if since := wfe.Status.PauseStartTime; since != nil {
		paused += now.Sub(since.Time)
	}
	return wfe.Status.StartTime.Add(s.timeout(wfe) + paused).Sub(now)
}

func untilRollbackDeadline(wfe *wfev1.WorkflowExecution, now time.Time) time.Duration {
	timeout := time.Duration(ptr.Deref(wfe.Spec.RollbackTimeoutSeconds, defaultRollbackTimeout)) * time.Second
	return wfe.Status.RollbackStartTime.Add(timeout).Sub(now)
}

func (s Settings) timedOut(wfe *wfev1.WorkflowExecution) *wfev1.Failure {
	return &wfev1.Failure{
		Reason:  wfev1.ReasonTimedOut,
		Message: fmt.Sprintf("the execution ran longer than its timeout of %s", s.timeout(wfe)),
	}
}

// earliest is the shorter of two waits, where zero means none.
func earliest(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}
