package translate

import (
	"encoding/json"
	"fmt"
	"strings"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// terminationMessage is the message that an action writes to its termination log before it fails.
type terminationMessage struct {
	Reason  wfev1.FailureReason `json:"reason"`
	Message string              `json:"message"`
}

// actionReasons are the reasons that an action may report. The controller finds the others itself.
var actionReasons = map[wfev1.FailureReason]bool{
	wfev1.ReasonActionFailed: true, wfev1.ReasonForbidden: true, wfev1.ReasonInvalidSpec: true,
	wfev1.ReasonDeadlineExceeded: true, wfev1.ReasonUnknown: true,
}

// pattern is a part of a message that indicates a reason. It matches whole words: "room" does not match "oom".
type pattern struct {
	words  string
	reason wfev1.FailureReason
}

// terminatedBySignal is the end of a container by SIGTERM. A step's pod receives SIGTERM when it is deleted or evicted, or when
// Argo shuts its Workflow down; wasStopped excludes the latter.
const terminatedBySignal = "exit code 143"

// argoTimeout is the whole message of a node whose pod did not start within the template's timeout (operator.go:127).
const argoTimeout = "timeout"

// failurePatterns are the messages of Argo (workflow/controller/operator.go, exec_control.go) and the kubelet.
var failurePatterns = []pattern{
	{"OOMKilled", wfev1.ReasonOOMKilled},
	{"ImagePullBackOff", wfev1.ReasonImagePullBackOff},
	{"ErrImagePull", wfev1.ReasonImagePullBackOff},
	{"ErrImageNeverPull", wfev1.ReasonImagePullBackOff},
	{"InvalidImageName", wfev1.ReasonImagePullBackOff},
	{"longer than the specified deadline", wfev1.ReasonDeadlineExceeded},
	{"exceeded its deadline", wfev1.ReasonDeadlineExceeded},
	{"pod deleted", wfev1.ReasonPodDeleted},
	{"Evicted", wfev1.ReasonPodDeleted},
	{"The node was low on resource", wfev1.ReasonPodDeleted},
	{"forbidden", wfev1.ReasonForbidden},
	{terminatedBySignal, wfev1.ReasonPodDeleted},
}

// pendingPatterns are the reasons why a pod cannot start that are known before its step ends.
var pendingPatterns = []pattern{
	{"ImagePullBackOff", wfev1.ReasonImagePullBackOff},
	{"ErrImagePull", wfev1.ReasonImagePullBackOff},
	{"ErrImageNeverPull", wfev1.ReasonImagePullBackOff},
	{"InvalidImageName", wfev1.ReasonImagePullBackOff},
}

// classify finds the reason of a failed step from its last attempt, and the message to show. If the attempt ended because its
// pod never started, the reason is the one that was recorded while the pod was pending: Argo overwrites it
// (operator.go:1674).
func classify(step *wfev1.StepStatus, last *wfv1.NodeStatus) (wfev1.FailureReason, string) {
	if reported, ok := parseTermination(last.Message); ok {
		return reported.Reason, Truncate(reported.Message, maxMessageBytes)
	}
	if refusal := describeRefusal(last); refusal != "" {
		return wfev1.ReasonInvalidSpec, refusal
	}
	reason := match(failurePatterns, last.Message)
	if last.Message == argoTimeout {
		reason = wfev1.ReasonDeadlineExceeded
	}
	if step.Reason != "" && (reason == wfev1.ReasonDeadlineExceeded || reason == wfev1.ReasonPodDeleted) {
		return step.Reason, Truncate(fmt.Sprintf("the pod did not start in time: %s", step.Message), maxMessageBytes)
	}
	if reason == "" && last.Phase == wfv1.NodeFailed {
		reason = wfev1.ReasonActionFailed
	}
	if reason == "" {
		reason = wfev1.ReasonUnknown
	}
	message := last.Message
	if message == "" {
		message = "Argo gave no message; see the pod's log"
	}
	return reason, Truncate(message, maxMessageBytes)
}

// pendingReason returns the reason why a pod cannot start; empty if the pod may still start without a change.
func pendingReason(message string) wfev1.FailureReason { return match(pendingPatterns, message) }

func match(patterns []pattern, message string) wfev1.FailureReason {
	for _, p := range patterns {
		if hasWords(message, p.words) {
			return p.reason
		}
	}
	return ""
}

// hasWords reports whether text contains words that are not parts of longer words.
func hasWords(text, words string) bool {
	for from := 0; ; {
		at := strings.Index(text[from:], words)
		if at < 0 {
			return false
		}
		start, end := from+at, from+at+len(words)
		if !isWordByte(text, start-1) && !isWordByte(text, end) {
			return true
		}
		from = start + 1
	}
}

func isWordByte(text string, i int) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	c := text[i]
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// parseTermination reads an action's termination message from the node's message:
// "main: Error (exit code 64): {…}" (operator.go:1730).
func parseTermination(message string) (terminationMessage, bool) {
	var reported terminationMessage
	start := strings.Index(message, "{")
	if start < 0 || !strings.Contains(message[:start], "(exit code ") {
		return reported, false
	}
	if err := json.NewDecoder(strings.NewReader(message[start:])).Decode(&reported); err != nil {
		return terminationMessage{}, false
	}
	if !actionReasons[reported.Reason] {
		reported.Reason = wfev1.ReasonActionFailed
	}
	if reported.Reason == wfev1.ReasonActionFailed && hasWords(message[:start], terminatedBySignal) {
		reported.Reason = wfev1.ReasonPodDeleted
	}
	if reported.Message == "" {
		reported.Message = message
	}
	return reported, true
}

// wasStopped reports whether a node failed because of a shutdown. A retried step that used up its attempts, or whose exit code
// excludes retries, failed by itself, although Argo notes the shutdown on its Retry node. Argo stops a pod before it records
// the reason (exec_control.go:48): if that write fails, only the exit code shows it.
func wasStopped(wf *wfv1.Workflow, node, last *wfv1.NodeStatus) bool {
	const bySignal, byRetry = "workflow shutdown with strategy", "Stopped with strategy"
	if strings.Contains(last.Message, bySignal) || hasWords(last.Message, terminatedBySignal) {
		return true
	}
	if !strings.Contains(node.Message, byRetry) || node.Type != wfv1.NodeTypeRetry {
		return node.Type == wfv1.NodeTypeSuspend && strings.Contains(node.Message, byRetry) // operator.go:1342
	}
	if last.Outputs != nil && last.Outputs.ExitCode != nil && *last.Outputs.ExitCode == ExitCodeNeverWorks {
		return false
	}
	return !attemptsUsedUp(wf, node)
}

func attemptsUsedUp(wf *wfv1.Workflow, node *wfv1.NodeStatus) bool {
	for i := range wf.Spec.Templates {
		t := &wf.Spec.Templates[i]
		if t.Name == node.TemplateName && t.RetryStrategy != nil && t.RetryStrategy.Limit != nil {
			return attemptsOf(wf, node).count > t.RetryStrategy.Limit.IntValue()
		}
	}
	return false
}
