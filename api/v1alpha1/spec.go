package v1alpha1

// CancelMode is how a user ends an execution early.
// +kubebuilder:validation:Enum="";Stop;Terminate
// +kubebuilder:validation:MaxLength=16
type CancelMode string

// The ways to cancel an execution.
const (
	// CancelNone lets the execution run.
	CancelNone CancelMode = ""
	// CancelStop stops the running steps and rolls back the completed ones.
	CancelStop CancelMode = "Stop"
	// CancelTerminate stops the running steps and rolls nothing back.
	CancelTerminate CancelMode = "Terminate"
)

// RollbackPolicy is whether completed steps are rolled back after a failure.
// +kubebuilder:validation:Enum=Automatic;None
// +kubebuilder:validation:MaxLength=16
type RollbackPolicy string

// The rollback policies.
const (
	// RollbackAutomatic rolls the completed steps back.
	RollbackAutomatic RollbackPolicy = "Automatic"
	// RollbackNone rolls nothing back.
	RollbackNone RollbackPolicy = "None"
)

// Operator is the comparison of a step's condition.
// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
type Operator string

// The operators of a step's condition.
const (
	OperatorIn           Operator = "In"
	OperatorNotIn        Operator = "NotIn"
	OperatorExists       Operator = "Exists"
	OperatorDoesNotExist Operator = "DoesNotExist"
)

// The rules on steps belong to the specification and apply at creation only, since steps are immutable. A rule of each step or
// parameter would be evaluated for all of them at each write of the status.

