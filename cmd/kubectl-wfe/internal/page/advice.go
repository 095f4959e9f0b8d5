package page

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/tree"
)

// Advice is a next action: its purpose, and the command for it, if there is one.
type Advice struct{ Text, Command string }

// adviser collects the advice for one execution.
type adviser struct {
	wfe   *wfev1.WorkflowExecution
	flags []string
	all   []Advice
}

// Advise returns the next actions for an execution. Every command includes the flags.
func Advise(wfe *wfev1.WorkflowExecution, flags []string) []Advice {
	a := &adviser{wfe: wfe, flags: flags}
	switch tree.PhaseOf(wfe) {
	case wfev1.PhasePending:
		a.wfeCommand("The execution has not started. Follow it in a terminal", "watch", wfe.Name)
		a.wfeCommand("Cancel it", "cancel", wfe.Name)
	case wfev1.PhaseRunning:
		a.followRunning(wfe.Status.Steps)
		a.wfeCommand("Pause it before its next step", "suspend", wfe.Name)
		a.wfeCommand("Stop it and roll back the completed steps", "cancel", wfe.Name)
	case wfev1.PhaseAwaitingApproval:
		a.decide()
	case wfev1.PhaseSuspended:
		a.wfeCommand("Resume it", "resume", wfe.Name)
		a.wfeCommand("Stop it and roll back the completed steps", "cancel", wfe.Name)
	case wfev1.PhaseRollingBack:
		a.wfeCommand("The rollback is running. Follow it in a terminal", "watch", wfe.Name)
		a.wfeCommand("Stop the rollback and leave the remaining steps as they are", "cancel", wfe.Name, "--terminate")
	case wfev1.PhaseCompleted:
	case wfev1.PhaseFailed:
		a.failed(wfe.Status.Failure)
		a.unfinishedRollback()
		a.wfeCommand("After fixing the cause, run the remaining steps", "retry", wfe.Name)
	case wfev1.PhaseCancelled:
		a.unfinishedRollback()
		a.wfeCommand("Run the remaining steps", "retry", wfe.Name)
	}
	return a.all
}

func (a *adviser) addText(text string) { a.all = append(a.all, Advice{Text: text}) }

// wfeCommand adds a command of this plugin.
func (a *adviser) wfeCommand(text, verb string, words ...string) {
	a.add(text, []string{"wfe", verb}, words...)
}

// add adds a kubectl command in the execution's namespace. The flags follow the verb, because kubectl accepts none before
// the name of a plugin.
func (a *adviser) add(text string, verb []string, words ...string) {
	command := slices.Concat([]string{"kubectl"}, verb, a.flags, []string{"-n", a.wfe.Namespace}, words)
	for i, word := range command {
		command[i] = quote(word)
	}
	a.all = append(a.all, Advice{Text: text, Command: strings.Join(command, " ")})
}

func (a *adviser) followRunning(steps []wfev1.StepStatus) {
	for i := range steps {
		if steps[i].Phase == wfev1.StepRunning && steps[i].PodName != "" {
			a.wfeCommand(fmt.Sprintf("Follow the logs of %q", steps[i].Name), "logs", a.wfe.Name, steps[i].Name, "-f")
			return // one example is enough
		}
	}
}

func (a *adviser) decide() {
	for i := range a.wfe.Status.Steps {
		if step := &a.wfe.Status.Steps[i]; step.Phase == wfev1.StepAwaitingApproval {
			a.wfeCommand(fmt.Sprintf("Approve %q", step.Name), "approve", a.wfe.Name, step.Name, "--reason", "…")
			a.wfeCommand("Reject it, which fails the execution and rolls back the completed steps", "reject", a.wfe.Name, step.Name, "--reason", "…")
		}
	}
}

