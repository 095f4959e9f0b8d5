package translate

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// InitialSteps returns the status of the steps before any of them ran, in plan order; none if the graph is not valid.
func InitialSteps(spec *wfev1.WorkflowExecutionSpec) []wfev1.StepStatus {
	graph, problems := NewGraph(spec.Steps)
	if len(problems) > 0 {
		return nil
	}
	steps := make([]wfev1.StepStatus, 0, len(spec.Steps))
	for _, i := range graph.Order() {
		steps = append(steps, wfev1.StepStatus{Name: spec.Steps[i].Name, Action: spec.Steps[i].Action, Phase: wfev1.StepPending})
	}
	return steps
}

// Steps maps the nodes of a Workflow to steps. It is a function of the previous steps and the nodes, because Argo overwrites
// messages: a step that has ended remains as recorded, and the reason why a pod cannot start is kept until the step ends.
// Nodes are found by their computed ID, never by display name. It needs the nodes themselves: see Expand.
func Steps(previous []wfev1.StepStatus, wf *wfv1.Workflow) []wfev1.StepStatus {
	steps := make([]wfev1.StepStatus, len(previous))
	budget := maxOutputBytes
	if wf.Labels[wfev1.LabelRole] == wfev1.RoleRollback {
		budget = maxUndoOutputBytes
	}
	mostOfMessage := min(maxMessageBytes, maxMessagesBytes/max(1, len(previous)))
	for i := range previous { // recorded outputs come first, so that those of a step that ends later do not displace them
		if previous[i].Phase.IsTerminal() {
			budget -= sizeOf(previous[i].Outputs)
		}
	}
	for i := range previous {
		previous[i].DeepCopyInto(&steps[i])
		if !previous[i].Phase.IsTerminal() {
			mapStep(&steps[i], wf)
			steps[i].Outputs = boundOutputs(&steps[i], &budget)
			steps[i].Message = Truncate(steps[i].Message, mostOfMessage)
		}
	}
	return steps
}

func sizeOf(outputs []wfev1.Output) int {
	size := 0
	for i := range outputs {
		size += len(outputs[i].Name) + len(outputs[i].Value)
	}
	return size
}

// mapStep updates a step that has not ended from its nodes.
func mapStep(step *wfev1.StepStatus, wf *wfv1.Workflow) {
	ended := wf.Status.Fulfilled()
	node, found := findNode(wf, taskNodeName(wf.Name, step.Name))
	if !found {
		if ended {
			endWithoutNode(step, wf)
		}
		return
	}
	step.ArgoPhase = Truncate(string(node.Phase), maxPhaseBytes)
	tried := attemptsOf(wf, &node)
	mapAttempts(step, wf, &node, tried)
	if node.Fulfilled() || ended {
		mapEnd(step, wf, &node, tried)
		return
	}
	mapProgress(step, &node, tried)
}

func mapAttempts(step *wfev1.StepStatus, wf *wfv1.Workflow, node *wfv1.NodeStatus, tried attempts) {
	if node.Type == wfv1.NodeTypeSkipped || tried.count == 0 {
		return
	}
	step.StartTime = timeOf(tried.started)
	if step.Action == "" {
		return
	}
	step.Attempts = int32(tried.count) //nolint:gosec // bounded by maxAttempts
	step.PodName = podName(wf, tried.last)
}

// mapProgress updates a step whose node has not ended. A step is Pending until its first pod runs.
func mapProgress(step *wfev1.StepStatus, node *wfv1.NodeStatus, tried attempts) {
	last := tried.lastOr(node)
	switch {
	case node.Type == wfv1.NodeTypeSuspend:
		step.Phase = wfev1.StepAwaitingApproval
	case last.Phase == wfv1.NodePending || last.Phase == "":
		if tried.count <= 1 {
			step.Phase = wfev1.StepPending
		}
		if last.Message != "" {
			step.Message = Truncate(last.Message, maxMessageBytes)
			step.Reason = pendingReason(last.Message)
		}
	default:
		step.Phase = wfev1.StepRunning
		step.Reason, step.Message = "", Truncate(node.Message, maxMessageBytes)
	}
}

