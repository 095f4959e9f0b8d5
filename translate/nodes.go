package translate

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// maxAttempts bounds how many attempts of a step are looked for; the schema allows 21.
const maxAttempts = 64

// nodeReader finds the nodes of a Workflow by their computed keys. Nodes are large and Argo's map holds values: those that
// are found are copied into the reader, one of a task and one of its attempts, until the next of the kind is asked for.
type nodeReader struct {
	wf        *wfv1.Workflow
	name, key []byte
	node      wfv1.NodeStatus
	attempt   wfv1.NodeStatus
}

func newNodeReader(wf *wfv1.Workflow) *nodeReader { return &nodeReader{wf: wf} }

// ofTask finds the node of a task; it is valid until the next one is asked for.
func (r *nodeReader) ofTask(task string) (*wfv1.NodeStatus, bool) {
	r.name = appendTaskNodeName(r.name[:0], r.wf.Name, task)
	return &r.node, r.read(&r.node)
}

// read finds the node that is called r.name. The name is compared too: keys are hashes.
func (r *nodeReader) read(into *wfv1.NodeStatus) bool {
	r.key = append(append(r.key[:0], r.wf.Name...), '-')
	r.key = strconv.AppendUint(r.key, uint64(fnv32a(r.name)), 10)
	node, ok := r.wf.Status.Nodes[string(r.key)]
	if !ok || node.Name != string(r.name) {
		return false
	}
	*into = node
	return true
}

// attempts is what was tried for a step.
type attempts struct {
	count   int
	started metav1.Time
	// last is the youngest attempt's node, nil where there is none.
	last *wfv1.NodeStatus
}

func (a attempts) lastOr(node *wfv1.NodeStatus) *wfv1.NodeStatus {
	if a.last != nil {
		return a.last
	}
	return node
}

// attempts finds the nodes that did the work: the children of a Retry node, or the node itself.
func (r *nodeReader) attempts(node *wfv1.NodeStatus) attempts {
	if node.Type != wfv1.NodeTypeRetry {
		return attempts{count: 1, started: node.StartedAt, last: node}
	}
	var found attempts
	for found.count < maxAttempts {
		r.name = append(append(r.name[:0], node.Name...), '(')
		r.name = append(strconv.AppendInt(r.name, int64(found.count), 10), ')')
		if !r.read(&r.attempt) {
			break
		}
		if found.count == 0 {
			found.started = r.attempt.StartedAt
		}
		found.count++
		found.last = &r.attempt
	}
	return found
}
