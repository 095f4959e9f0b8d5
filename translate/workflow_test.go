package translate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// goldenOptions are the settings of the installation in which the golden cases are translated.
func goldenOptions(name string) Options {
	options := Options{ServiceAccountName: "steps"}
	if name == "instance-id" {
		options.InstanceID = "production"
	}
	return options
}

// TestWorkflowGolden translates each testdata/workflow/<case>/in.yaml and compares with want.yaml beside it. Each golden
// Workflow is one that Argo accepts.
func TestWorkflowGolden(t *testing.T) {
	catalog := readCatalog(t)
	inputs, err := filepath.Glob("testdata/workflow/*/in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("there are no cases: %v", err)
	}
	for _, input := range inputs {
		directory := filepath.Dir(input)
		name := filepath.Base(directory)
		t.Run(name, func(t *testing.T) {
			wf := mustPlan(t, readExecution(t, input), catalog).Workflow(goldenOptions(name))
			checkGolden(t, directory, wf)
		})
	}
}

// checkGolden compares a Workflow with want.yaml of a case, and validates it with Argo's validator.
func checkGolden(t *testing.T, directory string, wf *wfv1.Workflow) {
	t.Helper()
	if err := validateWithArgo(wf); err != nil {
		t.Errorf("Argo refuses the Workflow: %v", err)
	}
	got, err := yaml.Marshal(wf)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join(directory, "want.yaml")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("workflow (-want +got); run with -update when the change is meant:\n%s", diff)
	}
}

func readExecution(tb testing.TB, path string) *wfev1.WorkflowExecution {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	wfe := &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict(content, wfe); err != nil {
		tb.Fatal(err)
	}
	return wfe
}

// templateNames are the names of a Workflow's templates beside its DAG, in order.
func templateNames(wf *wfv1.Workflow) []string {
	var names []string
	for _, template := range wf.Spec.Templates {
		if template.DAG == nil {
			names = append(names, template.Name)
		}
	}
	return names
}

func TestWorkflowTemplatesAreShared(t *testing.T) {
	var many []wfev1.Step
	for i := range MaxSteps {
		switch name := fmt.Sprintf("s%d", i); i % 3 {
		case 0:
			many = append(many, newStep(name, with("text", name), runs("report")))
		case 1:
			many = append(many, newStep(name, runs("run-script"), after(fmt.Sprintf("s%d", i-1))))
		default:
			many = append(many, scaleStep(name))
		}
	}
	retried := func(limit int32, backoff *int32) func(*wfev1.Step) {
		return func(s *wfev1.Step) { s.Retry = &wfev1.Retry{Limit: limit, BackoffSeconds: backoff} }
	}
	timed := func(seconds int32) func(*wfev1.Step) { return func(s *wfev1.Step) { s.TimeoutSeconds = &seconds } }
	cases := map[string]struct {
		reason string
		steps  []wfev1.Step
		want   []string
	}{
		"FiveHundredSteps": {
			reason: "500 steps of 3 actions are 3 templates.", steps: many, want: []string{"report", "run-script", "scale-deployment"},
		},
		"TimeoutsDiffer": {
			reason: "In Argo a timeout belongs to the template.",
			steps:  []wfev1.Step{newStep("a"), newStep("b", timed(5)), newStep("c", timed(6)), newStep("d", timed(5))},
			want:   []string{"noop", "noop-2", "noop-3"},
		},
		"RetriesDiffer": {
			reason: "In Argo a retry belongs to the template.",
			steps:  []wfev1.Step{newStep("a", retried(1, nil)), newStep("b", retried(2, nil)), newStep("c", retried(1, ptr.To[int32](9)))},
			want:   []string{"noop", "noop-2", "noop-3"},
		},
		"DefaultedRetryIsTheSame": {
			reason: "A retry that is spelt out as the defaults say is no other retry.",
			steps:  []wfev1.Step{newStep("a", retried(1, nil)), newStep("b", retried(1, ptr.To[int32](5)))},
			want:   []string{"noop"},
		},
		"Approvals": {
			reason: "All approvals wait in one template.",
			steps:  []wfev1.Step{newStep("a", asApproval("A?")), newStep("b", asApproval("B?")), newStep("c", asApproval(""))},
			want:   []string{"approval"},
		},
	}
	catalog := readCatalog(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			wf := mustPlan(t, newExecution(tc.steps...), catalog).Workflow(Options{})
			if diff := cmp.Diff(tc.want, templateNames(wf)); diff != "" {
				t.Errorf("%s\ntemplates (-want +got):\n%s", tc.reason, diff)
			}
			if got := len(wf.Spec.Templates[0].DAG.Tasks); got != len(tc.steps) {
				t.Errorf("%s\nwant %d tasks, got %d", tc.reason, len(tc.steps), got)
			}
		})
	}
}

