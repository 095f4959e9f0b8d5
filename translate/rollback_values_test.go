package translate

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// argumentsOf maps the parameters of a task to their values.
func argumentsOf(task *wfv1.DAGTask) map[string]string {
	arguments := map[string]string{}
	for _, argument := range task.Arguments.Parameters {
		arguments[argument.Name] = argument.Value.String()
	}
	return arguments
}

func TestRollbackArguments(t *testing.T) {
	unscale := undoneBy("scale-deployment", given("deployment", "payment-api"), captured("replicas", "a", "previous-replicas"))
	report := newStep("a", runs("report"), undoneBy("patch-object", captured("patch", "a", "text")))
	cases := map[string]struct {
		reason string
		wfe    *wfev1.WorkflowExecution
		want   map[string]string
	}{
		"Captured": {
			"The value is the one that was recorded, and the controller sets step and dry-run.",
			recorded(ended(nil, scaleStep("a", unscale)), "a", "previous-replicas", "3"),
			map[string]string{"step": "a", "dry-run": "false", "deployment": "payment-api", "replicas": "3"},
		},
		"DryRun": {
			"A rollback of a dry run would be dry.",
			dry(recorded(ended(nil, scaleStep("a", unscale)), "a", "previous-replicas", "3")),
			map[string]string{"step": "a", "dry-run": "true", "deployment": "payment-api", "replicas": "3"},
		},
		"Empty": {
			"An empty output was recorded.",
			recorded(ended(nil, scaleStep("a", unscale)), "a", "previous-replicas", ""),
			map[string]string{"step": "a", "dry-run": "false", "deployment": "payment-api", "replicas": ""},
		},
		"NoParameters": {"An action without parameters is given none.", ended(nil, newStep("a", isUndone)), map[string]string{}},
		"Defaults": {
			"What is not given keeps the default of the template.",
			ended(nil, newStep("a", undoneBy("restart-deployment"))), map[string]string{"dry-run": "false"},
		},
		"GivenBase64": {
			"A given value is encoded for a parameter that decodes.",
			ended(nil, newStep("a", undoneBy("patch-object", given("patch", "{{x}}")))), map[string]string{"dry-run": "false", "patch": "e3t4fX0="},
		},
		"HostileIntoBase64": {
			"An output that is encoded on its way may be anything.",
			recorded(ended(nil, report), "a", "text", "{{workflow.uid}}$(A)\x00"),
			map[string]string{"dry-run": "false", "patch": base64.StdEncoding.EncodeToString([]byte("{{workflow.uid}}$(A)\x00"))},
		},
		"FailedStep": {
			"What a failed step wrote down is used.",
			recorded(ended(map[string]wfev1.StepPhase{"a": wfev1.StepFailed}, scaleStep("a", unscale, undoesFailed)), "a", "previous-replicas", "7"),
			map[string]string{"step": "a", "dry-run": "false", "deployment": "payment-api", "replicas": "7"},
		},
	}
	catalog := readCatalog(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			task := &mustRollback(t, tc.wfe, catalog, Options{}).Workflow.Spec.Templates[0].DAG.Tasks[0]
			if diff := cmp.Diff(tc.want, argumentsOf(task)); diff != "" {
				t.Errorf("%s\narguments (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRollbackRefuses(t *testing.T) {
	const replicas = "rollback.parameters[replicas]"
	unscale := undoneBy("scale-deployment", given("deployment", "payment-api"), captured("replicas", "a", "previous-replicas"))
	scaled := func(value string) *wfev1.WorkflowExecution {
		return recorded(ended(nil, scaleStep("a", unscale)), "a", "previous-replicas", value)
	}
	gone := ended(nil, newStep("a", runs("gone"), undoneBy("patch-object", captured("patch", "a", "x"))))
	cases := map[string]refusal{
		"UnknownAction": {
			reason: "The action that undoes has left the catalog.",
			wfe:    ended(nil, newStep("a", undoneBy("reboot"))),
			want:   []Problem{{Step: "a", Field: "rollback.action", Reason: wfev1.ReasonUnknownAction, Message: `action "reboot" is not in the catalog`}},
		},
		"ManyUnknownActions": {
			reason: "Every undo that cannot run is named, in the order of the rollback.",
			wfe:    ended(nil, newStep("a", undoneBy("reboot")), newStep("b", after("a"), undoneBy("reboot"))),
			want: []Problem{
				{Step: "b", Field: "rollback.action", Reason: wfev1.ReasonUnknownAction, Message: `action "reboot"`},
				{Step: "a", Field: "rollback.action", Reason: wfev1.ReasonUnknownAction, Message: `action "reboot"`},
			},
		},
		"MissingOutput": {
			reason: "An output that was not recorded, or was dropped, cannot be put back.",
			wfe:    ended(nil, scaleStep("a", unscale)),
			want:   []Problem{invalid("a", replicas, `output "previous-replicas" of step "a" was not recorded`)},
		},
		"OtherOutputRecorded": {
			reason: "Another output of the step does not stand in.",
			wfe:    recorded(ended(nil, scaleStep("a", unscale)), "a", "changed", "3"),
			want:   []Problem{invalid("a", replicas, `output "previous-replicas" of step "a" was not recorded`)},
		},
		"MissingOutputOfAnAncestor": {
			reason: "The step that is at fault is the one that reads.",
			wfe: recorded(ended(nil, newStep("a", runs("report")), newStep("b", after("a"), runs("report"), undoneBy("report", captured("text", "a", "text")))),
				"b", "text", "x"),
			want: []Problem{invalid("b", "rollback.parameters[text]", `output "text" of step "a" was not recorded`)},
		},
		"TemplateTag": {
			reason: "Argo would evaluate what an action wrote.",
			wfe:    scaled("{{workflow.uid}}"),
			want:   []Problem{invalid("a", replicas, `the sequence "{{" is not allowed`)},
		},
		"Expression": {
			reason: "Argo would evaluate what an action wrote.",
			wfe:    scaled("3{{=sprig.env('PATH')}}"),
			want:   []Problem{invalid("a", replicas, `the sequence "{{" is not allowed`)},
		},
		"Variable": {
			reason: "The kubelet would expand what an action wrote.",
			wfe:    scaled("$(DEPLOYMENT)"),
			want:   []Problem{invalid("a", replicas, `the sequence "$(" is not allowed`)},
		},
		"ControlCharacter": {
			reason: "Argo cannot carry the value.",
			wfe:    scaled("3\x00"),
			want:   []Problem{invalid("a", replicas, "control or unprintable character")},
		},
		"LargeOutput": {
			reason: "A value has a bound.",
			wfe:    scaled(strings.Repeat("3", maxValueBytes+1)),
			want:   []Problem{invalid("a", replicas, "the value has 65537 bytes")},
		},
		"NotInTheEnum": {
			reason: "An output must be one of the values that the parameter allows.",
			wfe: recorded(ended(nil, scaleStep("a", undoneBy("scale-deployment", given("deployment", "x"), given("replicas", "1"),
				captured("strategy", "a", "changed")))), "a", "changed", "true"),
			want: []Problem{invalid("a", "rollback.parameters[strategy]", `"true" is not one of wait, no-wait`)},
		},
		"EncodedIntoPlain": {
			reason: "The action would take the code for the value.",
			wfe: recorded(ended(nil, newStep("a", runs("patch-object"), undoneBy("patch-object", given("patch", "{}"), captured("label", "a", "previous")))),
				"a", "previous", "e30="),
			want: []Problem{invalid("a", "rollback.parameters[label]", `output "previous" of step "a" is base64, and the action does not decode this parameter`)},
		},
		"ProducerIsGone": {
			reason: "It is unknown whether the output is base64.",
			wfe:    recorded(gone, "a", "x", "e30="),
			want:   []Problem{invalid("a", "rollback.parameters[patch]", `action "gone" is no longer in the catalog`)},
		},
		"OutputIsGone": {
			reason: "The action has another version that does not have the output.",
			wfe:    recorded(ended(nil, newStep("a", runs("report"), undoneBy("report", captured("text", "a", "old")))), "a", "old", "x"),
			want:   []Problem{invalid("a", "rollback.parameters[text].valueFrom.output", `action "report" has no output "old"`)},
		},
		"ParameterIsGone": {
			reason: "The action has another version that does not have the parameter.",
			wfe:    recorded(ended(nil, newStep("a", runs("report"), undoneBy("report", captured("old", "a", "text")))), "a", "text", "x"),
			want:   []Problem{invalid("a", "rollback.parameters[old]", `action "report" has no such parameter`)},
		},
		"NewRequiredParameter": {
			reason: "A newer version of the action requires another parameter.",
			wfe:    ended(nil, newStep("a", undoneBy("make-config"))),
			want:   []Problem{invalid("a", "rollback.parameters", `requires parameter "name"`)},
		},
	}
	catalog := readCatalog(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rollback, err := NewRollback(tc.wfe, catalog, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if rollback.Workflow != nil {
				t.Errorf("%s\nthere is a Workflow, although no undo can run", tc.reason)
			}
			checkFailedUndos(t, tc.reason, tc.want, rollback.Steps)
		})
	}
}

// checkFailedUndos compares the undos that failed before they ran; want has a fragment of each message.
func checkFailedUndos(t *testing.T, reason string, want []Problem, steps []wfev1.StepStatus) {
	t.Helper()
	if len(steps) != len(want) {
		t.Fatalf("%s\nwant %d undos, got %+v", reason, len(want), steps)
	}
	for i, step := range steps {
		if step.Name != want[i].Step || step.Phase != wfev1.StepFailed || step.Reason != want[i].Reason {
			t.Errorf("%s\nwant step %s failed with %s, got %+v", reason, want[i].Step, want[i].Reason, step)
		}
		if !strings.Contains(step.Message, want[i].Field) || !strings.Contains(step.Message, want[i].Message) {
			t.Errorf("%s\nwant a message with %q and %q, got %q", reason, want[i].Field, want[i].Message, step.Message)
		}
	}
}

func TestRollbackRefusesACycle(t *testing.T) {
	_, err := NewRollback(ended(nil, newStep("a", after("b"), isUndone), newStep("b", after("a"))), readCatalog(t), Options{})
	checkProblems(t, "A specification that could not run is not undone.", []Problem{invalid("a", "dependsOn", "the dependencies form a cycle")}, err)
}

// TestRollbackChecksOnlyWhatIsUndone has an invalid undo of a step that did not run: it does not prevent the rollback.
func TestRollbackChecksOnlyWhatIsUndone(t *testing.T) {
	wfe := ended(map[string]wfev1.StepPhase{"b": wfev1.StepSkipped, "c": wfev1.StepFailed}, newStep("a", isUndone),
		newStep("b", after("a"), undoneBy("reboot")), newStep("c", after("a"), undoneBy("report", captured("text", "c", "none"))))
	want := map[string]string{"a": ""}
	if diff := cmp.Diff(want, dependsOf(mustRollback(t, wfe, readCatalog(t), Options{}).Workflow)); diff != "" {
		t.Errorf("undos (-want +got):\n%s", diff)
	}
}

// TestRollbackRefusesHostileEncodedOutput has an action write something else than the base64 that its template
// declares. The parameter decodes, so nothing encodes the value on its way: Argo must not get to evaluate it.
func TestRollbackRefusesHostileEncodedOutput(t *testing.T) {
	for name, value := range map[string]string{
		"TemplateTag": "{{workflow.uid}}", "Expression": "{{=sprig.env('PATH')}}", "Variable": "$(PATCH)", "NoBase64": "the old object", "ControlCharacter": "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			wfe := recorded(ended(nil, newStep("a", runs("patch-object"), undoneBy("patch-object", captured("patch", "a", "previous")))), "a", "previous", value)
			rollback, err := NewRollback(wfe, readCatalog(t), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if rollback.Workflow != nil {
				t.Errorf("the value is in the rollback as it is: %+v", argumentsOf(&rollback.Workflow.Spec.Templates[0].DAG.Tasks[0]))
			}
			checkFailedUndos(t, "A value that is declared as base64, but is not, is not passed on.", []Problem{invalid("a", "rollback.parameters[patch]", "")}, rollback.Steps)
		})
	}
}

// These two names have one hash in this rollback and two in its execution's Workflow, found by trying.
var collidingUndos = [2]string{"check-verify-3589", "cache-db-7724"}

// TestRollbackKnowsItsNodesApart has two undos of which Argo would run only one, and report both as done.
func TestRollbackKnowsItsNodesApart(t *testing.T) {
	const rollback = collidingWorkflow + wfev1.RollbackSuffix
	a, b := collidingUndos[0], collidingUndos[1]
	wf := wfv1.Workflow{}
	wf.Name = rollback
	if wf.NodeID(taskNodeName(rollback, a)) != wf.NodeID(taskNodeName(rollback, b)) {
		t.Fatal("the names no longer collide")
	}
	wfe := ended(nil, newStep(a, isUndone), newStep(b, isUndone))
	if _, err := NewPlan(wfe, readCatalog(t)); err == nil {
		t.Errorf("the plan has steps %q and %q, which cannot both be undone", a, b)
	}
}

// TestRollbackOfAnHourglassFits has many steps before, and many after, one that is not undone. Its main Workflow is
// small, and its rollback must be one that can be sent.
func TestRollbackOfAnHourglassFits(t *testing.T) {
	steps := manySteps(MaxSteps)
	const waist = MaxSteps / 2
	for i := range steps {
		if i < waist {
			steps[waist].DependsOn = append(steps[waist].DependsOn, steps[i].Name)
		}
		if i > waist {
			steps[i].DependsOn = []string{steps[waist].Name}
		}
		if i != waist {
			isUndone(&steps[i])
		}
	}
	wfe, catalog := ended(nil, steps...), readCatalog(t)
	for name, wf := range map[string]*wfv1.Workflow{
		"Main": mustPlan(t, wfe, catalog).Workflow(Options{}), "Rollback": mustRollback(t, wfe, catalog, Options{}).Workflow,
	} {
		encoded, err := json.Marshal(wf)
		if err != nil {
			t.Fatal(err)
		}
		if len(encoded) > MaxWorkflowBytes {
			t.Errorf("%s: want at most %d bytes, got %d", name, MaxWorkflowBytes, len(encoded))
		}
	}
}
