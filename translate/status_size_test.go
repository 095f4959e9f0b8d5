package translate

import (
	"fmt"
	"strings"
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// TestStatusFitsIntoEtcd gives every node of the largest execution and of its rollback the largest content. etcd takes 1.5 MiB,
// including the specification.
func TestStatusFitsIntoEtcd(t *testing.T) {
	const most = 1400 << 10
	hostile := map[string]func(*wfv1.NodeStatus){
		"failed steps":      func(n *wfv1.NodeStatus) { n.Phase = wfv1.NodeFailed },
		"completed steps":   func(n *wfv1.NodeStatus) { n.Phase = wfv1.NodeSucceeded },
		"pending steps":     func(n *wfv1.NodeStatus) { n.Phase = wfv1.NodePending },
		"running steps":     func(n *wfv1.NodeStatus) { n.Phase = wfv1.NodeRunning },
		"unfinished phases": func(n *wfv1.NodeStatus) { n.Phase = wfv1.NodePhase(strings.Repeat("p", 8<<10)) },
		"unknown types":     func(n *wfv1.NodeStatus) { n.Type, n.Phase = "Riddle", wfv1.NodeError },
	}
	for name, change := range hostile {
		t.Run(name, func(t *testing.T) {
			status := wfev1.WorkflowExecutionStatus{}
			status.Steps = hostileSteps(wfev1.RoleMain, change)
			status.RollbackSteps = hostileSteps(wfev1.RoleRollback, change)
			if n := len(mustJSON(t, status)); n > most {
				t.Errorf("the status has %d bytes, more than %d", n, most)
			}
		})
	}
}

// hostileSteps returns the maximum number of steps, with the longest names, mapped from their nodes.
func hostileSteps(role string, change func(*wfv1.NodeStatus)) []wfev1.StepStatus {
	wf := newWorkflow(wfv1.WorkflowRunning)
	wf.Labels = map[string]string{wfev1.LabelRole: role}
	var steps []wfev1.StepStatus
	for i := range MaxSteps {
		name := fmt.Sprintf("s%03d%s", i, strings.Repeat("x", maxStepName-4))
		node := pod(name, wfv1.NodeFailed, withTimes(1, 2), withMessage(strings.Repeat("long ", 20<<10)))
		node.Outputs = &wfv1.Outputs{Parameters: []wfv1.Parameter{
			{Name: "big", Value: wfv1.AnyStringPtr(strings.Repeat("v", maxValueBytes))},
			{Name: strings.Repeat("n", 1<<10), Value: wfv1.AnyStringPtr("v")},
		}}
		change(&node)
		addNodes(wf, node)
		steps = append(steps, wfev1.StepStatus{Name: name, Action: strings.Repeat("a", 63), Phase: wfev1.StepPending})
	}
	return Steps(steps, wf)
}
