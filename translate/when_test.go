package translate

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/argoproj/argo-workflows/v3/util/template"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// tester is what testing.TB and rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// substituteLikeArgo does to a JSON document what Argo does: once when the DAG's template is taken in, where no task is
// known yet (workflow/common ProcessArgs), and once more before the task runs (dag.go resolveDependencyReferences).
func substituteLikeArgo(t tester, document string, tasks map[string]any) string {
	t.Helper()
	global, err := template.Replace(document, map[string]any{"workflow.name": "fix"}, true)
	if err != nil {
		t.Fatalf("Argo cannot take the template in: %v\n%s", err, document)
	}
	resolved, err := template.ReplaceStrictAny(global, tasks, []string{"tasks", "steps"})
	if err != nil {
		t.Fatalf("Argo cannot resolve the task: %v\n%s", err, global)
	}
	return resolved
}

// replaceLikeArgo is substituteLikeArgo for a string.
func replaceLikeArgo(t tester, text string, tasks map[string]any) string {
	t.Helper()
	document, err := json.Marshal(text)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var got string
	if err := json.Unmarshal([]byte(substituteLikeArgo(t, string(document), tasks)), &got); err != nil {
		t.Fatalf("%v", err)
	}
	return got
}

// holds evaluates a condition with Argo. Argo then evaluates the text once more (steps.go shouldExecute), for which
// only the two words may be left.
func holds(t tester, when *wfev1.When, tasks map[string]any) bool {
	t.Helper()
	switch text := replaceLikeArgo(t, "{{="+buildCondition(when)+"}}", tasks); text {
	case "true":
		return true
	case "false":
		return false
	default:
		t.Fatalf("want true or false, got %q from %s", text, buildCondition(when))
		return false
	}
}

func TestWhen(t *testing.T) {
	if got := buildCondition(nil); got != "" {
		t.Errorf("no condition is no text, got %q", got)
	}
	cases := map[string]struct {
		reason string
		when   wfev1.When
		value  string
		want   bool
	}{
		"InFirst":          {"A value of the list.", wfev1.When{Output: "o", Operator: wfev1.OperatorIn, Values: []string{"a", "b"}}, "a", true},
		"InLast":           {"Another value of the list.", wfev1.When{Output: "o", Operator: wfev1.OperatorIn, Values: []string{"a", "b"}}, "b", true},
		"InNone":           {"A prefix is not the value.", wfev1.When{Output: "o", Operator: wfev1.OperatorIn, Values: []string{"ab"}}, "a", false},
		"InEmpty":          {"The empty string is a value.", wfev1.When{Output: "o", Operator: wfev1.OperatorIn, Values: []string{""}}, "", true},
		"InTrue":           {"Words are not booleans.", wfev1.When{Output: "o", Operator: wfev1.OperatorIn, Values: []string{"true"}}, "true", true},
		"InNumber":         {"Words are not numbers.", wfev1.When{Output: "o", Operator: wfev1.OperatorIn, Values: []string{"5"}}, "5.0", false},
		"NotIn":            {"No value of the list.", wfev1.When{Output: "o", Operator: wfev1.OperatorNotIn, Values: []string{"a", "b"}}, "c", true},
		"NotInButIn":       {"A value of the list.", wfev1.When{Output: "o", Operator: wfev1.OperatorNotIn, Values: []string{"a", "b"}}, "b", false},
		"Exists":           {"The output is not empty.", wfev1.When{Output: "o", Operator: wfev1.OperatorExists}, "0", true},
		"ExistsNot":        {"The output is empty.", wfev1.When{Output: "o", Operator: wfev1.OperatorExists}, "", false},
		"DoesNotExist":     {"The output is empty.", wfev1.When{Output: "o", Operator: wfev1.OperatorDoesNotExist}, "", true},
		"DoesNotExistBut":  {"The output is not empty.", wfev1.When{Output: "o", Operator: wfev1.OperatorDoesNotExist}, " ", false},
		"Completed":        {"Argo's status is Succeeded.", wfev1.When{Operator: wfev1.OperatorIn, Values: []string{"Completed"}}, "Succeeded", true},
		"CompletedBut":     {"Argo's status is Failed.", wfev1.When{Operator: wfev1.OperatorIn, Values: []string{"Completed"}}, "Failed", false},
		"FailedError":      {"Argo has two words for a failure.", wfev1.When{Operator: wfev1.OperatorIn, Values: []string{"Failed"}}, "Error", true},
		"SkippedOmitted":   {"Argo has two words for what did not run.", wfev1.When{Operator: wfev1.OperatorIn, Values: []string{"Completed", "Skipped"}}, "Omitted", true},
		"NotFailed":        {"NotIn holds for the other phases.", wfev1.When{Operator: wfev1.OperatorNotIn, Values: []string{"Failed"}}, "Skipped", true},
		"NotFailedButFail": {"NotIn does not hold for the phase.", wfev1.When{Operator: wfev1.OperatorNotIn, Values: []string{"Failed"}}, "Failed", false},
		"EscapedMarkup": {
			"Argo undoes the JSON encoder's escapes in the text, wherever they stand.",
			wfev1.When{Output: "o", Operator: wfev1.OperatorIn, Values: []string{`\u003c`}}, `\u003c`, true,
		},
		"Markup":   {"What JSON escapes by itself.", wfev1.When{Output: "o", Operator: wfev1.OperatorIn, Values: []string{"<&>"}}, "<&>", true},
		"ClosesIt": {"A value cannot end the tag.", wfev1.When{Output: "o", Operator: wfev1.OperatorIn, Values: []string{`}} || true`}}, "x", false},
		"Escapes":  {"A value cannot end its literal.", wfev1.When{Output: "o", Operator: wfev1.OperatorIn, Values: []string{`"] || true || "" in ["`}}, "x", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.when.Step = "a-b"
			tasks := map[string]any{"tasks.a-b.status": tc.value, "tasks.a-b.outputs.parameters.o": tc.value, "tasks.a-b.outputs.parameters.p": "x"}
			if got := holds(t, &tc.when, tasks); got != tc.want {
				t.Errorf("%s\nwant %t, got %t from %s", tc.reason, tc.want, got, buildCondition(&tc.when))
			}
		})
	}
}

