package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// The exit codes of an action. The controller stops retrying at ExitNever.
const (
	// ExitDone means that the effect was reached.
	ExitDone = 0
	// ExitRetry means that the action failed and another attempt may succeed.
	ExitRetry = 1
	// ExitNever means that no attempt can succeed: not found, forbidden or invalid.
	ExitNever = 64
	// ExitStopped means that a signal stopped the action before its effect was reached.
	ExitStopped = 143
)

// maxMessageBytes bounds the termination message, which Argo copies into the status of the node.
const maxMessageBytes = 1024

// Failure is an error with a reason and an exit code.
type Failure struct {
	// Reason is one of the API's failure reasons.
	Reason wfev1.FailureReason
	// Message describes what happened and what to do next.
	Message string
	// Code is the exit code.
	Code int
	// Err is the cause, or nil.
	Err error
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Invalid returns the failure of a step whose parameters can never work.
func Invalid(format string, args ...any) *Failure {
	return newFailure(wfev1.ReasonInvalidSpec, ExitNever, format, args...)
}

// Impossible returns the failure of a step whose parameters are valid, but that no retry can help.
func Impossible(format string, args ...any) *Failure {
	return newFailure(wfev1.ReasonActionFailed, ExitNever, format, args...)
}

// Failed returns the failure of a step that a retry may help.
func Failed(format string, args ...any) *Failure {
	return newFailure(wfev1.ReasonActionFailed, ExitRetry, format, args...)
}

// TimedOut returns the failure of a step that did not reach its effect within wait-seconds.
func TimedOut(format string, args ...any) *Failure {
	return newFailure(wfev1.ReasonDeadlineExceeded, ExitRetry, format, args...)
}

func newFailure(reason wfev1.FailureReason, code int, format string, args ...any) *Failure {
	err := fmt.Errorf(format, args...)
	return &Failure{Reason: reason, Message: err.Error(), Code: code, Err: errors.Unwrap(err)}
}

// Stopped returns the failure of a step that a signal has stopped.
func Stopped(format string, args ...any) *Failure {
	return newFailure(wfev1.ReasonActionFailed, ExitStopped, format, args...)
}

// IsPermanent reports whether no retry can help.
func IsPermanent(err error) bool {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure.Code == ExitNever
	}
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsInvalid(err) ||
		apierrors.IsBadRequest(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// explain converts any error of an action to a failure.
func explain(ctx context.Context, action Action, err error) *Failure {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure
	}
	switch {
	case apierrors.IsForbidden(err):
		message := err.Error()
		if strings.Contains(message, " cannot ") {
			// The authorizer's message contains "cannot". Admission plugins use the same code, and no role changes their answer.
			message += "; bind ClusterRole " + RoleName(action.Name) + " to the step's service account with a " + action.Binding()
		}
		return &Failure{Reason: wfev1.ReasonForbidden, Code: ExitNever, Err: err, Message: message}
	case apierrors.IsNotFound(err):
		return &Failure{Reason: wfev1.ReasonActionFailed, Code: ExitNever, Err: err, Message: err.Error() + "; check the name and the namespace"}
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return &Failure{Reason: wfev1.ReasonInvalidSpec, Code: ExitNever, Err: err, Message: err.Error()}
	case ctx.Err() != nil:
		return &Failure{
			Reason: wfev1.ReasonActionFailed, Code: ExitStopped, Err: err,
			Message: "stopped before the effect was reached: the step was cancelled, exceeded its timeout or lost its node",
		}
	case IsPermanent(err):
		return &Failure{Reason: wfev1.ReasonActionFailed, Code: ExitNever, Err: err, Message: err.Error()}
	default:
		return &Failure{Reason: wfev1.ReasonActionFailed, Code: ExitRetry, Err: err, Message: err.Error()}
	}
}

// RoleName returns the name of the ClusterRole that grants exactly what an action needs.
func RoleName(action string) string { return "workflowexecution-action-" + action }

// AggregationLabel returns the label that adds the rules of a ClusterRole to the role of an aggregated action.
func AggregationLabel(action string) string {
	return "workflowexecution.kubernaut.io/aggregate-to-" + action
}

// terminationMessage encodes a failure as the JSON object that the controller reads from a failed container.
func terminationMessage(f *Failure) []byte {
	type message struct {
		Reason  wfev1.FailureReason `json:"reason"`
		Message string              `json:"message"`
	}
	text := f.Message
	for {
		out, err := json.Marshal(message{Reason: f.Reason, Message: text})
		if err != nil || len(out) <= maxMessageBytes {
			return out
		}
		// JSON encodes one byte as up to six. Remove the least that may be enough and try again.
		keep := max(0, len(text)-max(1, (len(out)-maxMessageBytes)/6))
		for keep > 0 && !utf8.RuneStart(text[keep]) {
			keep--
		}
		text = text[:keep]
	}
}