// WorkflowExecutionSpec is the remediation that a user asks for. It is immutable, except suspended, cancel and approvals.
//
// +kubebuilder:validation:XValidation:rule="self.target == oldSelf.target",message="target is immutable"
// +kubebuilder:validation:XValidation:rule="has(self.serviceAccountName) == has(oldSelf.serviceAccountName) && (!has(self.serviceAccountName) || self.serviceAccountName == oldSelf.serviceAccountName)",message="serviceAccountName is immutable"
// +kubebuilder:validation:XValidation:rule="self.?timeoutSeconds == oldSelf.?timeoutSeconds",message="timeoutSeconds is immutable"
// +kubebuilder:validation:XValidation:rule="self.?parallelism == oldSelf.?parallelism",message="parallelism is immutable"
// +kubebuilder:validation:XValidation:rule="has(self.rollbackPolicy) == has(oldSelf.rollbackPolicy) && (!has(self.rollbackPolicy) || self.rollbackPolicy == oldSelf.rollbackPolicy)",message="rollbackPolicy is immutable"
// +kubebuilder:validation:XValidation:rule="self.?rollbackTimeoutSeconds == oldSelf.?rollbackTimeoutSeconds",message="rollbackTimeoutSeconds is immutable"
// +kubebuilder:validation:XValidation:rule="self.?dryRun == oldSelf.?dryRun",message="dryRun is immutable"
// +kubebuilder:validation:XValidation:rule="self.?ttlSecondsAfterFinished == oldSelf.?ttlSecondsAfterFinished",message="ttlSecondsAfterFinished is immutable"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.cancel) || size(oldSelf.cancel) == 0 || (has(self.cancel) && (self.cancel == oldSelf.cancel || self.cancel == 'Terminate'))",message="cancel cannot be taken back: it changes from empty to Stop or Terminate, and from Stop to Terminate"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.approvals) || (has(self.approvals) && oldSelf.approvals.all(o, self.approvals.exists(n, n.step == o.step)))",message="an approval cannot be removed"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || self.steps.all(s, has(s.action) != has(s.approval))",optionalOldSelf=true,fieldPath=".steps",messageExpression=`'step "' + self.steps[self.steps.map(s, has(s.action) != has(s.approval)).indexOf(false)].name + '": approval: a step has either an action or an approval'`
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || self.steps.all(s, !has(s.parameters) || s.parameters.all(p, has(p.value) != has(p.valueFrom)))",optionalOldSelf=true,fieldPath=".steps",messageExpression=`'step "' + self.steps[self.steps.map(s, !has(s.parameters) || s.parameters.all(p, has(p.value) != has(p.valueFrom))).indexOf(false)].name + '": parameters: a parameter has either a value or a valueFrom'`
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || self.steps.all(s, !has(s.rollback) || !has(s.rollback.parameters) || s.rollback.parameters.all(p, has(p.value) != has(p.valueFrom)))",optionalOldSelf=true,fieldPath=".steps",messageExpression=`'step "' + self.steps[self.steps.map(s, !has(s.rollback) || !has(s.rollback.parameters) || s.rollback.parameters.all(p, has(p.value) != has(p.valueFrom))).indexOf(false)].name + '": rollback.parameters: a parameter has either a value or a valueFrom'`
type WorkflowExecutionSpec struct {
	// target is the object to remediate. It is also the key of a lock: executions with the same target run one after
	// another. If the target has no namespace, this holds across all namespaces. The lock is held until the pods of the
	// execution have stopped, also if the execution is deleted while it runs. The API server must serve the kind.
	// +required
	Target Target `json:"target"`

	// serviceAccountName is the service account of the steps' pods, in the execution's namespace.
	// Default: the value of the controller's flag --default-service-account.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// timeoutSeconds bounds the whole execution, in seconds from its start. Time spent waiting for approvals or suspended
	// does not count. Until the execution starts, the seconds count from its creation.
	// Default: the value of the controller's flag --default-timeout.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`

	// parallelism is the maximum number of steps that run at the same time. Default: limited by the dependencies only.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=500
	Parallelism *int32 `json:"parallelism,omitempty"`

	// rollbackPolicy decides whether the rollback actions of completed steps run, in reverse order, after a critical step
	// failed, or the execution timed out or was stopped. Default: Automatic.
	// +optional
	// +kubebuilder:default=Automatic
	RollbackPolicy RollbackPolicy `json:"rollbackPolicy,omitempty"`

	// rollbackTimeoutSeconds bounds the rollback, in seconds from its start. Default: 600.
	// +optional
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	RollbackTimeoutSeconds *int32 `json:"rollbackTimeoutSeconds,omitempty"`

	// dryRun makes every action use the API server's dry run: the action reports what it would do and changes nothing.
	// Default: false.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`

	// ttlSecondsAfterFinished is how long, in seconds, the execution is kept after its end; then the controller deletes it
	// and its Workflows. Default: the controller does not delete it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`

	// suspended pauses the execution before its next step; running steps finish. It can be changed at any time.
	// Default: false.
	// +optional
	Suspended bool `json:"suspended,omitempty"`

	// cancel ends the execution early: Stop stops the running steps and rolls the completed ones back, Terminate stops the
	// running steps without a rollback. It can be set at any time and cannot be taken back. Default: empty.
	// +optional
	Cancel CancelMode `json:"cancel,omitempty"`

	// approvals are the decisions on approval steps, at most one for each step and 100 in all. A decision can be added at any
	// time and cannot be changed afterwards.
	// +optional
	// +listType=map
	// +listMapKey=step
	// +kubebuilder:validation:MaxItems=100
	Approvals []Approval `json:"approvals,omitempty"`

	// steps are the work to do: 1 to 500 steps, ordered by their dependencies.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	Steps []Step `json:"steps"`
}

// Target names the object to remediate.
type Target struct {
	// apiVersion is the target's group and version, for example apps/v1.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?v[0-9a-z]+$`
	APIVersion string `json:"apiVersion"`

	// kind is the target's kind, for example Deployment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9]*$`
	Kind string `json:"kind"`

	// name is the target's name; a namespaced target is in the execution's namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.:a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
}

// Approval is a decision on an approval step.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a decision cannot be changed"
type Approval struct {
	// step is the name of the approval step.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Step string `json:"step"`

	// approved is true to continue the execution and false to fail it.
	// +required
	Approved bool `json:"approved"`

	// by is the name of the user who decided.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by,omitempty"`

	// reason explains the decision, for the record.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
}

// +structType=atomic

