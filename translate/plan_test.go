package translate

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// refusal is one row of a table of what NewPlan refuses. Want has a fragment of the message in place of the message.
type refusal struct {
	reason string
	wfe    *wfev1.WorkflowExecution
	want   []Problem
}

func invalid(step, field, fragment string) Problem {
	return Problem{Step: step, Field: field, Reason: wfev1.ReasonInvalidSpec, Message: fragment}
}

func checkRefusals(t *testing.T, cases map[string]refusal) {
	t.Helper()
	catalog := readCatalog(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			plan, err := NewPlan(tc.wfe, catalog)
			if plan != nil {
				t.Errorf("%s\nthere is a plan beside the error", tc.reason)
			}
			checkProblems(t, tc.reason, tc.want, err)
		})
	}
}

// checkProblems compares what an InvalidError lists; want has a fragment of each message.
func checkProblems(t *testing.T, reason string, want []Problem, err error) {
	t.Helper()
	var refused *InvalidError
	if !errors.As(err, &refused) {
		t.Fatalf("%s\nwant an InvalidError, got %v", reason, err)
	}
	if diff := cmp.Diff(want, refused.Problems, cmpopts.IgnoreFields(Problem{}, "Message")); diff != "" {
		t.Fatalf("%s\nproblems (-want +got):\n%s\n%v", reason, diff, err)
	}
	for i, problem := range refused.Problems {
		if !strings.Contains(problem.Message, want[i].Message) {
			t.Errorf("%s\nwant a message with %q, got %q", reason, want[i].Message, problem.Message)
		}
	}
}

func named(name string, steps ...wfev1.Step) *wfev1.WorkflowExecution {
	wfe := newExecution(steps...)
	wfe.Name = name
	return wfe
}

func manySteps(n int) []wfev1.Step {
	steps := make([]wfev1.Step, n)
	for i := range steps {
		steps[i] = newStep(fmt.Sprintf("s%d", i))
	}
	return steps
}

func manyApprovals(n int) []wfev1.Step {
	steps := make([]wfev1.Step, n)
	for i := range steps {
		steps[i] = newStep(fmt.Sprintf("s%d", i), asApproval(""))
	}
	return steps
}

func TestPlanRefusesNames(t *testing.T) {
	const stepName = "at most 40 lower-case letters, digits and hyphens"
	cases := map[string]refusal{
		"ExecutionIsNoLabel": {
			reason: "The name becomes a label's value and a part of pod names.",
			wfe:    named("Fix_me", newStep("a")),
			want:   []Problem{invalid("", "metadata.name", `"Fix_me" is not a DNS label`)},
		},
		"ExecutionIsNameless": {
			reason: "An execution without a name has no Workflow.",
			wfe:    named("", newStep("a")),
			want:   []Problem{invalid("", "metadata.name", "is not a DNS label")},
		},
		"ExecutionEndsInHyphen": {
			reason: "A DNS label ends in a letter or a digit.",
			wfe:    named("fix-", newStep("a")),
			want:   []Problem{invalid("", "metadata.name", "is not a DNS label")},
		},
		"ExecutionIsLong": {
			reason: "The rollback's Workflow must fit into 63 characters too.",
			wfe:    named(strings.Repeat("a", 55), newStep("a")),
			want:   []Problem{invalid("", "metadata.name", "is longer than 54 characters")},
		},
		"ExecutionIsARollback": {
			reason: "The rollback of another execution has that name.",
			wfe:    named("fix-rollback", newStep("a")),
			want:   []Problem{invalid("", "metadata.name", "ends in -rollback")},
		},
		"NoSteps": {
			reason: "There is nothing to do.",
			wfe:    newExecution(),
			want:   []Problem{invalid("", "steps", "there are 0 steps; 1 to 500 are allowed")},
		},
		"TooManySteps": {
			reason: "More than 500 steps are refused before anything else is looked at.",
			wfe:    newExecution(manySteps(501)...),
			want:   []Problem{invalid("", "steps", "there are 501 steps; 1 to 500 are allowed")},
		},
		"StepIsLong": {
			reason: "Node and pod names are built from the step's.",
			wfe:    newExecution(newStep(strings.Repeat("a", 41))),
			want:   []Problem{invalid(strings.Repeat("a", 41), "name", stepName)},
		},
		"StepStartsWithDigit": {
			reason: "Argo would read it as a number in depends.",
			wfe:    newExecution(newStep("1st")),
			want:   []Problem{invalid("1st", "name", stepName)},
		},
		"StepEndsInHyphen": {
			reason: "Only a letter or a digit ends a name.",
			wfe:    newExecution(newStep("a-")),
			want:   []Problem{invalid("a-", "name", stepName)},
		},
		"StepHasUnderscore": {
			reason: "Argo takes - and _ for the same in depends.",
			wfe:    newExecution(newStep("a_b")),
			want:   []Problem{invalid("a_b", "name", stepName)},
		},
		"StepIsReserved": {
			reason: "Argo would read the name as an operator in depends.",
			wfe:    newExecution(newStep("not")),
			want:   []Problem{invalid("not", "name", "reserved word")},
		},
		"StepsHaveOneHash": {
			reason: "Argo keeps nodes under 32-bit hashes of their names, and these two are equal.",
			wfe:    named(collidingWorkflow, newStep(collidingSteps[0]), newStep(collidingSteps[1])),
			want:   []Problem{invalid(collidingSteps[1], "name", fmt.Sprintf("cannot distinguish this name from %q", collidingSteps[0]))},
		},
	}
	checkRefusals(t, cases)
}

