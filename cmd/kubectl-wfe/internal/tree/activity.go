package tree

import (
	"strings"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// Activity returns in one line what an unfinished execution does now: its active steps, the question of its approval, or
// what a pending execution waits for. It is empty for a finished execution.
func Activity(wfe *wfev1.WorkflowExecution) string {
	phase := PhaseOf(wfe)
	if phase.IsTerminal() {
		return ""
	}
	if reasons := Reasons(wfe); phase == wfev1.PhasePending && len(reasons) > 0 {
		return flatten(reasons[0])
	}
	text := strings.Join(ActiveSteps(wfe), ",")
	if question := Question(wfe); question != "" {
		text += ": " + question
	}
	return text
}

// Question returns the question of an execution that waits for a single approval.
func Question(wfe *wfev1.WorkflowExecution) string {
	waiting := ActiveSteps(wfe)
	if PhaseOf(wfe) != wfev1.PhaseAwaitingApproval || len(waiting) != 1 {
		return ""
	}
	for i := range wfe.Spec.Steps {
		if step := &wfe.Spec.Steps[i]; step.Name == waiting[0] && step.Approval != nil {
			return flatten(step.Approval.Message)
		}
	}
	return ""
}