// failed advises how to find the cause of a failure.
func (a *adviser) failed(failure *wfev1.Failure) {
	if failure == nil {
		a.wfeCommand("Show all details", "describe", a.wfe.Name)
		return
	}
	pod := a.podOf(failure.Step)
	logs := func(text string) {
		if pod != "" {
			a.wfeCommand(text, "logs", a.wfe.Name, failure.Step)
		}
	}
	describePod := func(text string) {
		if pod != "" {
			a.add(text, []string{"describe", "pod"}, pod)
		}
	}
	switch failure.Reason {
	case wfev1.ReasonActionFailed:
		logs("Show the step's logs")
	case wfev1.ReasonOOMKilled:
		a.addText("The step's own container ran out of memory: raise the limit in the action's template.")
		describePod("Show its limit")
	case wfev1.ReasonDeadlineExceeded:
		logs("Find where the step stopped; if it was only slow, raise its timeoutSeconds")
		describePod("If there are no logs, find out why its pod did not start")
	case wfev1.ReasonImagePullBackOff:
		describePod("Show which image cannot be pulled, and why")
	case wfev1.ReasonForbidden:
		a.permissions()
		logs("Show which request was denied")
	case wfev1.ReasonPodDeleted:
		a.addText("The pod was deleted while the step ran, by a user, a drain or an eviction. Check whether the step made its change.")
		a.add("Show the events in the namespace", []string{"get", "events"}, "--sort-by=.lastTimestamp")
	case wfev1.ReasonInvalidSpec:
		a.addText("Correct the specification and create the execution again. kubectl wfe lint -f FILE finds such errors before the cluster does.")
		logs("Show the step's logs")
	case wfev1.ReasonUnknownAction:
		a.wfeCommand("List the available actions", "actions")
	case wfev1.ReasonApprovalRejected:
		a.addText("The approval was rejected: the decisions below show by whom and why.")
	case wfev1.ReasonApprovalTimeout:
		a.addText("No decision arrived before the approval's timeout.")
	case wfev1.ReasonTimedOut:
		a.addText("The execution exceeded its timeout: the timeline shows which step took the time.")
	case wfev1.ReasonWorkflowDeleted:
		a.addText("The Argo Workflow was deleted. Find out by whom before you run the steps again.")
	case wfev1.ReasonWorkflowTooLarge:
		a.addText("The Workflow is too large for one object: split the execution in two.")
	case wfev1.ReasonNamespaceNotReady:
		a.addText("Create the objects that the message names; config/samples/payment-api/remediation.yaml is an example.")
	case wfev1.ReasonEngineRefused, wfev1.ReasonEngineUnavailable, wfev1.ReasonNodeStatusUnavailable:
		a.addText("The cause is Argo, not a step: check Argo's workflow-controller and its configuration.")
	case wfev1.ReasonRollbackFailed, wfev1.ReasonUnknown:
		a.wfeCommand("Show all details", "describe", a.wfe.Name)
	}
}

// permissions advises how to list the permissions of the steps.
func (a *adviser) permissions() {
	a.wfeCommand("The service account of the steps lacks a permission: list what is missing, and the binding for it", "rbac", a.wfe.Name, "--check")
}

// unfinishedRollback advises what to do when the rollback did not undo every step.
func (a *adviser) unfinishedRollback() {
	c := meta.FindStatusCondition(a.wfe.Status.Conditions, wfev1.ConditionRolledBack)
	if c == nil || c.Status != metav1.ConditionFalse {
		return
	}
	a.addText("The rollback did not undo every step: the timeline shows which. Undo the rest by hand.")
	for i := range a.wfe.Status.RollbackSteps {
		if a.wfe.Status.RollbackSteps[i].PodName != "" {
			a.wfeCommand("Show the logs of the rollback", "logs", a.wfe.Name, "--rollback")
			return
		}
	}
}

func (a *adviser) podOf(step string) string {
	for i := range a.wfe.Status.Steps {
		if a.wfe.Status.Steps[i].Name == step {
			return a.wfe.Status.Steps[i].PodName
		}
	}
	return ""
}

// plainWord matches words that a shell takes without quotes.
var plainWord = regexp.MustCompile(`^[-\w@%+=:,./]+$`)

// quote quotes a word for a shell.
func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
