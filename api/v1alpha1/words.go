package v1alpha1

// Phase is the one-word summary of a WorkflowExecution.
// +kubebuilder:validation:Enum=Pending;Running;AwaitingApproval;Suspended;RollingBack;Completed;Failed;Cancelled
type Phase string

// The phases of a WorkflowExecution. Completed, Failed and Cancelled are terminal: an execution never leaves them.
const (
	PhasePending          Phase = "Pending"
	PhaseRunning          Phase = "Running"
	PhaseAwaitingApproval Phase = "AwaitingApproval"
	PhaseSuspended        Phase = "Suspended"
	PhaseRollingBack      Phase = "RollingBack"
	PhaseCompleted        Phase = "Completed"
	PhaseFailed           Phase = "Failed"
	PhaseCancelled        Phase = "Cancelled"
)

// Phases lists every phase, in the order of an execution's life.
var Phases = []Phase{
	PhasePending, PhaseRunning, PhaseAwaitingApproval, PhaseSuspended, PhaseRollingBack,
	PhaseCompleted, PhaseFailed, PhaseCancelled,
}

// IsTerminal reports whether an execution in this phase has ended for good.
func (p Phase) IsTerminal() bool {
	return p == PhaseCompleted || p == PhaseFailed || p == PhaseCancelled
}

// IsLive reports whether an execution in this phase has a Workflow that has not ended.
func (p Phase) IsLive() bool {
	return p == PhaseRunning || p == PhaseAwaitingApproval || p == PhaseSuspended || p == PhaseRollingBack
}

// StepPhase is the one-word summary of a step.
// +kubebuilder:validation:Enum=Pending;Running;AwaitingApproval;Completed;Failed;Skipped;Cancelled
type StepPhase string

// The phases of a step. Completed, Failed, Skipped and Cancelled are terminal.
const (
	StepPending          StepPhase = "Pending"
	StepRunning          StepPhase = "Running"
	StepAwaitingApproval StepPhase = "AwaitingApproval"
	StepCompleted        StepPhase = "Completed"
	StepFailed           StepPhase = "Failed"
	StepSkipped          StepPhase = "Skipped"
	StepCancelled        StepPhase = "Cancelled"
)

// IsTerminal reports whether a step in this phase has ended.
func (p StepPhase) IsTerminal() bool {
	switch p {
	case StepCompleted, StepFailed, StepSkipped, StepCancelled:
		return true
	case StepPending, StepRunning, StepAwaitingApproval:
		return false
	default:
		return false
	}
}

// IsExecuted reports whether the step has an action that completed or failed: neither an approval, nor skipped, nor stopped.
func (s *StepStatus) IsExecuted() bool {
	return s.Action != "" && (s.Phase == StepCompleted || s.Phase == StepFailed)
}

// FailureReason is a word of the closed set that says why a step or an execution failed. It is a metric label.
// +kubebuilder:validation:Enum=InvalidSpec;UnknownAction;OOMKilled;DeadlineExceeded;ImagePullBackOff;Forbidden;PodDeleted;ActionFailed;ApprovalRejected;ApprovalTimeout;WorkflowDeleted;WorkflowTooLarge;TimedOut;EngineRefused;NamespaceNotReady;NodeStatusUnavailable;EngineUnavailable;RollbackFailed;Unknown
type FailureReason string

// The reasons of a failure.
const (
	ReasonInvalidSpec           FailureReason = "InvalidSpec"
	ReasonUnknownAction         FailureReason = "UnknownAction"
	ReasonOOMKilled             FailureReason = "OOMKilled"
	ReasonDeadlineExceeded      FailureReason = "DeadlineExceeded"
	ReasonImagePullBackOff      FailureReason = "ImagePullBackOff"
	ReasonForbidden             FailureReason = "Forbidden"
	ReasonPodDeleted            FailureReason = "PodDeleted"
	ReasonActionFailed          FailureReason = "ActionFailed"
	ReasonApprovalRejected      FailureReason = "ApprovalRejected"
	ReasonApprovalTimeout       FailureReason = "ApprovalTimeout"
	ReasonWorkflowDeleted       FailureReason = "WorkflowDeleted"
	ReasonWorkflowTooLarge      FailureReason = "WorkflowTooLarge"
	ReasonTimedOut              FailureReason = "TimedOut"
	ReasonEngineRefused         FailureReason = "EngineRefused"
	ReasonNamespaceNotReady     FailureReason = "NamespaceNotReady"
	ReasonNodeStatusUnavailable FailureReason = "NodeStatusUnavailable"
	ReasonEngineUnavailable     FailureReason = "EngineUnavailable"
	ReasonRollbackFailed        FailureReason = "RollbackFailed"
	ReasonUnknown               FailureReason = "Unknown"
)

