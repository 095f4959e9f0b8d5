package metrics

import (
	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// scriptedExecutions are complete executions; the first status is the result of the first status update.
var scriptedExecutions = map[string]scriptedExecution{
	"completed": {statuses: []wfev1.WorkflowExecutionStatus{
		{Phase: wfev1.PhasePending},
		{Phase: wfev1.PhaseRunning, StartTime: at(0), Steps: []wfev1.StepStatus{
			step("one", "restart-pod", wfev1.StepRunning, 1, 0),
			step("two", "restart-pod", wfev1.StepPending, 0, 0),
		}},
		{Phase: wfev1.PhaseRunning, StartTime: at(0), Steps: []wfev1.StepStatus{
			step("one", "restart-pod", wfev1.StepCompleted, 1, 21),
			step("two", "restart-pod", wfev1.StepRunning, 2, 0),
		}},
		{
			Phase: wfev1.PhaseCompleted, StartTime: at(0), CompletionTime: at(100), ParallelSteps: new(int32(2)),
			Steps: []wfev1.StepStatus{
				step("one", "restart-pod", wfev1.StepCompleted, 1, 21),
				attempts(3, step("two", "restart-pod", wfev1.StepCompleted, 2, 92)),
				step("three", "scale-deployment", wfev1.StepSkipped, 0, 0),
			},
		},
	}},
	"approved": {statuses: []wfev1.WorkflowExecutionStatus{
		{Phase: wfev1.PhaseAwaitingApproval, StartTime: at(0), Steps: []wfev1.StepStatus{
			step("approve", "", wfev1.StepAwaitingApproval, 1, 0),
			step("one", "restart-pod", wfev1.StepPending, 0, 0),
		}},
		{
			Phase: wfev1.PhaseCompleted, StartTime: at(0), CompletionTime: at(4000), ApprovalWaitSeconds: 3600,
			ParallelSteps: new(int32(0)),
			Steps: []wfev1.StepStatus{
				step("approve", "", wfev1.StepCompleted, 1, 3601),
				step("one", "restart-pod", wfev1.StepCompleted, 3602, 3999),
			},
		},
	}},
	"failed and rolled back": {statuses: []wfev1.WorkflowExecutionStatus{
		{Phase: wfev1.PhaseRunning, StartTime: at(0), Steps: []wfev1.StepStatus{
			step("one", "scale-deployment", wfev1.StepCompleted, 1, 11),
			step("two", "restart-pod", wfev1.StepRunning, 12, 0),
			step("three", "restart-pod", wfev1.StepPending, 0, 0),
		}},
		{
			Phase: wfev1.PhaseRollingBack, StartTime: at(0), RollbackRef: &wfev1.WorkflowReference{Name: "r", UID: "u"},
			Steps: []wfev1.StepStatus{
				step("one", "scale-deployment", wfev1.StepCompleted, 1, 11),
				attempts(2, step("two", "restart-pod", wfev1.StepFailed, 12, 42)),
				step("three", "restart-pod", wfev1.StepCancelled, 0, 0),
			},
			RollbackSteps: []wfev1.StepStatus{step("one", "scale-deployment", wfev1.StepRunning, 43, 0)},
		},
		{
			Phase: wfev1.PhaseFailed, StartTime: at(0), CompletionTime: at(60), ParallelSteps: new(int32(0)),
			RollbackRef: &wfev1.WorkflowReference{Name: "r", UID: "u"}, Conditions: rolledBack("True"),
			Failure: &wfev1.Failure{Step: "two", Action: "restart-pod", Reason: wfev1.ReasonOOMKilled},
			Steps: []wfev1.StepStatus{
				step("one", "scale-deployment", wfev1.StepCompleted, 1, 11),
				attempts(2, step("two", "restart-pod", wfev1.StepFailed, 12, 42)),
				step("three", "restart-pod", wfev1.StepCancelled, 0, 0),
			},
			RollbackSteps: []wfev1.StepStatus{step("one", "scale-deployment", wfev1.StepCompleted, 43, 59)},
		},
	}},
	"rollback failed": {statuses: []wfev1.WorkflowExecutionStatus{
		{
			Phase: wfev1.PhaseRollingBack, StartTime: at(0), RollbackRef: &wfev1.WorkflowReference{Name: "r", UID: "u"},
			RollbackSteps: []wfev1.StepStatus{
				step("two", "restart-pod", wfev1.StepRunning, 10, 0),
				step("one", "scale-deployment", wfev1.StepPending, 0, 0),
			},
		},
		{
			Phase: wfev1.PhaseFailed, StartTime: at(0), CompletionTime: at(20), ParallelSteps: new(int32(0)),
			RollbackRef: &wfev1.WorkflowReference{Name: "r", UID: "u"}, Conditions: rolledBack("False"),
			Failure: &wfev1.Failure{Reason: wfev1.ReasonRollbackFailed},
			RollbackSteps: []wfev1.StepStatus{
				step("two", "restart-pod", wfev1.StepFailed, 10, 19),
				step("one", "scale-deployment", wfev1.StepCancelled, 0, 0),
			},
		},
	}},
	"cancelled": {statuses: []wfev1.WorkflowExecutionStatus{
		{Phase: wfev1.PhaseRunning, StartTime: at(0), Steps: []wfev1.StepStatus{
			step("one", "restart-pod", wfev1.StepCompleted, 1, 9),
			step("two", "restart-pod", wfev1.StepRunning, 10, 0),
		}},
		{
			Phase: wfev1.PhaseCancelled, StartTime: at(0), CompletionTime: at(30), ParallelSteps: new(int32(0)),
			Failure: &wfev1.Failure{Reason: wfev1.ReasonTimedOut},
			Steps: []wfev1.StepStatus{
				step("one", "restart-pod", wfev1.StepCompleted, 1, 9),
				step("two", "restart-pod", wfev1.StepCancelled, 10, 29),
			},
		},
	}},
	"suspended": {statuses: []wfev1.WorkflowExecutionStatus{
		{
			Phase: wfev1.PhaseCompleted, StartTime: at(0), CompletionTime: at(3640), ApprovalWaitSeconds: 40,
			SuspendedSeconds: 3540, ParallelSteps: new(int32(0)),
		},
	}},
	"stopped without a rollback Workflow": {statuses: []wfev1.WorkflowExecutionStatus{
		{
			Phase: wfev1.PhaseCancelled, StartTime: at(0), CompletionTime: at(60), ParallelSteps: new(int32(0)),
			RollbackSteps: []wfev1.StepStatus{step("one", "restart-pod", wfev1.StepCancelled, 0, 0)},
			Conditions:    rolledBack("False"),
		},
	}},
	"refused": {statuses: []wfev1.WorkflowExecutionStatus{
		{
			Phase: wfev1.PhaseFailed, CompletionTime: at(1),
			Failure: &wfev1.Failure{Reason: wfev1.ReasonInvalidSpec},
			Steps:   []wfev1.StepStatus{step("one", "restart-pod", wfev1.StepPending, 0, 0)},
		},
	}},
	"dry run completed": {dryRun: true, statuses: []wfev1.WorkflowExecutionStatus{
		{Phase: wfev1.PhaseRunning, StartTime: at(0)},
		{
			Phase: wfev1.PhaseCompleted, StartTime: at(0), CompletionTime: at(30), ParallelSteps: new(int32(1)),
			ApprovalWaitSeconds: 10,
			Steps: []wfev1.StepStatus{
				attempts(3, step("one", "restart-pod", wfev1.StepCompleted, 1, 20)),
				step("two", "restart-pod", wfev1.StepSkipped, 0, 0),
			},
		},
	}},
	"dry run failed": {dryRun: true, statuses: []wfev1.WorkflowExecutionStatus{
		{
			Phase: wfev1.PhaseFailed, StartTime: at(0), CompletionTime: at(30),
			Failure: &wfev1.Failure{Reason: wfev1.ReasonForbidden},
			Steps:   []wfev1.StepStatus{step("one", "restart-pod", wfev1.StepFailed, 1, 20)},
		},
	}},
	"dry run cancelled": {dryRun: true, statuses: []wfev1.WorkflowExecutionStatus{
		{Phase: wfev1.PhaseCancelled, StartTime: at(0), CompletionTime: at(30)},
	}},
}