func mapEnd(step *wfev1.StepStatus, wf *wfv1.Workflow, node *wfv1.NodeStatus, tried attempts) {
	last := tried.lastOr(node)
	step.CompletionTime = timeOf(last.FinishedAt)
	if step.CompletionTime == nil {
		step.CompletionTime = timeOf(node.FinishedAt)
	}
	stopped := wf.Spec.Shutdown != "" && wasStopped(wf, node, last)
	if node.Type == wfv1.NodeTypeSuspend && node.Phase.Completed() && !stopped {
		endApproval(step, node)
		return
	}
	switch node.Phase {
	case wfv1.NodeSucceeded:
		step.Phase, step.Reason, step.Message = wfev1.StepCompleted, "", ""
		step.Outputs = outputsOf(node)
	case wfv1.NodeSkipped, wfv1.NodeOmitted:
		step.Phase, step.Reason, step.CompletionTime = wfev1.StepSkipped, "", nil
		step.Message = Truncate(node.Message, maxMessageBytes)
	case wfv1.NodeFailed, wfv1.NodeError:
		mapFailure(step, wf, node, last)
		step.Outputs = outputsOf(node)
	case wfv1.NodePending, wfv1.NodeRunning:
		endUnfinished(step, wf)
	default:
		step.Phase, step.Reason = wfev1.StepFailed, wfev1.ReasonUnknown
		step.Message = Truncate(fmt.Sprintf("Argo reports the unknown phase %q: %s", node.Phase, node.Message), maxMessageBytes)
	}
}

// mapFailure distinguishes a step that failed from one that was stopped: in Argo both are Failed (exec_control.go:42).
func mapFailure(step *wfev1.StepStatus, wf *wfv1.Workflow, node, last *wfv1.NodeStatus) {
	if wf.Spec.Shutdown != "" && wasStopped(wf, node, last) {
		endStopped(step, last)
		return
	}
	step.Phase = wfev1.StepFailed
	step.Reason, step.Message = classify(step, last)
}

// endStopped ends a step that was stopped. During a shutdown, Argo also creates nodes for the next steps and fails them at
// once: without a host, such a step never started.
func endStopped(step *wfev1.StepStatus, last *wfv1.NodeStatus) {
	if step.Action != "" && step.Attempts <= 1 && last.HostNodeName == "" {
		step.StartTime, step.CompletionTime, step.Attempts, step.PodName = nil, nil, 0, ""
		step.Phase, step.Reason, step.Message = wfev1.StepSkipped, "", "never started"
		return
	}
	step.Phase, step.Reason, step.Message = wfev1.StepCancelled, "", "stopped before it ended"
}

// endWithoutNode ends a step that has no node in a Workflow that has ended.
func endWithoutNode(step *wfev1.StepStatus, wf *wfv1.Workflow) {
	if step.StartTime == nil {
		step.Phase, step.Reason, step.Message = wfev1.StepSkipped, "", "never started"
		return
	}
	endUnfinished(step, wf)
}

// endUnfinished ends a step that had not ended when its Workflow ended.
func endUnfinished(step *wfev1.StepStatus, wf *wfv1.Workflow) {
	step.CompletionTime = timeOf(wf.Status.FinishedAt)
	if wf.Spec.Shutdown != "" {
		step.Phase, step.Reason, step.Message = wfev1.StepCancelled, "", "stopped before it ended"
		return
	}
	step.Phase, step.Reason = wfev1.StepFailed, wfev1.ReasonUnknown
	step.Message = Truncate("the Workflow ended before the step did: "+wf.Status.Message, maxMessageBytes)
}

// Running returns the number of pods of the Workflow that have not ended. If it is zero, ending the Workflow stops no step.
func Running(wf *wfv1.Workflow) int {
	running := 0
	for _, node := range wf.Status.Nodes {
		if node.Type == wfv1.NodeTypePod && !node.Fulfilled() {
			running++
		}
	}
	return running
}

// PendingPods is how many of the pods that Running counts have not started.
func PendingPods(wf *wfv1.Workflow) int {
	pending := 0
	for _, node := range wf.Status.Nodes {
		if node.Type == wfv1.NodeTypePod && node.Phase == wfv1.NodePending {
			pending++
		}
	}
	return pending
}

// IsIdle reports whether a Workflow has nodes and all of them except its DAG have ended: the next change must come from Argo.
func IsIdle(wf *wfv1.Workflow) bool {
	for _, node := range wf.Status.Nodes {
		if node.Type != wfv1.NodeTypeDAG && !node.Fulfilled() {
			return false
		}
	}
	return len(wf.Status.Nodes) > 0
}

// timeOf returns nil for an unset time: Argo writes the zero time for an unknown one.
func timeOf(t metav1.Time) *metav1.Time {
	if t.IsZero() || t.Unix() <= 0 {
		return nil
	}
	return t.DeepCopy()
}

// PendingSince returns the time since when a step's current pod waits to start, and the pod's name; nil if no pod waits.
func PendingSince(wf *wfv1.Workflow, step string) (*metav1.Time, string) {
	node, found := findNode(wf, taskNodeName(wf.Name, step))
	if !found {
		return nil, ""
	}
	last := attemptsOf(wf, &node).last
	if last == nil || last.Type != wfv1.NodeTypePod || last.Phase != wfv1.NodePending {
		return nil, ""
	}
	return timeOf(last.StartedAt), podName(wf, last)
}