// TestWorkflowTemplateNamesDoNotClash has actions that are named like our own templates and like second copies.
func TestWorkflowTemplateNamesDoNotClash(t *testing.T) {
	catalog := Catalog{}
	for _, name := range []string{"main", "approval", "tidy", "tidy-2", strings.Repeat("x", 63)} {
		template := newTemplate()
		template.Labels[wfev1.LabelAction] = name
		action, err := NewAction("WorkflowTemplate", template.ObjectMeta, &template.Spec)
		if err != nil {
			t.Fatal(err)
		}
		catalog[name] = action
	}
	use := func(step, action string, timeout *int32) wfev1.Step {
		return newStep(step, runs(action), with("path", "/"), func(s *wfev1.Step) { s.TimeoutSeconds = timeout })
	}
	wfe := newExecution(use("a", "main", nil), use("b", "approval", nil), use("c", "tidy", nil), use("d", "tidy", ptr.To[int32](1)),
		use("e", "tidy-2", nil), newStep("f", asApproval("Go on?")), use("g", strings.Repeat("x", 63), nil), use("h", strings.Repeat("x", 63), ptr.To[int32](1)))
	wf := mustPlan(t, wfe, catalog).Workflow(Options{})
	want := []string{"main-2", "approval-2", "tidy", "tidy-2", "tidy-2-2", "approval", strings.Repeat("x", 63), strings.Repeat("x", 63) + "-2"}
	if diff := cmp.Diff(want, templateNames(wf)); diff != "" {
		t.Errorf("templates (-want +got):\n%s", diff)
	}
	if err := validateWithArgo(wf); err != nil {
		t.Errorf("Argo refuses the Workflow: %v", err)
	}
}

// carries reports whether Argo can put a value into a template: it quotes values as Go does and then reads them as JSON
// (util/template simpleReplaceStrict), which knows fewer escapes. The kubelet must hand it on as well.
func carries(value string) bool {
	return json.Valid([]byte(strconv.Quote(value))) && corruptedSequence(value) == ""
}

// TestWorkflowArgumentsSurviveArgo puts hostile values through Argo's substitutions, which must leave them alone: as an
// argument of the task, and as the environment of its container.
func TestWorkflowArgumentsSurviveArgo(t *testing.T) {
	catalog := readCatalog(t)
	values := map[string]string{
		"Quotes": `"'` + "`", "Braces": "} }} { {a} {=", "Newlines": "a\nb\r\n\tc", "Unicode": "größe 大 \U0001F600 \u2028\ufeff",
		"Backslash": `\ \\ \n \u003c \x7b`, "Markup": "<&>", "Number": "007", "Boolean": "true", "Null": "null", "JSON": `{"a": ["b"]}`, "Empty": "",
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			wf := mustPlan(t, newExecution(newStep("a", runs("run-script"), with("word", value))), catalog).Workflow(Options{})
			task, err := json.Marshal(wf.Spec.Templates[0].DAG.Tasks[0])
			if err != nil {
				t.Fatal(err)
			}
			var got wfv1.DAGTask
			if err := json.Unmarshal([]byte(substituteLikeArgo(t, string(task), nil)), &got); err != nil {
				t.Fatal(err)
			}
			argument := got.Arguments.Parameters[0].Value.String()
			if diff := cmp.Diff(value, argument); diff != "" {
				t.Errorf("argument (-want +got):\n%s", diff)
			}
			environment := wf.Spec.Templates[1].Script.Env[0].Value
			if diff := cmp.Diff(value, replaceLikeArgo(t, environment, map[string]any{"inputs.parameters.word": argument})); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}
