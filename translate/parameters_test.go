package translate

import (
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func scaleStep(name string, options ...func(*wfev1.Step)) wfev1.Step {
	all := append([]func(*wfev1.Step){runs("scale-deployment"), with("deployment", "payment-api"), with("replicas", "3")}, options...)
	return newStep(name, all...)
}

func TestPlanRefusesParameters(t *testing.T) {
	neither := scaleStep("a")
	neither.Parameters[1].Value = nil
	both := scaleStep("b", after("a"))
	both.Parameters[1].ValueFrom = &wfev1.OutputReference{Step: "a", Output: "changed"}
	cases := map[string]refusal{
		"UnknownAction": {
			reason: "An action that is not in the catalog has its own reason.",
			wfe:    newExecution(newStep("a", runs("reboot"))),
			want:   []Problem{{Step: "a", Field: "action", Reason: wfev1.ReasonUnknownAction, Message: `action "reboot" is not in the catalog`}},
		},
		"UnknownRollbackAction": {
			reason: "A rollback is checked before anything runs.",
			wfe:    newExecution(newStep("a", undoneBy("reboot"))),
			want:   []Problem{{Step: "a", Field: "rollback.action", Reason: wfev1.ReasonUnknownAction, Message: `action "reboot"`}},
		},
		"UnknownParameter": {
			reason: "The parameters that there are are listed, without those that the controller sets.",
			wfe:    newExecution(scaleStep("a", with("colour", "red"))),
			want:   []Problem{invalid("a", "parameters[colour]", "it has deployment, replicas, strategy")},
		},
		"ParameterOfAnActionWithout": {
			reason: "The message for an action without parameters says so.",
			wfe:    newExecution(newStep("a", with("colour", "red"))),
			want:   []Problem{invalid("a", "parameters[colour]", "it has none")},
		},
		"MissingParameters": {
			reason: "Each required parameter that is missing is named, in the action's order.",
			wfe:    newExecution(newStep("a", runs("scale-deployment"))),
			want: []Problem{
				invalid("a", "parameters", `requires parameter "deployment"`), invalid("a", "parameters", `requires parameter "replicas"`),
			},
		},
		"MissingRollbackParameter": {
			reason: "The path says that it is the rollback's.",
			wfe:    newExecution(newStep("a", undoneBy("patch-object"))),
			want:   []Problem{invalid("a", "rollback.parameters", `requires parameter "patch"`)},
		},
		"ParameterTwice": {
			reason: "It would be ambiguous which one counts.",
			wfe:    newExecution(scaleStep("a", with("replicas", "4"))),
			want:   []Problem{invalid("a", "parameters[replicas]", "given twice")},
		},
		"InjectedStep": {
			reason: "An action must be able to trust the name of its step.",
			wfe:    newExecution(scaleStep("a", with("step", "b"))),
			want:   []Problem{invalid("a", "parameters[step]", "the controller sets this parameter")},
		},
		"InjectedDryRun": {
			reason: "A dry run is of the whole execution.",
			wfe:    newExecution(scaleStep("a", with("dry-run", "true"))),
			want:   []Problem{invalid("a", "parameters[dry-run]", "the controller sets this parameter")},
		},
		"NeitherValueNorReference": {
			reason: "A parameter without a value is an error; an empty value is explicit.",
			wfe:    newExecution(neither),
			want:   []Problem{invalid("a", "parameters[replicas]", "either a value or a valueFrom")},
		},
		"ValueAndReference": {
			reason: "It would be ambiguous which one counts.",
			wfe:    newExecution(scaleStep("a"), both),
			want:   []Problem{invalid("b", "parameters[replicas]", "either a value or a valueFrom")},
		},
		"LongValue": {
			reason: "Values travel in the Workflow and in the pod's environment.",
			wfe:    newExecution(newStep("a", runs("run-script"), with("word", strings.Repeat("x", 64<<10+1)))),
			want:   []Problem{invalid("a", "parameters[word]", "the value has 65537 bytes; at most 65536")},
		},
		"NotInEnum": {
			reason: "The words that are allowed are listed.",
			wfe:    newExecution(scaleStep("a", with("strategy", "perhaps"))),
			want:   []Problem{invalid("a", "parameters[strategy]", `"perhaps" is not one of wait, no-wait`)},
		},
		"TemplateInValue": {
			reason: "Argo would evaluate it.",
			wfe:    newExecution(newStep("a", runs("run-script"), with("word", "{{=sprig.env('TOKEN')}}"))),
			want:   []Problem{invalid("a", "parameters[word]", `the sequence "{{" is not allowed`)},
		},
		"ExpansionInValue": {
			reason: "The kubelet would expand it.",
			wfe:    newExecution(newStep("a", runs("run-script"), with("word", "a$(TOKEN)b"))),
			want:   []Problem{invalid("a", "parameters[word]", `the sequence "$(" is not allowed`)},
		},
		"ControlCharacterInValue": {
			reason: "Argo quotes values as Go does and reads them as JSON, which does not know this escape: the Workflow would end in Error.",
			wfe:    newExecution(newStep("a", runs("run-script"), with("word", "a\x1b[0m"))),
			want:   []Problem{invalid("a", "parameters[word]", "base64")},
		},
		"NulInValue": {
			reason: "No environment can hold it either.",
			wfe:    newExecution(newStep("a", runs("run-script"), with("word", "\x00"))),
			want:   []Problem{invalid("a", "parameters[word]", "base64")},
		},
		"UnprintableInValue": {
			reason: "Argo's escape of a character beyond the basic plane that cannot be printed is none of JSON's.",
			wfe:    newExecution(newStep("a", runs("run-script"), with("word", "\U000e0041"))),
			want:   []Problem{invalid("a", "parameters[word]", "base64")},
		},
		"TemplateInRollbackValue": {
			reason: "A rollback's values travel the same way.",
			wfe:    newExecution(newStep("a", undoneBy("run-script", wfev1.Parameter{Name: "word", Value: ptr.To("{{x}}")}))),
			want:   []Problem{invalid("a", "rollback.parameters[word]", `"{{"`)},
		},
		"DryRunOfAnActionThatCannot": {
			reason: "An action that does not know of dry runs would do the real thing.",
			wfe:    dry(newExecution(newStep("a", undoneBy("noop")), scaleStep("b"))),
			want: []Problem{
				invalid("a", "action", `action "noop" has no parameter "dry-run"`), invalid("a", "rollback.action", "does not support dry runs"),
			},
		},
	}
	checkRefusals(t, cases)
}

func dry(wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	wfe.Spec.DryRun = true
	return wfe
}

func TestPlanRefusesReferences(t *testing.T) {
	patch := newStep("patch", runs("patch-object"), with("patch", "{}"))
	own := func(output string) func(*wfev1.Step) {
		return undoneBy("run-script", wfev1.Parameter{Name: "word", ValueFrom: &wfev1.OutputReference{Step: "a", Output: output}})
	}
	cases := map[string]refusal{
		"UnknownStep": {
			reason: "A value comes from a step of the execution.",
			wfe:    newExecution(newStep("a", runs("run-script"), withOutput("word", "ghost", "changed"))),
			want:   []Problem{invalid("a", "parameters[word].valueFrom.step", `there is no step "ghost"`)},
		},
		"NoAncestor": {
			reason: "The value might not be there yet.",
			wfe:    newExecution(scaleStep("scale"), newStep("a", runs("run-script"), withOutput("word", "scale", "changed"))),
			want:   []Problem{invalid("a", "parameters[word].valueFrom.step", "is not an ancestor")},
		},
		"Descendant": {
			reason: "A value does not travel back in time.",
			wfe: newExecution(newStep("a", runs("run-script"), withOutput("word", "scale", "changed")),
				scaleStep("scale", after("a"))),
			want: []Problem{invalid("a", "parameters[word].valueFrom.step", "is not an ancestor")},
		},
		"Itself": {
			reason: "Only a rollback may use its step's own output.",
			wfe:    newExecution(newStep("a", runs("report"), withOutput("text", "a", "text"))),
			want:   []Problem{invalid("a", "parameters[text].valueFrom.step", "is not an ancestor")},
		},
		"NoOutput": {
			reason: "A step's phase is not a value.",
			wfe:    newExecution(scaleStep("s"), newStep("a", after("s"), runs("run-script"), withOutput("word", "s", ""))),
			want:   []Problem{invalid("a", "parameters[word].valueFrom.output", "the name of the output is required")},
		},
		"UnknownOutput": {
			reason: "The outputs that there are are listed.",
			wfe:    newExecution(scaleStep("s"), newStep("a", after("s"), runs("run-script"), withOutput("word", "s", "colour"))),
			want:   []Problem{invalid("a", "parameters[word].valueFrom.output", `has no output "colour"; it has ["changed" "previous-replicas"]`)},
		},
		"OutputOfAnApproval": {
			reason: "An approval delivers nothing.",
			wfe:    newExecution(newStep("ok", asApproval("")), newStep("a", after("ok"), runs("run-script"), withOutput("word", "ok", "by"))),
			want:   []Problem{invalid("a", "parameters[word].valueFrom.output", "is an approval and has no outputs")},
		},
		"EncodedOutputForPlainParameter": {
			reason: "The action would take the encoded text for the value.",
			wfe:    newExecution(patch, newStep("a", after("patch"), runs("run-script"), withOutput("word", "patch", "previous"))),
			want:   []Problem{invalid("a", "parameters[word]", `output "previous" of step "patch" is base64`)},
		},
		"UnknownOwnOutputInRollback": {
			reason: "A rollback may read its own step, but not what the step does not have.",
			wfe:    newExecution(scaleStep("a", own("colour"))),
			want:   []Problem{invalid("a", "rollback.parameters[word].valueFrom.output", `no output "colour"`)},
		},
		"RollbackReadsStranger": {
			reason: "A rollback reads its step and the step's ancestors.",
			wfe:    newExecution(scaleStep("b"), newStep("x", undoneBy("run-script", wfev1.Parameter{Name: "word", ValueFrom: &wfev1.OutputReference{Step: "b", Output: "changed"}}))),
			want:   []Problem{invalid("x", "rollback.parameters[word].valueFrom.step", "is not an ancestor")},
		},
	}
	checkRefusals(t, cases)
}

// TestPlanAccepts holds the rules to what they must let through.
func TestPlanAccepts(t *testing.T) {
	cases := map[string]struct {
		reason string
		wfe    *wfev1.WorkflowExecution
	}{
		"HundredApprovals": {reason: "spec.approvals holds 100 decisions.", wfe: newExecution(manyApprovals(MaxApprovals)...)},
		"FiveHundredSteps": {reason: "500 steps are allowed.", wfe: newExecution(manySteps(MaxSteps)...)},
		"LongestNames": {
			reason: "54 characters for the execution and 40 for a step are allowed.",
			wfe:    named(strings.Repeat("a", 54), newStep(strings.Repeat("b", 40))),
		},
		"LongestValue": {
			reason: "64 KiB are allowed.",
			wfe:    newExecution(newStep("a", runs("run-script"), with("word", strings.Repeat("x", 64<<10)))),
		},
		"EmptyValue": {reason: "An empty value is a value.", wfe: newExecution(newStep("a", runs("run-script"), with("word", "")))},
		"AnythingEncoded": {
			reason: "What is encoded is nobody's template.",
			wfe:    newExecution(newStep("a", runs("patch-object"), with("patch", "{{x}} $(y)"))),
		},
		"PlainOutputForEncodedParameter": {
			reason: "The translator encodes it on its way.",
			wfe: newExecution(newStep("p", runs("patch-object"), with("patch", "{}")),
				newStep("a", after("p"), runs("patch-object"), withOutput("patch", "p", "digest"))),
		},
		"OwnOutputInRollback": {
			reason: "An undo puts back what its step has found.",
			wfe: newExecution(scaleStep("a", undoneBy("scale-deployment", wfev1.Parameter{Name: "deployment", Value: ptr.To("x")},
				wfev1.Parameter{Name: "replicas", ValueFrom: &wfev1.OutputReference{Step: "a", Output: "previous-replicas"}}))),
		},
		"DistantOutput": {
			reason: "An ancestor need not be a direct dependency.",
			wfe: newExecution(scaleStep("a"), newStep("b", after("a")),
				newStep("c", after("b"), runs("run-script"), withOutput("word", "a", "changed"))),
		},
		"DryRun":   {reason: "Actions that know of dry runs can be run dry.", wfe: dry(newExecution(scaleStep("a"), newStep("b", asApproval(""))))},
		"Decision": {reason: "A decision on an approval step.", wfe: decided(newExecution(newStep("a", asApproval(""))), "a")},
	}
	catalog := readCatalog(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			plan, err := NewPlan(tc.wfe, catalog)
			if err != nil {
				t.Fatalf("%s\n%v", tc.reason, err)
			}
			if err := validateWithArgo(plan.Workflow(Options{})); err != nil {
				t.Errorf("%s\nArgo refuses the Workflow: %v", tc.reason, err)
			}
		})
	}
}

func decided(wfe *wfev1.WorkflowExecution, step string) *wfev1.WorkflowExecution {
	wfe.Spec.Approvals = []wfev1.Approval{{Step: step, Approved: true}}
	return wfe
}
