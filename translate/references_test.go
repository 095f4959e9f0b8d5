package translate

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/workflow/common"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// argoGlobals are variables that every template of a Workflow can name.
var argoGlobals = common.Parameters{"workflow.name": "fix", "workflow.serviceAccountName": "secret-account"}

// readOutput is the execution in which step b passes the output "text" of step p-1 to an action, and its task.
func readOutput(tb testing.TB, options ...func(*wfev1.Step)) (*wfv1.Workflow, *wfv1.DAGTask) {
	tb.Helper()
	reader := newStep("b", append([]func(*wfev1.Step){after("p-1"), runs("report"), withOutput("text", "p-1", "text")}, options...)...)
	wf := mustPlan(tb, newExecution(newStep("p-1", runs("report")), reader), readCatalog(tb)).Workflow(Options{ServiceAccountName: "x"})
	return wf, &wf.Spec.Templates[0].DAG.Tasks[1]
}

func outputsOfReport(value string) map[string]any {
	return map[string]any{"tasks.p-1.status": "Succeeded", "tasks.p-1.outputs.parameters.text": value, "workflow.name": "fix"}
}

// processLikeArgo does to a task what Argo does before it creates the pod: it resolves the arguments (dag.go
// resolveDependencyReferences), puts them into the template and substitutes that twice more (ProcessArgs).
func processLikeArgo(t tester, wf *wfv1.Workflow, task *wfv1.DAGTask, tasks map[string]any) *wfv1.Template {
	t.Helper()
	encoded, err := json.Marshal(task.Arguments)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var arguments wfv1.Arguments
	if err := json.Unmarshal([]byte(substituteLikeArgo(t, string(encoded), tasks)), &arguments); err != nil {
		t.Fatalf("%v", err)
	}
	processed, err := common.ProcessArgs(wf.GetTemplateByName(task.Template), &arguments, argoGlobals, common.Parameters{"pod.name": "p"}, false, "shop", nil)
	if err != nil {
		t.Fatalf("Argo cannot process the arguments: %v", err)
	}
	return processed
}

// failedBy is the step that Argo reports when the condition of a task is this text instead of a boolean (steps.go
// shouldExecute).
func failedBy(text string) wfev1.StepStatus {
	message := fmt.Sprintf("Invalid 'when' expression '%s': Cannot transition token types from VARIABLE [output] to VARIABLE [refused]", text)
	wf := newWorkflow(wfv1.WorkflowRunning, node(wfv1.NodeTypeSkipped, "b", wfv1.NodeError, withMessage(message)))
	return Steps(pending("b"), wf)[0]
}

func TestOutputIsNotEvaluated(t *testing.T) {
	const prefix = "p" // a producer that Argo takes for one whose value is not known yet
	values := map[string]string{
		"Expression": `{{=sprig.repeat(20, "boom ")}}`, "Variable": "{{workflow.serviceAccountName}}", "Open": "{{", "Nested": "{{{=1+1}}}",
		"Environment": "$(HOME)", "Dollars": "a$$b", "DollarUnicode": "$ß", "Null": "a\x00b", "Delete": "a\x7fb", "Bell": "\a", "VerticalTab": "\v",
		"PrivateUse": "\U000f0000", "Large": strings.Repeat("x", maxValueBytes+1), "LargeUnicode": strings.Repeat("大", maxValueBytes/3+1),
		"Placeholder": "__argo__internal__placeholder-1 {{workflow.serviceAccountName}}", "AtTheEnd": prefix + "\n{{",
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			wf, task := readOutput(t)
			tasks := outputsOfReport(value)
			processed := processLikeArgo(t, wf, task, tasks) // also where the condition is not asked
			if text := mustJSON(t, processed); strings.Contains(text, "boom boom") || strings.Contains(text, "secret-account") || strings.Contains(text, "$(HOME)") {
				t.Errorf("an output was evaluated: %s", text)
			}
			got := failedBy(replaceLikeArgo(t, task.When, tasks))
			if got.Phase != wfev1.StepFailed || got.Reason != wfev1.ReasonInvalidSpec || !strings.Contains(got.Message, `output "text" of step "p-1"`) {
				t.Errorf("want a step that failed with InvalidSpec and names step and output, got %+v", got)
			}
		})
	}
}

// TestOutputArrivesOrFailsTheStep has an action print anything: the value arrives as it is, or the step that reads it fails.
func TestOutputArrivesOrFailsTheStep(t *testing.T) {
	wf, task := readOutput(t)
	refused, arrived := 0, 0
	pieces := rapid.SampledFrom([]string{"{{", "}}", "$(", "$", "$$", "__argo__internal__placeholder-", "{{=workflow.name}}", "{", "\a", "\v", "\U000e0001", "\u0085", "a"})
	values := rapid.OneOf(hostileText(), rapid.Map(rapid.SliceOfN(pieces, 0, 4), func(parts []string) string { return strings.Join(parts, "") }))
	rapid.Check(t, func(t *rapid.T) {
		value := strings.ToValidUTF8(values.Draw(t, "output"), "")
		tasks := outputsOfReport(value)
		passes := forbiddenSequence(value) == "" && carries(value)
		switch text := replaceLikeArgo(t, task.When, tasks); {
		case text == "true" && passes:
			arrived++
			if got := processLikeArgo(t, wf, task, tasks).Container.Env[0].Value; got != value {
				t.Fatalf("want %q, got %q", value, got)
			}
		case text != "true" && !passes:
			refused++
			if got := failedBy(text); got.Reason != wfev1.ReasonInvalidSpec {
				t.Fatalf("%q: want InvalidSpec, got %+v", value, got)
			}
		default:
			t.Fatalf("%q: the value can pass: %t, but the condition is %q", value, passes, text)
		}
	})
	if refused == 0 || arrived == 0 {
		t.Errorf("%d values were refused and %d arrived: the test draws too little", refused, arrived)
	}
}