// Step is one unit of work: an action on the cluster, or an approval to wait for. It is atomic for server-side apply: its
// fields have no managers of their own.
type Step struct {
	// name identifies the step in the execution. The task in Argo has the same name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// action is the name of an action of the catalog. Exactly one of action and approval is set.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	Action string `json:"action,omitempty"`

	// approval makes the step wait for a decision in spec.approvals.
	// +optional
	Approval *ApprovalRequest `json:"approval,omitempty"`

	// parameters are the values for the action's parameters. The catalog defines the parameters of each action, and which of
	// them are required.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Parameters []Parameter `json:"parameters,omitempty"`

	// dependsOn names the steps that must succeed before this one starts. A skipped step counts as succeeded, and so does a
	// failed step that is not critical.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MaxLength=40
	DependsOn []string `json:"dependsOn,omitempty"`

	// when is a condition on an ancestor. If it does not hold, the step is skipped and the steps that depend on it run.
	// +optional
	When *When `json:"when,omitempty"`

	// timeoutSeconds bounds each attempt of the step, in seconds, including the time until its pod starts.
	// Default: the action's own timeout; without one, only the execution's timeout applies.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`

	// retry repeats the step after a failure. Default: no retry.
	// +optional
	Retry *Retry `json:"retry,omitempty"`

	// critical is false for a step whose failure does not fail the execution: the steps that depend on it still run.
	// Default: true.
	// +optional
	// +kubebuilder:default=true
	Critical *bool `json:"critical,omitempty"`

	// rollback undoes the step when a later critical step fails.
	// +optional
	Rollback *Rollback `json:"rollback,omitempty"`
}

// IsCritical reports whether the step's failure fails the execution. Unset means true.
func (s *Step) IsCritical() bool { return s.Critical == nil || *s.Critical }

// ApprovalRequest asks for a decision before the execution continues.
type ApprovalRequest struct {
	// message is the question to decide; it is shown in the Argo UI.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// timeoutSeconds is how long, in seconds, the step waits for the decision; then it fails with ApprovalTimeout.
	// Default: no limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2592000
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`
}

// Parameter is a named value for an action.
type Parameter struct {
	// name is the parameter's name in the catalog.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// value is the parameter's value, at most 64 KiB. The sequences "{{", "$(" and "$$" are not allowed, unless the catalog
	// declares the parameter as base64.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Value *string `json:"value,omitempty"`

	// valueFrom takes the value from an output of a step that this one depends on, directly or indirectly.
	// +optional
	ValueFrom *OutputReference `json:"valueFrom,omitempty"`
}

// OutputReference names an output of a step.
type OutputReference struct {
	// step is the name of the step that has the output.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Step string `json:"step"`

	// output is the output's name in the catalog.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Output string `json:"output"`
}

// When is a condition on an ancestor's output or, without an output, on the ancestor's phase.
type When struct {
	// step is the name of the ancestor.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Step string `json:"step"`

	// output is the name of the ancestor's output. Default: the condition is on the ancestor's phase.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Output string `json:"output,omitempty"`

	// operator compares: In and NotIn compare with values; Exists and DoesNotExist test whether the output is not empty.
	// +required
	Operator Operator `json:"operator"`

	// values are the values that In and NotIn compare with.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	Values []string `json:"values,omitempty"`
}

// Retry is how often, and after which pauses, a failed step is repeated.
type Retry struct {
	// limit is the maximum number of repetitions: limit 3 means at most four attempts.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	Limit int32 `json:"limit"`

	// backoffSeconds is the pause before the first repetition, in seconds. Default: 5.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	BackoffSeconds *int32 `json:"backoffSeconds,omitempty"`

	// backoffFactor multiplies the pause after each repetition. Default: 2.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	BackoffFactor *int32 `json:"backoffFactor,omitempty"`

	// maxBackoffSeconds bounds the pause, in seconds. Default: 300.
	// +optional
	// +kubebuilder:default=300
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	MaxBackoffSeconds *int32 `json:"maxBackoffSeconds,omitempty"`
}

// Rollback is the action that undoes a completed step.
type Rollback struct {
	// action is the name of an action of the catalog.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	Action string `json:"action"`

	// parameters are the values for the action's parameters; valueFrom can name the step itself or one of its ancestors.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Parameters []Parameter `json:"parameters,omitempty"`

	// timeoutSeconds bounds each attempt, in seconds.
	// Default: the action's own timeout; without one, only the rollback's timeout applies.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`

	// retry repeats the rollback action after a failure. Default: no retry.
	// +optional
	Retry *Retry `json:"retry,omitempty"`

	// critical is false for a rollback action whose failure does not fail the rollback. Default: true.
	// +optional
	// +kubebuilder:default=true
	Critical *bool `json:"critical,omitempty"`

	// includeFailed makes the action run also if the step failed or was stopped. Default: false.
	// +optional
	IncludeFailed bool `json:"includeFailed,omitempty"`
}