// FailureReasons lists every reason once, so that each can be exposed as a metric before it happens.
var FailureReasons = []FailureReason{
	ReasonInvalidSpec, ReasonUnknownAction, ReasonOOMKilled, ReasonDeadlineExceeded, ReasonImagePullBackOff,
	ReasonForbidden, ReasonPodDeleted, ReasonActionFailed, ReasonApprovalRejected, ReasonApprovalTimeout,
	ReasonWorkflowDeleted, ReasonWorkflowTooLarge, ReasonTimedOut, ReasonEngineRefused, ReasonNamespaceNotReady,
	ReasonNodeStatusUnavailable, ReasonEngineUnavailable, ReasonRollbackFailed, ReasonUnknown,
}

// The types of the conditions in a WorkflowExecution's status.
const (
	// ConditionValid says whether the specification was accepted against the catalog.
	ConditionValid = "Valid"
	// ConditionAdmitted says whether the execution holds the lock on its target, and its namespace has room for one more.
	ConditionAdmitted = "Admitted"
	// ConditionNamespaceReady says whether the namespace has what Argo needs to run steps in it.
	ConditionNamespaceReady = "NamespaceReady"
	// ConditionEngineAvailable says whether Argo Workflows answers for its resources.
	ConditionEngineAvailable = "EngineAvailable"
	// ConditionReconciling is True while the execution is on its way (kstatus: InProgress).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when the execution failed (kstatus: Failed).
	ConditionStalled = "Stalled"
	// ConditionComplete is True when the execution ended in phase Completed.
	ConditionComplete = "Complete"
	// ConditionFailed is True when the execution ended in phase Failed.
	ConditionFailed = "Failed"
	// ConditionRolledBack says how the rollback ended, once there was one.
	ConditionRolledBack = "RolledBack"
	// ConditionNodeStatusUnavailable is True when Argo keeps the nodes out of the Workflow object.
	ConditionNodeStatusUnavailable = "NodeStatusUnavailable"
)

// Names on the objects that the controller makes or reads. All share the API group as their prefix.
const (
	// LabelName is on every Workflow that the controller creates; its value is the WorkflowExecution's name.
	LabelName = "workflowexecution.kubernaut.io/name"
	// LabelRole tells the main Workflow from the rollback.
	LabelRole = "workflowexecution.kubernaut.io/role"
	// LabelDryRun is on the Workflows of dry runs, with the value "true".
	LabelDryRun = "workflowexecution.kubernaut.io/dry-run"
	// LabelObserved is on a Workflow that has ended and whose end has been recorded, with the value "true": the controller
	// looks at it no more, and keeps it out of its memory.
	LabelObserved = "workflowexecution.kubernaut.io/observed"
	// LabelRetryOf is on an execution that kubectl wfe retry made; its value is the name of the one that it continues.
	LabelRetryOf = "workflowexecution.kubernaut.io/retry-of"
	// LabelAction makes an Argo template an action of the catalog; its value is the action's name.
	LabelAction = "workflowexecution.kubernaut.io/action"
	// AnnotationBase64Parameters lists, separated by commas, the parameters of an action that may hold any bytes:
	// the translator encodes their values and the action decodes them.
	AnnotationBase64Parameters = "workflowexecution.kubernaut.io/base64-parameters"
	// AnnotationBase64Outputs lists, separated by commas, the outputs that an action encodes.
	AnnotationBase64Outputs = "workflowexecution.kubernaut.io/base64-outputs"
	// FinalizerObserved keeps a Workflow until its end has been recorded in the WorkflowExecution's status.
	FinalizerObserved = "workflowexecution.kubernaut.io/observed"
	// RollbackSuffix ends the name of the rollback Workflow, and so must not end a WorkflowExecution's name.
	RollbackSuffix = "-rollback"
)

// The values of LabelRole.
const (
	RoleMain     = "main"
	RoleRollback = "rollback"
)
