package translate

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// newWorkflow is a Workflow named fix in this phase, with these nodes.
func newWorkflow(phase wfv1.WorkflowPhase, nodes ...wfv1.NodeStatus) *wfv1.Workflow {
	wf := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Name: "fix"}}
	wf.Status.Phase = phase
	wf.Status.Nodes = wfv1.Nodes{}
	addNodes(wf, nodes...)
	return wf
}

// addNodes keeps nodes under the keys that Argo's own function computes.
func addNodes(wf *wfv1.Workflow, nodes ...wfv1.NodeStatus) {
	for _, node := range nodes {
		node.ID = wf.NodeID(node.Name)
		wf.Status.Nodes[node.ID] = node
	}
}

// pod is a node without retries.
func pod(name string, phase wfv1.NodePhase, options ...func(*wfv1.NodeStatus)) wfv1.NodeStatus {
	return node(wfv1.NodeTypePod, name, phase, options...)
}

func node(kind wfv1.NodeType, name string, phase wfv1.NodePhase, options ...func(*wfv1.NodeStatus)) wfv1.NodeStatus {
	n := wfv1.NodeStatus{Name: "fix." + name, Type: kind, Phase: phase, TemplateName: "noop"}
	for _, option := range options {
		option(&n)
	}
	return n
}

func at(second int64) metav1.Time { return metav1.Time{Time: time.Unix(second, 0)} }

func atPtr(second int64) *metav1.Time {
	t := at(second)
	return &t
}

// withTimes sets the times of a node; zero leaves one unset.
func withTimes(start, end int64) func(*wfv1.NodeStatus) {
	return func(n *wfv1.NodeStatus) {
		if start != 0 {
			n.StartedAt = at(start)
		}
		if end != 0 {
			n.FinishedAt = at(end)
		}
	}
}

// onHost puts the node's pod on a host.
func onHost(host string) func(*wfv1.NodeStatus) {
	return func(n *wfv1.NodeStatus) { n.HostNodeName = host }
}

func withMessage(message string) func(*wfv1.NodeStatus) {
	return func(n *wfv1.NodeStatus) { n.Message = message }
}

func synced(is bool) func(*wfv1.NodeStatus) {
	return func(n *wfv1.NodeStatus) { n.TaskResultSynced = &is }
}

func withExitCode(code string) func(*wfv1.NodeStatus) {
	return func(n *wfv1.NodeStatus) {
		if n.Outputs == nil {
			n.Outputs = &wfv1.Outputs{}
		}
		n.Outputs.ExitCode = &code
	}
}

func outputs(pairs ...string) func(*wfv1.NodeStatus) {
	return func(n *wfv1.NodeStatus) {
		n.Outputs = &wfv1.Outputs{}
		for i := 0; i < len(pairs); i += 2 {
			n.Outputs.Parameters = append(n.Outputs.Parameters, wfv1.Parameter{Name: pairs[i], Value: wfv1.AnyStringPtr(pairs[i+1])})
		}
	}
}

// pending is the status of steps before anything ran.
func pending(names ...string) []wfev1.StepStatus {
	steps := make([]wfev1.StepStatus, len(names))
	for i, name := range names {
		steps[i] = wfev1.StepStatus{Name: name, Action: "noop", Phase: wfev1.StepPending}
	}
	return steps
}

func copySteps(steps []wfev1.StepStatus) []wfev1.StepStatus {
	copied := make([]wfev1.StepStatus, len(steps))
	for i := range steps {
		copied[i] = *steps[i].DeepCopy()
	}
	return copied
}
