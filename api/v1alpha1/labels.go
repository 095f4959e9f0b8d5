package v1alpha1

// Labels, annotations and the finalizer on the objects that the controller creates or reads. The API group is their
// prefix.
const (
	// LabelName is on every Workflow that the controller creates; its value is the WorkflowExecution's name.
	LabelName = "workflowexecution.kubernaut.io/name"
	// LabelRole distinguishes the main Workflow from the rollback; its value is RoleMain or RoleRollback.
	LabelRole = "workflowexecution.kubernaut.io/role"
	// LabelDryRun is on the Workflows of dry runs, with the value "true".
	LabelDryRun = "workflowexecution.kubernaut.io/dry-run"
	// LabelObserved is on a Workflow that has ended and whose end has been recorded, with the value "true". The controller
	// does not read such a Workflow again, and does not cache it.
	LabelObserved = "workflowexecution.kubernaut.io/observed"
	// LabelRetryOf is on an execution that kubectl wfe retry created; its value is the name of the execution that it
	// continues.
	LabelRetryOf = "workflowexecution.kubernaut.io/retry-of"
	// LabelAction makes an Argo template an action of the catalog; its value is the action's name.
	LabelAction = "workflowexecution.kubernaut.io/action"
	// AnnotationBase64Parameters lists, separated by commas, the parameters of an action that may have any value: the
	// translator encodes the values as base64, and the action decodes them.
	AnnotationBase64Parameters = "workflowexecution.kubernaut.io/base64-parameters"
	// AnnotationBase64Outputs lists, separated by commas, the outputs that an action encodes as base64.
	AnnotationBase64Outputs = "workflowexecution.kubernaut.io/base64-outputs"
	// AnnotationTarget is on the Workflows of an execution that locks its target; its value is the target's group, kind and name,
	// separated by slashes. The Workflow holds the lock until it is released, also when its execution no longer exists.
	AnnotationTarget = "workflowexecution.kubernaut.io/target"
	// FinalizerObserved keeps a Workflow until its end has been recorded in the WorkflowExecution's status.
	FinalizerObserved = "workflowexecution.kubernaut.io/observed"
)

// The values of LabelRole.
const (
	RoleMain     = "main"
	RoleRollback = "rollback"
)

// RollbackSuffix ends the name of the rollback's Workflow; a WorkflowExecution's name must not end with it.
const RollbackSuffix = "-rollback"
