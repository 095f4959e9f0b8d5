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

// Advice is something to do next: what it is for, and the command that does it, if it is one.
type Advice struct{ Text, Command string }

// adviser gathers advice on one execution.
type adviser struct {
	wfe   *wfev1.WorkflowExecution
	flags []string
	all   []Advice
}

// Advise says what to do next with an execution. Every command gets the flags.
func Advise(wfe *wfev1.WorkflowExecution, flags []string) []Advice {
	a := &adviser{wfe: wfe, flags: flags}
	switch tree.PhaseOf(wfe) {
	case wfev1.PhasePending:
		a.wfeCommand("It has not started. Follow it in a terminal", "watch", wfe.Name)
		a.wfeCommand("Give it up", "cancel", wfe.Name)
	case wfev1.PhaseRunning:
		a.runs(wfe.Status.Steps)
		a.wfeCommand("Pause it before its next step", "suspend", wfe.Name)
		a.wfeCommand("Stop it and undo what is done", "cancel", wfe.Name)
	case wfev1.PhaseAwaitingApproval:
		a.decide()
	case wfev1.PhaseSuspended:
		a.wfeCommand("Let it go on", "resume", wfe.Name)
		a.wfeCommand("Stop it and undo what is done", "cancel", wfe.Name)
	case wfev1.PhaseRollingBack:
		a.wfeCommand("It undoes what it did. Follow it in a terminal", "watch", wfe.Name)
		a.wfeCommand("Stop the rollback too, and leave the rest as it is", "cancel", wfe.Name, "--terminate")
	case wfev1.PhaseCompleted:
	case wfev1.PhaseFailed:
		a.failed(wfe.Status.Failure)
		a.leftovers()
		a.wfeCommand("When the cause is gone, run what is left of it", "retry", wfe.Name)
	case wfev1.PhaseCancelled:
		a.leftovers()
		a.wfeCommand("Run what is left of it after all", "retry", wfe.Name)
	}
	return a.all
}

func (a *adviser) say(text string) { a.all = append(a.all, Advice{Text: text}) }

// wfeCommand adds a command of this plugin.
func (a *adviser) wfeCommand(text, verb string, words ...string) {
	a.add(text, []string{"wfe", verb}, words...)
}

// add adds a command of kubectl on the execution's namespace. The flags come after the verb: kubectl takes none before a
// plugin's name.
func (a *adviser) add(text string, verb []string, words ...string) {
	command := slices.Concat([]string{"kubectl"}, verb, a.flags, []string{"-n", a.wfe.Namespace}, words)
	for i, word := range command {
		command[i] = quote(word)
	}
	a.all = append(a.all, Advice{Text: text, Command: strings.Join(command, " ")})
}

func (a *adviser) runs(steps []wfev1.StepStatus) {
	for i := range steps {
		if steps[i].Phase == wfev1.StepRunning && steps[i].PodName != "" {
			a.wfeCommand(fmt.Sprintf("Read along with %q", steps[i].Name), "logs", a.wfe.Name, steps[i].Name, "-f")
			return // one shows how
		}
	}
}

func (a *adviser) decide() {
	for i := range a.wfe.Status.Steps {
		if step := &a.wfe.Status.Steps[i]; step.Phase == wfev1.StepAwaitingApproval {
			a.wfeCommand(fmt.Sprintf("Let %q go on", step.Name), "approve", a.wfe.Name, step.Name, "--reason", "…")
			a.wfeCommand("Or refuse it, which fails the execution and undoes what is done", "reject", a.wfe.Name, step.Name, "--reason", "…")
		}
	}
}

// failed says how to find the cause of a failure.
func (a *adviser) failed(failure *wfev1.Failure) {
	if failure == nil {
		a.wfeCommand("See all that is known", "describe", a.wfe.Name)
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
		logs("Read what the step wrote")
	case wfev1.ReasonOOMKilled:
		a.say("The step's own container had too little memory: raise the limit in the action's template.")
		describePod("See its limit")
	case wfev1.ReasonDeadlineExceeded:
		logs("See where it hung; if it was only slow, raise the step's timeoutSeconds")
		describePod("If it wrote nothing, see why its pod did not start")
	case wfev1.ReasonImagePullBackOff:
		describePod("See which image cannot be pulled, and why")
	case wfev1.ReasonForbidden:
		a.allowed()
		logs("See what was refused")
	case wfev1.ReasonPodDeleted:
		a.say("Somebody, a drain or an eviction deleted the pod while the step ran; whether the step did its work is not known.")
		a.add("See what happened around it", []string{"get", "events"}, "--sort-by=.lastTimestamp")
	case wfev1.ReasonInvalidSpec:
		a.say("Correct the specification and create it anew; kubectl wfe lint -f FILE tells such mistakes before the cluster does.")
		logs("Read what the step wrote")
	case wfev1.ReasonUnknownAction:
		a.wfeCommand("See which actions there are", "actions")
	case wfev1.ReasonApprovalRejected:
		a.say("Somebody said no: see the decisions below.")
	case wfev1.ReasonApprovalTimeout:
		a.say("Nobody decided in time.")
	case wfev1.ReasonTimedOut:
		a.say("It took longer than its timeout: see in the timeline which step it was.")
	case wfev1.ReasonWorkflowDeleted:
		a.say("Somebody deleted its Argo Workflow: ask who, before anything runs again.")
	case wfev1.ReasonWorkflowTooLarge:
		a.say("It is too large for one object: make two executions of it.")
	case wfev1.ReasonNamespaceNotReady:
		a.say("Give the namespace what the message names; config/samples/payment-api/remediation.yaml is an example.")
	case wfev1.ReasonEngineRefused, wfev1.ReasonEngineUnavailable, wfev1.ReasonNodeStatusUnavailable:
		a.say("This is about Argo, not about the steps: look at Argo's workflow-controller and its settings.")
	case wfev1.ReasonRollbackFailed, wfev1.ReasonUnknown:
		a.wfeCommand("See all that is known", "describe", a.wfe.Name)
	}
}

// allowed says how to see what the steps may do.
func (a *adviser) allowed() {
	account := a.wfe.Spec.ServiceAccountName
	if account == "" {
		a.say("The service account of the steps lacks a permission: bind the action's role to it.")
		return
	}
	a.add("The steps' service account lacks a permission; see what it may do, and bind the action's role to it",
		[]string{"auth", "can-i", "--list"}, "--as=system:serviceaccount:"+a.wfe.Namespace+":"+account)
}

// leftovers says what to do about a rollback that did not undo all.
func (a *adviser) leftovers() {
	c := meta.FindStatusCondition(a.wfe.Status.Conditions, wfev1.ConditionRolledBack)
	if c == nil || c.Status != metav1.ConditionFalse {
		return
	}
	a.say("Not all is undone: look at the rollback in the timeline, and undo the rest by hand.")
	for i := range a.wfe.Status.RollbackSteps {
		if a.wfe.Status.RollbackSteps[i].PodName != "" {
			a.wfeCommand("Read what the rollback wrote", "logs", a.wfe.Name, "--rollback")
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

// plainWord is what a shell takes as it is.
var plainWord = regexp.MustCompile(`^[-\w@%+=:,./]+$`)

// quote is a word as a shell takes it.
func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
