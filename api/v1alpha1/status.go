package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// WorkflowExecutionStatus is what the controller has observed. Only the controller writes it, so it is atomic for server-side
// apply: managers of each field would double the size of the object and the cost of a write.
type WorkflowExecutionStatus struct {
	// observedGeneration is the generation of the specification that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// phase is the one-word summary of the execution.
	// +optional
	Phase Phase `json:"phase,omitempty"`

	// conditions are the standard conditions: Valid, Admitted, NamespaceReady, EngineAvailable, Reconciling, Stalled,
	// Complete, Failed, RolledBack, NodeStatusUnavailable.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// startTime is when the Workflow was created; unset for an execution that never started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when the execution ended, its rollback included.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// duration is the time from the start to the end of the execution, in whole seconds and written as 1m30s. It is set when
	// the execution has ended.
	// +optional
	Duration *metav1.Duration `json:"duration,omitempty"`

	// approvalWaitSeconds is the time, in whole seconds, that the execution spent waiting for approvals.
	// +optional
	ApprovalWaitSeconds int64 `json:"approvalWaitSeconds,omitempty"`

	// pauseStartTime is when the current wait for an approval, or the current suspension, began; otherwise it is unset.
	// +optional
	PauseStartTime *metav1.Time `json:"pauseStartTime,omitempty"`

	// suspendedSeconds is the time, in whole seconds, that the execution spent suspended.
	// +optional
	SuspendedSeconds int64 `json:"suspendedSeconds,omitempty"`

	// workflowRef names the Argo Workflow; it has the name of the execution.
	// +optional
	WorkflowRef *WorkflowReference `json:"workflowRef,omitempty"`

	// rollbackRef names the Argo Workflow of the rollback; unset if none was created.
	// +optional
	RollbackRef *WorkflowReference `json:"rollbackRef,omitempty"`

	// rollbackStartTime is when the rollback's Workflow was created.
	// +optional
	RollbackStartTime *metav1.Time `json:"rollbackStartTime,omitempty"`

	// url is the address of the Workflow in the Argo UI.
	// +optional
	URL string `json:"url,omitempty"`

	// progress is the number of steps that ended, a slash, and the number of steps.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Progress string `json:"progress,omitempty"`

	// steps are the steps of the specification, in the order in which they may start.
	// +optional
	// +listType=map
	// +listMapKey=name
	Steps []StepStatus `json:"steps,omitempty"`

	// rollbackSteps are the steps of the rollback, in the order in which they may start. Each has the name of the step that
	// it undoes.
	// +optional
	// +listType=map
	// +listMapKey=name
	RollbackSteps []StepStatus `json:"rollbackSteps,omitempty"`

	// executedSteps is the number of steps with an action that completed or failed. It is set when the execution has ended.
	// +optional
	ExecutedSteps *int32 `json:"executedSteps,omitempty"`

	// parallelSteps is the number of steps that completed or failed and ran while another step ran. It is set when the
	// execution has ended.
	// +optional
	ParallelSteps *int32 `json:"parallelSteps,omitempty"`

	// failure is the reason why the execution failed, or will fail when it has ended.
	// +optional
	Failure *Failure `json:"failure,omitempty"`
}

// WorkflowReference names an Argo Workflow in the execution's namespace.
type WorkflowReference struct {
	// name is the Workflow's name.
	Name string `json:"name"`
	// uid is the Workflow's UID.
	UID types.UID `json:"uid"`
}

// StepStatus is the observed state of one step.
type StepStatus struct {
	// name is the step's name in the specification.
	Name string `json:"name"`

	// action is the step's action; empty for an approval.
	// +optional
	Action string `json:"action,omitempty"`

	// phase is the one-word summary of the step.
	// +optional
	Phase StepPhase `json:"phase,omitempty"`

	// reason is the reason why the step failed, or why it cannot start.
	// +optional
	Reason FailureReason `json:"reason,omitempty"`

	// message says what happened and what to do, in at most 1024 bytes.
	// +optional
	Message string `json:"message,omitempty"`

	// startTime is when Argo created the node of the first attempt, before its pod started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when the last attempt ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// attempts is the number of attempts that were made.
	// +optional
	Attempts int32 `json:"attempts,omitempty"`

	// podName is the name of the pod of the last attempt.
	// +optional
	PodName string `json:"podName,omitempty"`

	// outputs are the action's outputs, in the catalog's order.
	// +optional
	// +listType=map
	// +listMapKey=name
	Outputs []Output `json:"outputs,omitempty"`

	// argoPhase is the phase of the step's node in Argo.
	// +optional
	ArgoPhase string `json:"argoPhase,omitempty"`
}

// Output is a value that a step produced.
type Output struct {
	// name is the output's name in the catalog.
	Name string `json:"name"`
	// value is the value that the action reported, in at most 64 KiB.
	Value string `json:"value"`
}

// Failure is the reason why an execution failed.
type Failure struct {
	// step is the name of the step that failed; empty if the failure is not that of a step.
	// +optional
	Step string `json:"step,omitempty"`
	// action is the step's action.
	// +optional
	Action string `json:"action,omitempty"`
	// reason is the cause in one word, from a closed set. It is also a label of the metrics.
	Reason FailureReason `json:"reason"`
	// message says what happened and what to do, in at most 1024 bytes.
	// +optional
	Message string `json:"message,omitempty"`
}

// The rule on the steps compares the progress first: a write of the status cannot change the specification, and comparing the
// steps would double the API server's cost of such a write.

// WorkflowExecution is a remediation: named steps, each an action on the cluster, run as an Argo Workflow.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:selectablefield:JSONPath=".status.phase"
// +kubebuilder:resource:shortName=wfe,categories=remediation
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Progress",type=string,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.target.name`,priority=1
// +kubebuilder:printcolumn:name="Started",type=date,JSONPath=`.status.startTime`,priority=1
// +kubebuilder:printcolumn:name="Duration",type=string,JSONPath=`.status.duration`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.failure.reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 54",message="metadata.name must have at most 54 characters, because the name of the rollback's Workflow is longer"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.endsWith('-rollback')",message="metadata.name must not end in -rollback, which is reserved for the rollback's Workflow"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be a DNS label: lower-case letters, digits and hyphens"
// +kubebuilder:validation:XValidation:rule="has(self.status) && has(self.status.progress) && has(oldSelf.status) && (!has(oldSelf.status.progress) || self.status.progress != oldSelf.status.progress) || self.spec.steps == oldSelf.spec.steps",fieldPath=".spec.steps",message="steps are immutable; create a new WorkflowExecution"
type WorkflowExecution struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the remediation that is asked for; it is immutable, except suspended, cancel and approvals.
	// +required
	Spec WorkflowExecutionSpec `json:"spec"`

	// status is what the controller has observed; observedGeneration is -1 until its first observation.
	// +optional
	// +structType=atomic
	// +kubebuilder:default:={"observedGeneration":-1}
	Status WorkflowExecutionStatus `json:"status,omitempty"`
}

// WorkflowExecutionList is a list of WorkflowExecutions.
//
// +kubebuilder:object:root=true
type WorkflowExecutionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WorkflowExecution `json:"items"`
}
