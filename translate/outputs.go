package translate

import (
	"fmt"
	"unicode/utf8"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	// maxMessageBytes bounds every message of a status.
	maxMessageBytes = 1024
	// maxMessagesBytes bounds the messages of all steps together: the more steps, the shorter each message.
	maxMessagesBytes = 128 << 10
	// maxOutputBytes bounds the outputs of all steps of an execution together, so that its status fits into etcd. No step
	// reads the outputs of a rollback, so they have a smaller bound.
	maxOutputBytes     = 512 << 10
	maxUndoOutputBytes = 64 << 10
	// maxPhaseBytes bounds a phase that Argo reports; its own have at most nine.
	maxPhaseBytes = 64
)

// outputsOf lists a node's output parameters in the template's order.
func outputsOf(node *wfv1.NodeStatus) []wfev1.Output {
	if node.Outputs == nil {
		return nil
	}
	var outputs []wfev1.Output
	for _, parameter := range node.Outputs.Parameters {
		if parameter.Value != nil {
			outputs = append(outputs, wfev1.Output{Name: parameter.Name, Value: parameter.Value.String()})
		}
	}
	return outputs
}

// boundOutputs drops the outputs that do not fit. It does not truncate a value: an undo would restore the truncated one.
func boundOutputs(step *wfev1.StepStatus, budget *int) []wfev1.Output {
	kept := step.Outputs[:0]
	for _, output := range step.Outputs {
		size := len(output.Name) + len(output.Value)
		if len(output.Value) > maxValueBytes || size > *budget {
			step.Message = Truncate(fmt.Sprintf("output %q was dropped: it has %d bytes. %s", output.Name, len(output.Value), step.Message), maxMessageBytes)
			continue
		}
		*budget -= size
		kept = append(kept, output)
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// Truncate cuts s to at most n bytes without breaking a character.
func Truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const ellipsis = "…"
	cut := n - len(ellipsis)
	if cut < 0 {
		return ""
	}
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + ellipsis
}