// TestOutputThatFitsArrives has an output of the largest size.
func TestOutputThatFitsArrives(t *testing.T) {
	wf, task := readOutput(t)
	tasks := outputsOfReport(strings.Repeat("x", maxValueBytes))
	if text := replaceLikeArgo(t, task.When, tasks); text != "true" {
		t.Errorf("want true, got %q", Truncate(text, 100))
	}
	if got := processLikeArgo(t, wf, task, tasks).Container.Env[0].Value; len(got) != maxValueBytes {
		t.Errorf("want %d bytes, got %d", maxValueBytes, len(got))
	}
}

// TestEncodedOutput has an output that is declared as base64, and one that is encoded on its way.
func TestEncodedOutput(t *testing.T) {
	wfe := newExecution(
		newStep("p-1", runs("patch-object"), with("patch", "{}")),
		newStep("b", after("p-1"), runs("patch-object"), withOutput("patch", "p-1", "previous"), withOutput("note", "p-1", "digest")),
	)
	wf := mustPlan(t, wfe, readCatalog(t)).Workflow(Options{})
	task := &wf.Spec.Templates[0].DAG.Tasks[1]
	hostile := "{{workflow.serviceAccountName}}$(HOME)\x00"
	encoded := base64.StdEncoding.EncodeToString([]byte(hostile))
	cases := map[string]struct {
		reason           string
		previous, digest string
		patch            string
		when             string
	}{
		"Exact":  {"Encoded values are exact, whatever they hold.", encoded, hostile, encoded, "true"},
		"Lie":    {"An action that declares base64 and prints something else fails the step that reads it.", hostile, "x", "", "output previous of step p-1 refused"},
		"TooBig": {"A value that is encoded on its way has the same bound.", encoded, strings.Repeat("x", maxValueBytes+1), encoded, "output digest of step p-1 refused"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tasks := map[string]any{"tasks.p-1.outputs.parameters.previous": tc.previous, "tasks.p-1.outputs.parameters.digest": tc.digest}
			if diff := cmp.Diff(tc.when, replaceLikeArgo(t, task.When, tasks)); diff != "" {
				t.Errorf("%s\ncondition (-want +got):\n%s", tc.reason, diff)
			}
			got := map[string]string{}
			for _, parameter := range processLikeArgo(t, wf, task, tasks).Inputs.Parameters {
				got[parameter.Name] = parameter.Value.String()
			}
			if got["patch"] != tc.patch || got["note"] != base64.StdEncoding.EncodeToString([]byte(tc.digest)) {
				t.Errorf("%s\ngot patch %q, note %q", tc.reason, Truncate(got["patch"], 200), Truncate(got["note"], 200))
			}
		})
	}
}

// TestConditionComesBeforeOutputs has a step with a condition of its own: where that does not hold, the step is skipped,
// whatever its parameters would read.
func TestConditionComesBeforeOutputs(t *testing.T) {
	cases := map[string]struct {
		reason string
		option func(*wfev1.Step)
		value  string
		want   string
	}{
		"Skipped":      {"The condition does not hold, so nothing is read.", when("p-1", "", wfev1.OperatorIn, "Failed"), "{{x}}", "false"},
		"Refused":      {"The condition holds, and the output is refused.", when("p-1", "", wfev1.OperatorIn, "Completed"), "{{x}}", "output text of step p-1 refused"},
		"Runs":         {"The condition holds, and the output can be read.", when("p-1", "", wfev1.OperatorIn, "Completed"), "x", "true"},
		"OnTheOutput":  {"A condition may ask for the output that a parameter reads.", when("p-1", "text", wfev1.OperatorExists), "{{x}}", "output text of step p-1 refused"},
		"NotTheOutput": {"A condition on an output compares it as it is.", when("p-1", "text", wfev1.OperatorIn, "a"), "{{=1}}", "false"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			wf, task := readOutput(t, tc.option)
			if err := validateWithArgo(wf); err != nil {
				t.Fatal(err)
			}
			if got := replaceLikeArgo(t, task.When, outputsOfReport(tc.value)); got != tc.want {
				t.Errorf("%s\nwant %q, got %q from %s", tc.reason, tc.want, got, task.When)
			}
		})
	}
}

// TestOnlyTheTranslatorRefusesOutputs has an action print what the translator writes into a condition.
func TestOnlyTheTranslatorRefusesOutputs(t *testing.T) {
	wf := newWorkflow(wfv1.WorkflowRunning, pod("a", wfv1.NodeFailed, withMessage("main: Error (exit code 1): Invalid 'when' expression 'output text of step p-1 refused'")))
	if got := Steps(pending("a"), wf)[0]; got.Reason != wfev1.ReasonActionFailed {
		t.Errorf("want ActionFailed, got %+v", got)
	}
}
