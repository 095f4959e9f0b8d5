package simulator

import (
	"regexp"
	"strings"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// references matches the steps in a depends expression.
var references = regexp.MustCompile(`([a-z][-a-z0-9]*)\.`)

// Outcome is how an attempt of a step ends. With the zero Outcome it never ends.
type Outcome struct {
	// Phase is Succeeded, Failed, Error, or Pending for a pod that never starts.
	Phase wfv1.NodePhase
	// Message is the node's.
	Message string
	// Outputs are written as name=value.
	Outputs []string
}

// Script decides how the attempts of steps end. Operate evaluates it each time.
type Script func(wf *wfv1.Workflow, task string) Outcome

// AllSucceed is the script in which every step succeeds.
func AllSucceed(*wfv1.Workflow, string) Outcome { return Outcome{Phase: wfv1.NodeSucceeded} }

// Operate is one reconciliation of a Workflow by Argo's controller: steps that are ready start, running steps end by the
// script, and the Workflow ends after its last step. It reports whether the Workflow changed.
func (a Argo) Operate(wf *wfv1.Workflow, script Script) bool {
	switch {
	case wf.Status.Fulfilled():
		return false
	case wf.Status.Phase == "":
		a.PickUp(wf)
		return true
	case wf.Spec.Shutdown != "" && !IsSuspended(wf):
		a.ObeyShutdown(wf)
		return true
	}
	// Argo decides by the state before the reconciliation.
	before := wf.DeepCopy()
	changed, open := false, false
	for _, task := range tasksOf(before) {
		node, exists := before.Status.Nodes[before.NodeID(before.Name+"."+task.Name)]
		if exists && node.Fulfilled() {
			continue
		}
		open = true
		if event := a.next(before, &task, script); event != nil {
			event(wf)
			changed = true
		}
	}
	if !open && !IsSuspended(wf) {
		a.Finish(phaseAtEnd(before))(wf)
		return true
	}
	return changed
}

// next is the next event of a step that has not ended, or nil.
func (a Argo) next(wf *wfv1.Workflow, task *wfv1.DAGTask, script Script) Event {
	node, exists := wf.Status.Nodes[wf.NodeID(wf.Name+"."+task.Name)]
	last := LastAttempt(wf, task.Name)
	switch {
	case exists && node.Type == wfv1.NodeTypeSuspend:
		return nil // an approval decides, not Argo
	case last == nil || last.Fulfilled():
		if IsSuspended(wf) || wf.Spec.Shutdown != "" {
			return nil
		}
		return a.begin(wf, task, script)
	}
	outcome := script(wf, task.Name)
	switch outcome.Phase {
	case wfv1.NodeSucceeded:
		return a.Succeed(task.Name, outcome.Outputs...)
	case wfv1.NodeFailed:
		return a.Fail(task.Name, outcome.Message)
	case wfv1.NodeError:
		return a.LosePod(task.Name)
	default:
		return nil
	}
}

func (a Argo) begin(wf *wfv1.Workflow, task *wfv1.DAGTask, script Script) Event {
	ready, never := isReady(wf, task.Depends)
	switch {
	case never:
		return a.Omit(task.Name)
	case !ready:
		return nil
	case task.When == "false":
		return a.Skip(task.Name)
	case templateOf(wf, task.Name).Suspend != nil:
		return a.Suspend(task.Name)
	}
	if outcome := script(wf, task.Name); outcome.Phase == wfv1.NodePending {
		return a.Pend(task.Name, outcome.Message)
	}
	return a.Run(task.Name)
}

// isReady evaluates a depends expression in the form that the translator writes: alternatives of one step in
// parentheses, joined by &&. The second result is true if the expression can no longer become true.
func isReady(wf *wfv1.Workflow, depends string) (ready, never bool) {
	if depends == "" {
		return true, false
	}
	ready = true
	for _, clause := range strings.Split(depends, "&&") {
		holds, ended := false, false
		for _, alternative := range strings.Split(strings.Trim(clause, " ()"), "||") {
			name, wanted, _ := strings.Cut(strings.TrimSpace(alternative), ".")
			node, exists := wf.Status.Nodes[wf.NodeID(wf.Name+"."+name)]
			ended = exists && node.Fulfilled()
			holds = holds || exists && string(node.Phase) == strings.Replace(wanted, "Errored", "Error", 1)
		}
		ready = ready && holds
		never = never || ended && !holds
	}
	return ready && !never, never
}

// phaseAtEnd is the phase of a Workflow whose steps have all ended. A leaf that failed or was omitted fails it.
func phaseAtEnd(wf *wfv1.Workflow) wfv1.WorkflowPhase {
	for _, task := range tasksOf(wf) {
		node := wf.Status.Nodes[wf.NodeID(wf.Name+"."+task.Name)]
		if isLeaf(wf, task.Name) && (node.Phase == wfv1.NodeFailed || node.Phase == wfv1.NodeError || node.Phase == wfv1.NodeOmitted) {
			return wfv1.WorkflowFailed
		}
	}
	return wfv1.WorkflowSucceeded
}

func isLeaf(wf *wfv1.Workflow, name string) bool {
	for _, task := range tasksOf(wf) {
		for _, reference := range references.FindAllStringSubmatch(task.Depends, -1) {
			if reference[1] == name {
				return false
			}
		}
	}
	return true
}