func TestPlanRefusesShapes(t *testing.T) {
	both := newStep("a", asApproval("Go on?"))
	both.Action = "noop"
	full := newStep("a", asApproval("Go on?"), notCritical, with("text", "x"), undoneBy("noop"))
	full.Retry, full.TimeoutSeconds = &wfev1.Retry{Limit: 1}, ptr.To[int32](1)
	approved := newExecution(newStep("a"), newStep("b", asApproval("")))
	approved.Spec.Approvals = []wfev1.Approval{{Step: "a", Approved: true}, {Step: "b", Approved: true}, {Step: "ghost"}}
	cases := map[string]refusal{
		"UnknownDependency": {
			reason: "The graph's problems are the plan's.",
			wfe:    newExecution(newStep("a", after("ghost"))),
			want:   []Problem{invalid("a", "dependsOn", `there is no step "ghost"`)},
		},
		"Cycle": {
			reason: "A cycle is named.",
			wfe:    newExecution(newStep("a", after("b")), newStep("b", after("a"))),
			want:   []Problem{invalid("a", "dependsOn", "a → b → a")},
		},
		"ActionAndApproval": {
			reason: "A step runs something or waits for somebody.",
			wfe:    newExecution(both),
			want:   []Problem{invalid("a", "approval", "either an action or an approval")},
		},
		"NeitherActionNorApproval": {
			reason: "An empty action is in no catalog.",
			wfe:    newExecution(newStep("a", runs(""))),
			want:   []Problem{{Step: "a", Field: "action", Reason: wfev1.ReasonUnknownAction, Message: `action "" is not in the catalog`}},
		},
		"ApprovalWithEverything": {
			reason: "A suspended node runs nothing, so what is about running is refused, not ignored.",
			wfe:    newExecution(full),
			want: []Problem{
				invalid("a", "parameters", "cannot have this field"), invalid("a", "retry", "cannot have this field"),
				invalid("a", "rollback", "cannot have this field"), invalid("a", "critical", "cannot have this field"),
				invalid("a", "timeoutSeconds", "cannot have this field"),
			},
		},
		"ApprovalMessageIsTemplate": {
			reason: "The message is an argument in Argo and would be evaluated.",
			wfe:    newExecution(newStep("a", asApproval("{{workflow.name}}"))),
			want:   []Problem{invalid("a", "approval.message", `"{{"`)},
		},
		"DecisionsWithoutApproval": {
			reason: "A decision on what does not wait is a slip in its name.",
			wfe:    approved,
			want: []Problem{
				invalid("", "approvals", `there is no approval step "a"`), invalid("", "approvals", `there is no approval step "ghost"`),
			},
		},
		"TooManyApprovals": {
			reason: "spec.approvals holds 100 decisions.",
			wfe:    newExecution(manyApprovals(MaxApprovals + 1)...),
			want:   []Problem{invalid("", "steps", "101 steps are approvals; at most 100 are allowed")},
		},
	}
	checkRefusals(t, cases)
}

