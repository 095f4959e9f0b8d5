package translate

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// maxAttempts bounds how many attempts of a step are read; the schema allows 21.
const maxAttempts = 64

// findNode finds a node by its name. Argo's keys are hashes of names, so the name is compared too.
func findNode(wf *wfv1.Workflow, name string) (wfv1.NodeStatus, bool) {
	node := wf.Status.Nodes[nodeID(wf.Name, name)]
	return node, node.Name == name
}

// attempts are the attempts of a step.
type attempts struct {
	count   int
	started metav1.Time
	// last is the node of the last attempt, nil if there is none.
	last *wfv1.NodeStatus
}

func (a attempts) lastOr(node *wfv1.NodeStatus) *wfv1.NodeStatus {
	if a.last != nil {
		return a.last
	}
	return node
}

// attemptsOf finds the attempts of a step by its node: the children of a Retry node, or the node itself.
func attemptsOf(wf *wfv1.Workflow, node *wfv1.NodeStatus) attempts {
	if node.Type != wfv1.NodeTypeRetry {
		return attempts{count: 1, started: node.StartedAt, last: node}
	}
	var all attempts
	for all.count < maxAttempts {
		attempt, found := findNode(wf, attemptNodeName(node.Name, all.count))
		if !found {
			break
		}
		if all.count == 0 {
			all.started, all.last = attempt.StartedAt, &wfv1.NodeStatus{}
		}
		all.count++
		*all.last = attempt
	}
	return all
}
