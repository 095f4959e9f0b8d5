package translate

import (
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

const (
	// MaxSteps is the most steps that an execution may have.
	MaxSteps = 500
	// MaxApprovals is the most approval steps that an execution may have: spec.approvals holds one decision for each.
	MaxApprovals = 100
	// maxStepName bounds a step's name so that Argo's names of nodes and pods are valid in Kubernetes.
	maxStepName = 40
	// maxExecutionName leaves room for the rollback's suffix within the 63 characters of a label's value.
	maxExecutionName = 54

	// podNameFormatAnnotation is the version of the names of a Workflow's pods: v1 or v2 (workflow/util/pod_name.go).
	podNameFormatAnnotation = "workflows.argoproj.io/pod-name-format"
	// maxPodNamePrefix is Argo's bound on the part of a pod's name before the hash.
	maxPodNamePrefix = 253 - 10 - 1
)

// reservedNames are the keywords of the language in which Argo evaluates depends (github.com/expr-lang/expr). A step with
// such a name would be parsed as an operator.
var reservedNames = map[string]bool{
	"and": true, "contains": true, "else": true, "false": true, "if": true, "in": true, "let": true, "matches": true,
	"nil": true, "not": true, "or": true, "true": true,
}

// parameterNamePattern is what parameters and outputs are called, so that expressions can name them without an escape.
var parameterNamePattern = regexp.MustCompile(`^[-_A-Za-z0-9]+$`)

// isName reports whether s can be the name of a step or an action, with at most this many characters.
func isName(s string, most int) bool { return len(s) <= most && isDNSLabel(s) && s[0] >= 'a' }

func isDNSLabel(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && s[0] != '-' && s[len(s)-1] != '-'
}

// nodeID is the key of a node in a Workflow's status, as Argo's Workflow.NodeID computes it.
func nodeID(workflow, nodeName string) string {
	if nodeName == workflow {
		return workflow
	}
	return appendHash(workflow, nodeName)
}

// appendHash appends the hash of a name, as Argo does to shorten names.
func appendHash(prefix, name string) string {
	return prefix + "-" + strconv.FormatUint(uint64(hashOf(name)), 10)
}

func hashOf(name string) uint32 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(name)) // a hash never fails
	return hash.Sum32()
}

// taskNodeName is the name of a task's node: the node of the entrypoint is named like the Workflow.
func taskNodeName(workflow, task string) string { return workflow + "." + task }

// attemptNodeName is the name of the node of an attempt, counted from zero.
func attemptNodeName(node string, attempt int) string {
	return node + "(" + strconv.Itoa(attempt) + ")"
}

// podName returns the name of a node's pod. Nodes do not have it: Argo generates it from the Workflow, the template and the
// node (workflow/util/pod_name.go GeneratePodName).
func podName(wf *wfv1.Workflow, node *wfv1.NodeStatus) string {
	if wf.Annotations[podNameFormatAnnotation] == "v1" {
		return node.ID
	}
	if node.Name == wf.Name {
		return wf.Name
	}
	prefix := wf.Name
	if template := templateOf(node); template != "" {
		prefix += "-" + template
	}
	if len(prefix) > maxPodNamePrefix {
		prefix = prefix[:maxPodNamePrefix]
	}
	return appendHash(prefix, node.Name)
}

func templateOf(node *wfv1.NodeStatus) string {
	if node.TemplateRef != nil {
		return node.TemplateRef.Template
	}
	return node.TemplateName
}

// forbiddenSequence finds text that Argo ("{{") or the kubelet ("$(") would expand; neither can be escaped.
func forbiddenSequence(s string) string {
	for _, sequence := range []string{"{{", "$("} {
		if strings.Contains(s, sequence) {
			return sequence
		}
	}
	return ""
}

// corruptedSequence finds a dollar sign that the kubelet would change in the value of an environment variable: it replaces
// "$$" by "$", and reads the character after a "$" as a single byte, which corrupts every character outside of ASCII.
func corruptedSequence(s string) string {
	for rest := s; ; {
		_, after, found := strings.Cut(rest, "$")
		if !found || after == "" {
			return ""
		}
		if next, size := utf8.DecodeRuneInString(after); next == '$' || next >= utf8.RuneSelf {
			return "$" + after[:size]
		}
		rest = after
	}
}