func TestPlanRefusesConditions(t *testing.T) {
	scale := newStep("scale", runs("scale-deployment"), with("deployment", "x"), with("replicas", "1"))
	on := func(w ...func(*wfev1.Step)) *wfev1.WorkflowExecution {
		return newExecution(scale, newStep("b", append([]func(*wfev1.Step){after("scale")}, w...)...))
	}
	cases := map[string]refusal{
		"UnknownStep": {
			reason: "A condition is on a step of the execution.",
			wfe:    on(when("ghost", "changed", wfev1.OperatorExists)),
			want:   []Problem{invalid("b", "when.step", `there is no step "ghost"`)},
		},
		"NoAncestor": {
			reason: "Argo would wait for ever for the status of a step that it does not wait for.",
			wfe:    newExecution(scale, newStep("b", when("scale", "changed", wfev1.OperatorExists))),
			want:   []Problem{invalid("b", "when.step", `"scale" is not an ancestor: add it to dependsOn`)},
		},
		"Itself": {
			reason: "A step's own phase is not known before it runs.",
			wfe:    on(when("b", "", wfev1.OperatorIn, "Completed")),
			want:   []Problem{invalid("b", "when.step", `"b" is not an ancestor`)},
		},
		"UnknownOutput": {
			reason: "The outputs that there are are listed.",
			wfe:    on(when("scale", "colour", wfev1.OperatorExists)),
			want:   []Problem{invalid("b", "when.output", `action "scale-deployment" has no output "colour"; it has ["changed" "previous-replicas"]`)},
		},
		"OutputOfAnActionWithout": {
			reason: "An action without outputs has none to ask for.",
			wfe:    newExecution(newStep("a"), newStep("b", after("a"), when("a", "x", wfev1.OperatorExists))),
			want:   []Problem{invalid("b", "when.output", "it has none")},
		},
		"OutputOfAnApproval": {
			reason: "An approval delivers nothing.",
			wfe:    newExecution(newStep("a", asApproval("")), newStep("b", after("a"), when("a", "x", wfev1.OperatorExists))),
			want:   []Problem{invalid("b", "when.output", `"a" is an approval and has no outputs`)},
		},
		"InWithoutValues": {
			reason: "A condition that can never hold is a slip.",
			wfe:    on(when("scale", "changed", wfev1.OperatorIn)),
			want:   []Problem{invalid("b", "when.values", "operator In needs at least one value")},
		},
		"NotInWithoutValues": {
			reason: "A condition that always holds is a slip.",
			wfe:    on(when("scale", "changed", wfev1.OperatorNotIn)),
			want:   []Problem{invalid("b", "when.values", "operator NotIn needs at least one value")},
		},
		"ExistsWithValues": {
			reason: "Values that are not looked at would mislead.",
			wfe:    on(when("scale", "changed", wfev1.OperatorExists, "true")),
			want:   []Problem{invalid("b", "when.values", "operator Exists takes no values")},
		},
		"DoesNotExistOnPhase": {
			reason: "Every step has a phase.",
			wfe:    on(when("scale", "", wfev1.OperatorDoesNotExist)),
			want:   []Problem{invalid("b", "when.output", "operator DoesNotExist needs an output")},
		},
		"UnknownOperator": {
			reason: "The set of operators is closed.",
			wfe:    on(when("scale", "changed", "Matches", "t.*")),
			want:   []Problem{invalid("b", "when.operator", `"Matches" is not an operator`)},
		},
		"UnknownPhase": {
			reason: "An ancestor has ended when a step starts, so Running never holds.",
			wfe:    on(when("scale", "", wfev1.OperatorIn, "Completed", "Running")),
			want:   []Problem{invalid("b", "when.values", `"Running" is not a phase in which a step ends`)},
		},
		"ValueIsTemplate": {
			reason: "Argo evaluates {{ wherever it finds it.",
			wfe:    on(when("scale", "changed", wfev1.OperatorIn, "true", "{{workflow.uid}}")),
			want:   []Problem{invalid("b", "when.values", `"{{"`)},
		},
		"ValueIsExpansion": {
			reason: "The rule is one for all strings that reach Argo.",
			wfe:    on(when("scale", "changed", wfev1.OperatorNotIn, "$(HOME)")),
			want:   []Problem{invalid("b", "when.values", `"$("`)},
		},
	}
	checkRefusals(t, cases)
}

func TestPlanListsProblemsInOrder(t *testing.T) {
	wfe := named("Fix", newStep("b", after("ghost"), runs("nothing")), newStep("in"), newStep("c", undoneBy("nobody")))
	_, err := NewPlan(wfe, readCatalog(t))
	var refused *InvalidError
	if !errors.As(err, &refused) {
		t.Fatalf("want an InvalidError, got %v", err)
	}
	got := make([]string, len(refused.Problems))
	for i, problem := range refused.Problems {
		got[i] = problem.Step + "/" + problem.Field
	}
	want := []string{"/metadata.name", "b/dependsOn", "b/action", "in/name", "c/rollback.action"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("name, graph, then step by step (-want +got):\n%s", diff)
	}
	if refused.First().Field != "metadata.name" {
		t.Errorf("the first problem is %v", refused.First())
	}
}
