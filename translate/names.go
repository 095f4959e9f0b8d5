package translate

import (
	"strconv"
	"strings"
	"unicode/utf8"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

const (
	// MaxSteps is the most steps that an execution may have.
	MaxSteps = 500
	// maxStepName bounds a step's name so that Argo's node and pod names stay within what Kubernetes takes.
	maxStepName = 40
	// maxExecutionName leaves room for the rollback's suffix within 63 characters, which label values may have.
	maxExecutionName = 54

	// podNameFormatAnnotation tells how a Workflow's pods are named: v1 or v2 (workflow/util/pod_name.go).
	podNameFormatAnnotation = "workflows.argoproj.io/pod-name-format"
	// maxPodNamePrefix is Argo's bound on what precedes the hash in a pod's name.
	maxPodNamePrefix = 253 - 10 - 1
)

// reservedNames are the words of the language in which Argo evaluates depends (github.com/expr-lang/expr): a step of
// such a name would be read as an operator.
var reservedNames = map[string]bool{
	"and": true, "contains": true, "else": true, "false": true, "if": true, "in": true, "let": true, "matches": true,
	"nil": true, "not": true, "or": true, "true": true,
}

// isName reports whether s is a lower-case name that starts with a letter, as steps and actions have.
func isName(s string, most int) bool {
	if s == "" || len(s) > most || s[0] < 'a' || s[0] > 'z' || s[len(s)-1] == '-' {
		return false
	}
	return isDNSLabel(s)
}

func isDNSLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// nodeID is the key of a node in a Workflow's status (Workflow.NodeID).
func nodeID(workflow, nodeName string) string {
	if nodeName == workflow {
		return workflow
	}
	return hashed(workflow, nodeName)
}

// taskNodeName is the name of a task's node: the entrypoint's node is named like the Workflow.
func taskNodeName(workflow, task string) string { return workflow + "." + task }

func appendTaskNodeName(to []byte, workflow, task string) []byte {
	return append(append(append(to, workflow...), '.'), task...)
}

// podName is the name of the pod of a node. Nodes do not carry it: Argo generates it from the Workflow, the template
// and the node (workflow/util/pod_name.go GeneratePodName).
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
	return hashed(prefix, node.Name)
}

// hashed is how Argo makes names and keys short.
func hashed(prefix, name string) string {
	return prefix + "-" + strconv.FormatUint(uint64(fnv32a(name)), 10)
}

func templateOf(node *wfv1.NodeStatus) string {
	if node.TemplateRef != nil {
		return node.TemplateRef.Template
	}
	return node.TemplateName
}

// fnv32a is package hash/fnv's function of this name, which would copy a string to the heap.
func fnv32a[text string | []byte](s text) uint32 {
	const offset, prime = 2166136261, 16777619
	hash := uint32(offset)
	for i := range len(s) {
		hash = (hash ^ uint32(s[i])) * prime
	}
	return hash
}

// forbiddenSequence finds text that Argo ("{{") or the kubelet ("$(") would expand; there is no escape for either.
func forbiddenSequence(s string) string {
	for _, sequence := range []string{"{{", "$("} {
		if strings.Contains(s, sequence) {
			return sequence
		}
	}
	return ""
}

// garbledSequence finds a dollar sign that the kubelet would not hand on as it is in a value of the environment: it makes
// "$$" one of them, and reads what follows one as a single byte, which breaks any other character than one of ASCII.
func garbledSequence(s string) string {
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
