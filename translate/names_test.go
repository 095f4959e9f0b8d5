package translate

import (
	"strings"
	"testing"

	"github.com/expr-lang/expr/builtin"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/util/expr/argoexpr"
)

// taskResults are the results of a task with which Argo evaluates depends (workflow/controller/dag.go TaskResults).
type taskResults struct {
	Succeeded, Failed, Errored, Skipped, Omitted, Daemoned, AnySucceeded, AllFailed bool
}

// TestReservedNames evaluates each keyword and function of Argo's expressions as the name of a step.
func TestReservedNames(t *testing.T) {
	words := []string{
		"in", "not", "and", "or", "true", "false", "nil", "let", "if", "else", "matches", "contains", "new", "env", "tasks",
		"item", "status", "workflow", "main", "approval", "while", "for", "null", "is", "xor",
	}
	for _, function := range builtin.Builtins {
		words = append(words, function.Name)
	}
	for _, word := range words {
		if !isName(word, maxStepName) {
			continue
		}
		t.Run(word, func(t *testing.T) {
			scope := map[string]taskResults{word: {Succeeded: true}, "other": {Skipped: true}}
			var depends strings.Builder
			writeDepends(&depends, word, resultsOfSuccess)
			writeDepends(&depends, "other", resultsOfEnd)
			_, err := argoexpr.EvalBool(depends.String(), scope)
			if reserved := err != nil; reserved != reservedNames[word] {
				t.Errorf("Argo cannot evaluate the name: %t (%v), and it is reserved here: %t", reserved, err, reservedNames[word])
			}
		})
	}
}

// TestNodeID has Argo's own function as its oracle.
func TestNodeID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wf := wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Name: rapid.StringMatching(`[a-z][-a-z0-9]{0,20}`).Draw(t, "workflow")}}
		node := rapid.OneOf(rapid.Just(wf.Name), rapid.StringMatching(`[a-z.()0-9]{0,30}`)).Draw(t, "node")
		if diff := cmp.Diff(wf.NodeID(node), nodeID(wf.Name, node)); diff != "" {
			t.Errorf("ID of %q in %q (-want +got):\n%s", node, wf.Name, diff)
		}
	})
}

// These two names have one hash in this Workflow, found by trying.
const collidingWorkflow = "fix"

var collidingSteps = [2]string{"check-drain-409", "web-verify-6826"}

func TestCollidingStepsAreOneToArgo(t *testing.T) {
	wf := wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Name: collidingWorkflow}}
	a, b := wf.NodeID(taskNodeName(wf.Name, collidingSteps[0])), wf.NodeID(taskNodeName(wf.Name, collidingSteps[1]))
	if a != b {
		t.Errorf("the names no longer collide: %s and %s", a, b)
	}
}

func TestForbiddenSequence(t *testing.T) {
	checkSequences(t, forbiddenSequence, map[string]sequence{
		"Plain":          {reason: "Ordinary text is allowed.", text: "payment-api (v2) {a} $HOME }}", want: ""},
		"Template":       {reason: "Argo evaluates it.", text: "x{{y", want: "{{"},
		"ThreeBraces":    {reason: "Two of three braces open a tag.", text: "{{{", want: "{{"},
		"Expansion":      {reason: "The kubelet expands it.", text: "$(HOME)", want: "$("},
		"ParentheticDol": {reason: "The kubelet has no other form.", text: "$ (HOME) ${HOME}", want: ""},
	})
}

func TestGarbledSequence(t *testing.T) {
	checkSequences(t, corruptedSequence, map[string]sequence{
		"Plain":    {reason: "A dollar sign before a letter, a bracket or the end stays.", text: "$HOME ${HOME} $1 a$ b$", want: ""},
		"Doubled":  {reason: "The kubelet treats it as an escape.", text: "$1 echo $$", want: "$$"},
		"Tripled":  {reason: "The first two are an escape.", text: "$$$", want: "$$"},
		"NotASCII": {reason: "The kubelet treats the first byte as a character.", text: "5 $ or $€", want: "$€"},
		"NoText":   {reason: "What is no UTF-8 is none of ASCII either.", text: "$\xff", want: "$\xff"},
	})
}

// sequence is what is to be found in a text, and why.
type sequence struct{ reason, text, want string }

func checkSequences(t *testing.T, find func(string) string, cases map[string]sequence) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := find(tc.text); got != tc.want {
				t.Errorf("%s\nwant %q, got %q", tc.reason, tc.want, got)
			}
		})
	}
}
