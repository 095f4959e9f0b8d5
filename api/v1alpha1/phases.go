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

// Phases lists every phase, in the order in which an execution passes through them.
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

// IsExecuted reports whether the step has an action that completed or failed: it is no approval, and it was neither
// skipped nor stopped.
func (s *StepStatus) IsExecuted() bool {
	return s.Action != "" && (s.Phase == StepCompleted || s.Phase == StepFailed)
}