// hostileText draws strings of what has a meaning to JSON, to Argo's templates or to its expressions.
func hostileText() *rapid.Generator[string] {
	pieces := rapid.SampledFrom([]string{
		`"`, `'`, "`", `\`, "{", "}", "}}", "{=", "[", "]", "(", ")", ",", "\n", "\r", "\t", "\x00", "\x7f", "<", ">", "&", "|", "=",
		`\u003c`, `\u003e`, `\u0026`, `\x7b`, `\n`, "true", "false", "nil", "in", "not", "tasks", "ß", "大", "\U0001F600", "\u2028", "\ufeff", "$", "%s", "a", "0",
	})
	return rapid.OneOf(rapid.Map(rapid.SliceOfN(pieces, 0, 6), func(parts []string) string {
		var text string
		for _, part := range parts {
			text += part
		}
		return text
	}), rapid.StringN(0, 12, -1))
}

// TestWhenEvaluates compares Argo's evaluation with a plain one, for values that try to change the meaning.
func TestWhenEvaluates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clean := hostileText().Filter(func(s string) bool { return forbiddenSequence(s) == "" })
		values := rapid.SliceOfN(clean, 1, 4).Draw(t, "values")
		value := rapid.OneOf(rapid.SampledFrom(values), hostileText()).Draw(t, "value")
		when := &wfev1.When{Step: "s", Output: "o", Values: values}
		when.Operator = rapid.SampledFrom([]wfev1.Operator{
			wfev1.OperatorIn, wfev1.OperatorNotIn, wfev1.OperatorExists, wfev1.OperatorDoesNotExist,
		}).Draw(t, "operator")
		want := map[wfev1.Operator]bool{
			wfev1.OperatorIn: slices.Contains(values, value), wfev1.OperatorNotIn: !slices.Contains(values, value),
			wfev1.OperatorExists: value != "", wfev1.OperatorDoesNotExist: value == "",
		}[when.Operator]
		tasks := map[string]any{"tasks.s.status": "Succeeded", "tasks.s.outputs.parameters.o": value}
		if got := holds(t, when, tasks); got != want {
			t.Errorf("%q %s %q: want %t, got %t from %s", value, when.Operator, values, want, got, buildCondition(when))
		}
	})
}

// TestReferences resolves both forms of a reference with Argo.
func TestReferences(t *testing.T) {
	wfe := newExecution(
		newStep("p-1", runs("patch-object"), with("patch", "{}")),
		newStep("c", after("p-1"), runs("patch-object"), withOutput("patch", "p-1", "digest"), withOutput("note", "p-1", "previous"), withOutput("label", "p-1", "digest")),
	)
	wf := mustPlan(t, wfe, readCatalog(t)).Workflow(Options{})
	tasks := map[string]any{"tasks.p-1.outputs.parameters.digest": "sha256:ab", "tasks.p-1.outputs.parameters.previous": "e30="}
	got := map[string]string{}
	for _, argument := range wf.Spec.Templates[0].DAG.Tasks[1].Arguments.Parameters {
		got[argument.Name] = replaceLikeArgo(t, argument.Value.String(), tasks)
	}
	want := map[string]string{
		"dry-run": "false",
		"patch":   base64.StdEncoding.EncodeToString([]byte("sha256:ab")), // plain into an encoded parameter
		"note":    "e30=",                                                 // encoded already
		"label":   "sha256:ab",                                            // plain into plain
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}
