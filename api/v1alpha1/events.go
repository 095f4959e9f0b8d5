package v1alpha1

// The reasons of the controller's Events, beside phases and failure reasons: an Event for a new phase has the phase as its
// reason, or for a failed execution the failure's reason.
const (
	// EventStepFailed is the reason of the Event for each step that failed.
	EventStepFailed = "StepFailed"
	// EventCancelIgnored is the reason of the Event for a spec.cancel that has no effect any more.
	EventCancelIgnored = "CancelIgnored"
	// EventDecisionRefused is the reason of the Event when the Argo server does not let the controller write a decision on
	// an approval.
	EventDecisionRefused = "DecisionRefused"
	// EventBrokenAction is the reason of the Event on a template that is labelled as an action and is not a valid one.
	EventBrokenAction = "BrokenAction"
)
