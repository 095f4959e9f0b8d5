package argodouble

import (
	"regexp"
	"strings"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// references finds the steps that a depends expression names.
var references = regexp.MustCompile(`([a-z][-a-z0-9]*)\.`)

// Outcome is how an attempt of a step ends. The zero Outcome never does.
type Outcome struct {
	// Phase is Succeeded, Failed, Error, or Pending for a pod that never starts.
	Phase wfv1.NodePhase
	// Message is the node's.
	Message string
	// Outputs are written as name=value.
	Outputs []string
}

// Script says how the attempts of steps end; it is asked again at each look.
type Script func(wf *wfv1.Workflow, task string) Outcome

// AllSucceed is the script in which nothing goes wrong.
func AllSucceed(*wfv1.Workflow, string) Outcome { return Outcome{Phase: wfv1.NodeSucceeded} }

// Look is one look of Argo's controller at a Workflow: what is ready starts, what runs ends as the script says, and
// when all has ended, so does the Workflow. It reports whether something happened.
func (d Double) Look(wf *wfv1.Workflow, script Script) bool {
	switch {
	case wf.Status.Fulfilled():
		return false
	case wf.Status.Phase == "":
		d.PickUp(wf)
		return true
	case wf.Spec.Shutdown != "" && !IsSuspended(wf):
		d.ObeyShutdown(wf)
		return true
	}
	// What happens in one look is decided by what was there before it.
	was := wf.DeepCopy()
	happened, open := false, false
	for _, task := range tasksOf(was) {
		node, exists := was.Status.Nodes[was.NodeID(was.Name+"."+task.Name)]
		if exists && node.Fulfilled() {
			continue
		}
		open = true
		if event := d.next(was, &task, script); event != nil {
			event(wf)
			happened = true
		}
	}
	if !open && !IsSuspended(wf) {
		d.Finish(endOf(was))(wf)
		return true
	}
	return happened
}

// next is what happens to a step that has not ended; nil for nothing.
func (d Double) next(wf *wfv1.Workflow, task *wfv1.DAGTask, script Script) Event {
	node, exists := wf.Status.Nodes[wf.NodeID(wf.Name+"."+task.Name)]
	last := LastAttempt(wf, task.Name)
	switch {
	case exists && node.Type == wfv1.NodeTypeSuspend:
		return nil // whoever decides, it is not Argo
	case last == nil || last.Fulfilled():
		if IsSuspended(wf) || wf.Spec.Shutdown != "" {
			return nil
		}
		return d.begin(wf, task, script)
	}
	outcome := script(wf, task.Name)
	switch outcome.Phase {
	case wfv1.NodeSucceeded:
		return d.Succeed(task.Name, outcome.Outputs...)
	case wfv1.NodeFailed:
		return d.Fail(task.Name, outcome.Message)
	case wfv1.NodeError:
		return d.Lose(task.Name)
	default:
		return nil
	}
}

func (d Double) begin(wf *wfv1.Workflow, task *wfv1.DAGTask, script Script) Event {
	ready, never := isReady(wf, task.Depends)
	switch {
	case never:
		return d.Omit(task.Name)
	case !ready:
		return nil
	case task.When == "false":
		return d.Skip(task.Name)
	case templateOf(wf, task.Name).Suspend != nil:
		return d.Ask(task.Name)
	}
	if outcome := script(wf, task.Name); outcome.Phase == wfv1.NodePending {
		return d.Pend(task.Name, outcome.Message)
	}
	return d.Run(task.Name)
}

// isReady evaluates the form that the translator writes: alternatives of one step in parentheses, all of which must
// hold. The second result says that it can hold no more.
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

// endOf is the phase of a Workflow all of whose steps have ended: a leaf that failed, or that a failure kept from
// running, fails it.
func endOf(wf *wfv1.Workflow) wfv1.WorkflowPhase {
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
