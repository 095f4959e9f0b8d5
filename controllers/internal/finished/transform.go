package finished

import (
	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Transform is the cache's transformation: of an execution that has ended, some hundred bytes remain, which are what cleaning
// it up and the efficiency need.
func Transform(object any) (any, error) {
	wfe, ok := object.(*wfev1.WorkflowExecution)
	if !ok {
		return object, nil
	}
	kept := &wfev1.WorkflowExecution{}
	kept.Namespace, kept.Name, kept.UID, kept.ResourceVersion = wfe.Namespace, wfe.Name, wfe.UID, wfe.ResourceVersion
	kept.Generation, kept.DeletionTimestamp = wfe.Generation, wfe.DeletionTimestamp
	kept.Spec.DryRun, kept.Spec.TTLSecondsAfterFinished = wfe.Spec.DryRun, wfe.Spec.TTLSecondsAfterFinished
	is := &wfe.Status
	kept.Status = wfev1.WorkflowExecutionStatus{
		ObservedGeneration: is.ObservedGeneration, Phase: is.Phase, CompletionTime: is.CompletionTime,
		WorkflowRef: is.WorkflowRef, RollbackRef: is.RollbackRef,
		ParallelSteps: is.ParallelSteps, ExecutedSteps: is.ExecutedSteps,
	}
	return kept, nil
}
