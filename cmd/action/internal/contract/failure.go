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
	// ExitDone says that the effect is true.
	ExitDone = 0
	// ExitRetry says that the action failed and another attempt may help.
	ExitRetry = 1
	// ExitNever says that no attempt will ever work: not found, forbidden or invalid.
	ExitNever = 64
	// ExitStopped says that the action was told to stop before its effect was true.
	ExitStopped = 143
)

// maxMessageBytes bounds the termination message, which Argo copies into the status of the node.
const maxMessageBytes = 1024

// Failure is an error that knows its reason and its exit code.
type Failure struct {
	// Reason is one of the words of the API's closed set.
	Reason wfev1.FailureReason
	// Message says what happened and what to do about it.
	Message string
	// Code is the exit code.
	Code int
	// Err is the cause, if there is one.
	Err error
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Invalid is the failure of a step whose parameters can never work.
func Invalid(format string, args ...any) *Failure {
	return newFailure(wfev1.ReasonInvalidSpec, ExitNever, format, args...)
}

// Impossible is the failure of a step that no retry can help, although its parameters are well formed.
func Impossible(format string, args ...any) *Failure {
	return newFailure(wfev1.ReasonActionFailed, ExitNever, format, args...)
}

// Failed is the failure of a step that a retry may help.
func Failed(format string, args ...any) *Failure {
	return newFailure(wfev1.ReasonActionFailed, ExitRetry, format, args...)
}

// TimedOut is the failure of a step whose effect did not become true within its own bound.
func TimedOut(format string, args ...any) *Failure {
	return newFailure(wfev1.ReasonDeadlineExceeded, ExitRetry, format, args...)
}

func newFailure(reason wfev1.FailureReason, code int, format string, args ...any) *Failure {
	err := fmt.Errorf(format, args...)
	return &Failure{Reason: reason, Message: err.Error(), Code: code, Err: errors.Unwrap(err)}
}

// IsPermanent reports whether no retry can help against an error.
func IsPermanent(err error) bool {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure.Code == ExitNever
	}
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsInvalid(err) ||
		apierrors.IsBadRequest(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// explain turns any error of an action into a failure.
func explain(ctx context.Context, action string, err error) *Failure {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure
	}
	switch {
	case apierrors.IsForbidden(err):
		message := err.Error()
		if strings.Contains(message, " cannot ") {
			// Missing permissions are told so; admission refuses with the same code, and no role helps against that.
			message += "; bind ClusterRole " + RoleName(action) + " to the step's service account"
		}
		return &Failure{Reason: wfev1.ReasonForbidden, Code: ExitNever, Err: err, Message: message}
	case apierrors.IsNotFound(err):
		return &Failure{Reason: wfev1.ReasonActionFailed, Code: ExitNever, Err: err, Message: err.Error() + "; check the name and the namespace"}
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return &Failure{Reason: wfev1.ReasonInvalidSpec, Code: ExitNever, Err: err, Message: err.Error()}
	case ctx.Err() != nil:
		return &Failure{
			Reason: wfev1.ReasonActionFailed, Code: ExitStopped, Err: err,
			Message: "stopped before the effect was true: the step was cancelled, ran into its timeout or lost its node",
		}
	case IsPermanent(err):
		return &Failure{Reason: wfev1.ReasonActionFailed, Code: ExitNever, Err: err, Message: err.Error()}
	default:
		return &Failure{Reason: wfev1.ReasonActionFailed, Code: ExitRetry, Err: err, Message: err.Error()}
	}
}

// RoleName is the name of the ClusterRole that holds exactly what an action needs.
func RoleName(action string) string { return "workflowexecution-action-" + action }

// AggregationLabel is the label that adds the rules of a ClusterRole to the role of an action that has none of its own.
func AggregationLabel(action string) string {
	return "workflowexecution.kubernaut.io/aggregate-to-" + action
}

// terminationMessage is the one object that the controller reads from a failed step's container.
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
		// JSON makes up to six bytes of one: take away the least that can help, and look again.
		keep := max(0, len(text)-max(1, (len(out)-maxMessageBytes)/6))
		for keep > 0 && !utf8.RuneStart(text[keep]) {
			keep--
		}
		text = text[:keep]
	}
}
