package controllers

import (
	"time"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// run is one Workflow of an execution, the main one or the rollback, with what the status records of it.
type run struct {
	role string
	ref  *wfev1.WorkflowReference
	// steps points into the status.
	steps *[]wfev1.StepStatus
}

func mainRun(wfe *wfev1.WorkflowExecution) run {
	return run{role: wfev1.RoleMain, ref: wfe.Status.WorkflowRef, steps: &wfe.Status.Steps}
}

func rollbackRun(wfe *wfev1.WorkflowExecution) run {
	return run{role: wfev1.RoleRollback, ref: wfe.Status.RollbackRef, steps: &wfe.Status.RollbackSteps}
}

func (r run) isRollback() bool { return r.role == wfev1.RoleRollback }

// stepTimeouts are the bounds on one attempt of each step that has one.
func (r run) stepTimeouts(spec *wfev1.WorkflowExecutionSpec) map[string]time.Duration {
	timeouts := make(map[string]time.Duration, len(spec.Steps))
	for i := range spec.Steps {
		step := &spec.Steps[i]
		seconds := step.TimeoutSeconds
		if r.isRollback() {
			seconds = nil
			if step.Rollback != nil {
				seconds = step.Rollback.TimeoutSeconds
			}
		}
		if seconds != nil {
			timeouts[step.Name] = time.Duration(*seconds) * time.Second
		}
	}
	return timeouts
}

// stopSteps ends the steps of a run whose Workflow reports them no more. What had ended stays as it was recorded.
func (r run) stopSteps(message string) {
	for i := range *r.steps {
		if step := &(*r.steps)[i]; !step.Phase.IsTerminal() {
			step.Phase = wfev1.StepCancelled
			if message != "" {
				step.Message = message
			}
		}
	}
}
