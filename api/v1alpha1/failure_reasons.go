package v1alpha1

// FailureReason is the reason why a step or an execution failed. The set is closed, because it is also a metric label.
// +kubebuilder:validation:Enum=InvalidSpec;UnknownAction;OOMKilled;DeadlineExceeded;ImagePullBackOff;Forbidden;PodDeleted;ActionFailed;ApprovalRejected;ApprovalTimeout;WorkflowDeleted;WorkflowTooLarge;TimedOut;EngineRefused;NamespaceNotReady;NodeStatusUnavailable;EngineUnavailable;RollbackFailed;Unknown
type FailureReason string

// The reasons of a failure. Conditions use them as their reasons too.
const (
	// ReasonInvalidSpec is the reason when the specification contradicts itself or the catalog.
	ReasonInvalidSpec FailureReason = "InvalidSpec"
	// ReasonUnknownAction is the reason when the catalog has no action of that name.
	ReasonUnknownAction FailureReason = "UnknownAction"
	// ReasonOOMKilled is the reason when the step's container used more memory than its limit.
	ReasonOOMKilled FailureReason = "OOMKilled"
	// ReasonDeadlineExceeded is the reason when an attempt of the step exceeded its timeout.
	ReasonDeadlineExceeded FailureReason = "DeadlineExceeded"
	// ReasonImagePullBackOff is the reason when the image of the step's pod could not be pulled.
	ReasonImagePullBackOff FailureReason = "ImagePullBackOff"
	// ReasonForbidden is the reason when the API server denied a request of the step or of the controller.
	ReasonForbidden FailureReason = "Forbidden"
	// ReasonPodDeleted is the reason when the step's pod was deleted or evicted while it ran.
	ReasonPodDeleted FailureReason = "PodDeleted"
	// ReasonActionFailed is the reason when the action itself reported a failure.
	ReasonActionFailed FailureReason = "ActionFailed"
	// ReasonApprovalRejected is the reason when an approval was decided with approved: false.
	ReasonApprovalRejected FailureReason = "ApprovalRejected"
	// ReasonApprovalTimeout is the reason when an approval was not decided within its timeout.
	ReasonApprovalTimeout FailureReason = "ApprovalTimeout"
	// ReasonWorkflowDeleted is the reason when the Workflow was deleted while the execution ran.
	ReasonWorkflowDeleted FailureReason = "WorkflowDeleted"
	// ReasonWorkflowTooLarge is the reason when the Workflow exceeds the size limit for an object.
	ReasonWorkflowTooLarge FailureReason = "WorkflowTooLarge"
	// ReasonTimedOut is the reason when the execution exceeded its timeout. The condition RolledBack is Unknown with
	// this reason from when the rollback exceeds its timeout until it has ended.
	ReasonTimedOut FailureReason = "TimedOut"
	// ReasonEngineRefused is the reason when the API server or Argo refused the Workflow.
	ReasonEngineRefused FailureReason = "EngineRefused"
	// ReasonNamespaceNotReady is the reason when the namespace lacks what steps need, such as the service account.
	ReasonNamespaceNotReady FailureReason = "NamespaceNotReady"
	// ReasonNodeStatusUnavailable is the reason when the Workflow failed and its nodes cannot be read.
	ReasonNodeStatusUnavailable FailureReason = "NodeStatusUnavailable"
	// ReasonEngineUnavailable is the reason when Argo Workflows is not installed or does not process the Workflow.
	ReasonEngineUnavailable FailureReason = "EngineUnavailable"
	// ReasonRollbackFailed is the reason when a completed step that has a rollback was not undone.
	ReasonRollbackFailed FailureReason = "RollbackFailed"
	// ReasonUnknown is the reason when none of the others is known to apply.
	ReasonUnknown FailureReason = "Unknown"
)

// FailureReasons lists every reason once, so that each can be exposed as a metric before it occurs.
var FailureReasons = []FailureReason{
	ReasonInvalidSpec, ReasonUnknownAction, ReasonOOMKilled, ReasonDeadlineExceeded, ReasonImagePullBackOff,
	ReasonForbidden, ReasonPodDeleted, ReasonActionFailed, ReasonApprovalRejected, ReasonApprovalTimeout,
	ReasonWorkflowDeleted, ReasonWorkflowTooLarge, ReasonTimedOut, ReasonEngineRefused, ReasonNamespaceNotReady,
	ReasonNodeStatusUnavailable, ReasonEngineUnavailable, ReasonRollbackFailed, ReasonUnknown,
}
