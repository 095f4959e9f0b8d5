package translate

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/util/file"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// expiredMessage begins the message of an approval that was not decided in time, and distinguishes it from a rejected one.
const expiredMessage = "not decided within"

// Decision is the end of an approval, to be written to its node.
type Decision struct {
	// NodeID is the node's key in the Workflow's status.
	NodeID string
	// Phase is Succeeded for approved, Failed for rejected or expired.
	Phase wfv1.NodePhase
	// Message says who decided, and why.
	Message string
}

// Decide returns the decision for an approval of the specification.
func Decide(wf *wfv1.Workflow, approval *wfev1.Approval) Decision {
	decision := Decision{NodeID: nodeID(wf.Name, taskNodeName(wf.Name, approval.Step)), Phase: wfv1.NodeSucceeded, Message: "approved"}
	if !approval.Approved {
		decision.Phase, decision.Message = wfv1.NodeFailed, "rejected"
	}
	if approval.By != "" {
		decision.Message += " by " + approval.By
	}
	if approval.Reason != "" {
		decision.Message += ": " + approval.Reason
	}
	return decision
}

// Expire returns the decision for an approval that was not decided within its timeout, in seconds.
func Expire(wf *wfv1.Workflow, step string, timeout int32) Decision {
	return Decision{
		NodeID:  nodeID(wf.Name, taskNodeName(wf.Name, step)),
		Phase:   wfv1.NodeFailed,
		Message: fmt.Sprintf("%s %d s", expiredMessage, timeout),
	}
}

// DecisionPatch returns the JSON merge patch that writes decisions to the nodes of a Workflow. The patch has the Workflow's
// resourceVersion. Nodes that Argo compressed are compressed again with the decisions in them and not written as plain
// nodes: Argo ignores compressed nodes beside a plain one (packer.go:30).
func DecisionPatch(wf *wfv1.Workflow, decisions []Decision, now metav1.Time) ([]byte, error) {
	nodes := map[string]any{}
	changed := maps.Clone(wf.Status.Nodes)
	for _, decision := range decisions {
		node, found := wf.Status.Nodes[decision.NodeID]
		if !found || node.Type != wfv1.NodeTypeSuspend || node.Phase != wfv1.NodeRunning {
			return nil, fmt.Errorf("node %s does not wait for an approval", decision.NodeID)
		}
		node.Phase, node.Message, node.FinishedAt = decision.Phase, decision.Message, now
		changed[decision.NodeID] = node
		nodes[decision.NodeID] = map[string]any{"phase": node.Phase, "message": node.Message, "finishedAt": now}
	}
	status := map[string]any{"nodes": nodes}
	if wf.Status.CompressedNodes != "" {
		encoded, err := json.Marshal(changed)
		if err != nil {
			return nil, fmt.Errorf("encode the nodes: %w", err)
		}
		status = map[string]any{"compressedNodes": file.CompressEncodeString(string(encoded))}
	}
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": wf.ResourceVersion},
		"status":   status,
	})
}

// AwaitsApproval reports whether a step waits for an approval.
func AwaitsApproval(steps []wfev1.StepStatus) bool {
	for i := range steps {
		if steps[i].Phase == wfev1.StepAwaitingApproval {
			return true
		}
	}
	return false
}

// endApproval maps the end of an approval's node. A node that was resumed in Argo is approved, and its message says so.
func endApproval(step *wfev1.StepStatus, node *wfv1.NodeStatus) {
	step.Reason, step.Message = "", Truncate(node.Message, maxMessageBytes)
	if node.Phase == wfv1.NodeSucceeded {
		step.Phase = wfev1.StepCompleted
		if !strings.HasPrefix(node.Message, "approved") {
			step.Message = decidedInArgo("approved", node.Message)
		}
		return
	}
	step.Phase, step.Reason = wfev1.StepFailed, wfev1.ReasonApprovalRejected
	if node.Message == "" {
		step.Message = decidedInArgo("rejected", "")
	}
	if strings.HasPrefix(node.Message, expiredMessage) {
		step.Reason = wfev1.ReasonApprovalTimeout
	}
}

// decidedInArgo describes a decision that was made in Argo itself, which may have no message.
func decidedInArgo(decision, message string) string {
	if message == "" {
		return decision + " in Argo"
	}
	return Truncate(decision+" in Argo: "+message, maxMessageBytes)
}
