package v1alpha1

// The types of the conditions in a WorkflowExecution's status.
const (
	// ConditionValid is True when the specification was accepted against the catalog.
	ConditionValid = "Valid"
	// ConditionAdmitted is True when the execution holds the lock on its target and a slot of its namespace.
	ConditionAdmitted = "Admitted"
	// ConditionNamespaceReady is True when the namespace has what Argo needs to run steps in it.
	ConditionNamespaceReady = "NamespaceReady"
	// ConditionEngineAvailable is True when Argo Workflows is installed.
	ConditionEngineAvailable = "EngineAvailable"
	// ConditionReconciling is True until the execution has ended (kstatus: InProgress).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when the execution failed, or cannot end without help (kstatus: Failed).
	ConditionStalled = "Stalled"
	// ConditionComplete is True when the execution ended in phase Completed.
	ConditionComplete = "Complete"
	// ConditionFailed is True when the execution ended in phase Failed.
	ConditionFailed = "Failed"
	// ConditionRolledBack is True when the rollback undid every completed step that has one, False when it did not, and
	// Unknown while a rollback that exceeded its timeout is being stopped.
	ConditionRolledBack = "RolledBack"
	// ConditionNodeStatusUnavailable is True while the controller cannot read the nodes of the Workflow.
	ConditionNodeStatusUnavailable = "NodeStatusUnavailable"
)

// The reasons of conditions, beside those of FailureReason. Each comment names the condition and its status.
const (
	// ReasonAccepted is the reason of Valid=True: the specification fits the catalog.
	ReasonAccepted = "Accepted"

	// ReasonTargetFree is the reason of Admitted=True: the execution holds the lock on its target.
	ReasonTargetFree = "TargetFree"
	// ReasonTargetLocked is the reason of Admitted=False and Reconciling=True: another execution holds the lock on the
	// target.
	ReasonTargetLocked = "TargetLocked"
	// ReasonNamespaceFull is the reason of Admitted=False and Reconciling=True: as many executions as may be live in the
	// namespace at once are live.
	ReasonNamespaceFull = "NamespaceFull"

	// ReasonReady is the reason of NamespaceReady=True: the namespace has what steps need.
	ReasonReady = "Ready"

	// ReasonAvailable is the reason of EngineAvailable=True, and of NodeStatusUnavailable=False once the nodes can be read
	// again.
	ReasonAvailable = "Available"

	// ReasonOffloaded is the reason of NodeStatusUnavailable=True: Argo keeps the nodes in a database, and the controller
	// has no --argo-server-url.
	ReasonOffloaded = "Offloaded"
	// ReasonArgoServer is the reason of NodeStatusUnavailable=True: the Argo server does not return the nodes.
	ReasonArgoServer = "ArgoServer"
	// ReasonGarbled is the reason of NodeStatusUnavailable=True: the compressed nodes in the Workflow cannot be read.
	ReasonGarbled = "Garbled"

	// ReasonPredecessorEnding is the reason of Reconciling=True: a Workflow of an earlier WorkflowExecution of the same name
	// still exists.
	ReasonPredecessorEnding = "PredecessorEnding"
	// ReasonRunning is the reason of Reconciling=True: the Workflow runs the steps.
	ReasonRunning = "Running"
	// ReasonAwaitingApproval is the reason of Reconciling=True: an approval step needs a decision in spec.approvals.
	ReasonAwaitingApproval = "AwaitingApproval"
	// ReasonSuspending is the reason of Reconciling=True: spec.suspended is set, and steps still run.
	ReasonSuspending = "Suspending"
	// ReasonSuspended is the reason of Reconciling=True: spec.suspended is set, and nothing runs.
	ReasonSuspended = "Suspended"
	// ReasonEnding is the reason of Reconciling=True: a critical step failed, the execution timed out, or the pods of its
	// Workflow have not stopped yet.
	ReasonEnding = "Ending"
	// ReasonCancelling is the reason of Reconciling=True: the running steps are being stopped.
	ReasonCancelling = "Cancelling"
	// ReasonRollingBack is the reason of Reconciling=True: the rollback's Workflow undoes the completed steps.
	ReasonRollingBack = "RollingBack"

	// ReasonCompleted is the reason of Reconciling=False and Complete=True: every critical step completed.
	ReasonCompleted = "Completed"
	// ReasonCancelled is the reason of Reconciling=False: the execution was cancelled or deleted.
	ReasonCancelled = "Cancelled"

	// ReasonPodNotStopping is the reason of Stalled=True: a pod of a stopped step does not stop, so the execution can neither roll
	// back nor end.
	ReasonPodNotStopping = "PodNotStopping"

	// ReasonRolledBack is the reason of RolledBack=True: every completed step that has a rollback was undone.
	ReasonRolledBack = "RolledBack"
)
