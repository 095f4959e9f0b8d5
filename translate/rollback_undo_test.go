package translate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func TestHasUndo(t *testing.T) {
	unrecorded := newExecution(newStep("a", isUndone))
	strange := newExecution(newStep("a", isUndone))
	strange.Status.Steps = []wfev1.StepStatus{completedStep("z")}
	cases := map[string]struct {
		reason string
		wfe    *wfev1.WorkflowExecution
		want   bool
	}{
		"NoSteps":       {"Nothing was done.", newExecution(), false},
		"NotRecorded":   {"A step that the status does not know has done nothing.", unrecorded, false},
		"NotInTheSpec":  {"A step that the specification does not know has no undo.", strange, false},
		"NoRollbacks":   {"No step has a rollback.", ended(nil, newStep("a"), newStep("b")), false},
		"OneOfMany":     {"One undo is enough.", ended(nil, newStep("a"), newStep("b"), newStep("c", isUndone)), true},
		"OtherFailed":   {"What failed does not hide what completed.", ended(map[string]wfev1.StepPhase{"b": wfev1.StepFailed}, newStep("a", isUndone), newStep("b")), true},
		"OnlyTheFailed": {"The failed step has no includeFailed.", ended(map[string]wfev1.StepPhase{"b": wfev1.StepFailed}, newStep("a"), newStep("b", isUndone)), false},
		"NotCritical":   {"An undo that is not critical is an undo.", ended(nil, newStep("a", isUndone, undoNotCritical)), true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := HasUndo(tc.wfe); got != tc.want {
				t.Errorf("%s\nwant %t, got %t", tc.reason, tc.want, got)
			}
			// The two must agree: after HasUndo, the controller uses the rollback without a check.
			rollback, err := NewRollback(tc.wfe, readCatalog(t), Options{})
			if err != nil || (rollback != nil) != tc.want {
				t.Errorf("%s\nwant a rollback: %t, got %+v, %v", tc.reason, tc.want, rollback, err)
			}
		})
	}
}

func TestUndoActions(t *testing.T) {
	cases := map[string]struct {
		reason string
		steps  []wfev1.Step
		want   []string
	}{
		"NoSteps":     {"No steps have no actions.", nil, nil},
		"NoRollbacks": {"The actions of the steps themselves are not needed.", []wfev1.Step{newStep("a"), newStep("b", asApproval("Go on?"))}, nil},
		"EachOnce": {
			"Each action is named once, in order of first use.",
			[]wfev1.Step{newStep("a", undoneBy("restore")), newStep("b", undoneBy("delete")), newStep("c", undoneBy("restore"))},
			[]string{"restore", "delete"},
		},
		"OwnOutput": {
			"The producer declares whether its output is base64.",
			[]wfev1.Step{newStep("a", runs("patch-object"), undoneBy("restore", given("note", "x"), captured("patch", "a", "previous")))},
			[]string{"restore", "patch-object"},
		},
		"OutputOfAnAncestor": {
			"The producer may be another step.",
			[]wfev1.Step{newStep("a", runs("report")), newStep("b", after("a"), undoneBy("restore", captured("patch", "a", "text")))},
			[]string{"restore", "report"},
		},
		"OwnAction": {
			"An action that undoes itself is named once.",
			[]wfev1.Step{scaleStep("a", undoneBy("scale-deployment", captured("replicas", "a", "previous-replicas")))},
			[]string{"scale-deployment"},
		},
		"UnknownProducer": {
			"A step that does not exist has no action; the translation reports it.",
			[]wfev1.Step{newStep("a", undoneBy("restore", captured("patch", "z", "text")))},
			[]string{"restore"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, UndoActions(&wfev1.WorkflowExecutionSpec{Steps: tc.steps})); diff != "" {
				t.Errorf("%s\nactions (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestUndoActionsAreEnough translates with only the actions that are asked for.
func TestUndoActionsAreEnough(t *testing.T) {
	wfe := ended(nil, newStep("a", runs("report")),
		newStep("b", after("a"), runs("run-script"), undoneBy("patch-object", captured("patch", "a", "text"), captured("label", "a", "text"))))
	recorded(wfe, "a", "text", "old")
	all := readCatalog(t)
	catalog := Catalog{}
	for _, name := range UndoActions(&wfe.Spec) {
		catalog[name] = all[name]
	}
	if catalog["run-script"] != nil {
		t.Error("an action that undoes nothing was asked for")
	}
	want := mustRollback(t, wfe, all, Options{})
	if diff := cmp.Diff(want, mustRollback(t, wfe, catalog, Options{})); diff != "" {
		t.Errorf("the rest of the catalog matters (-with +without):\n%s", diff)
	}
}

func TestLeftUndone(t *testing.T) {
	undo := func(name string, phase wfev1.StepPhase) wfev1.StepStatus {
		return wfev1.StepStatus{Name: name, Action: "noop", Phase: phase}
	}
	said := undo("a", wfev1.StepSkipped)
	said.Message = "omitted: depends condition not met"
	critical := newStep("a", isUndone)
	critical.Rollback.Critical = ptr.To(true)
	cases := map[string]struct {
		reason string
		steps  []wfev1.Step
		undos  []wfev1.StepStatus
		want   []string
	}{
		"NoRollback":  {"There was no rollback.", []wfev1.Step{newStep("a", isUndone)}, nil, nil},
		"Undone":      {"All is undone.", []wfev1.Step{newStep("a", isUndone)}, []wfev1.StepStatus{completedStep("a")}, nil},
		"Failed":      {"A failure is told with its reason and message.", []wfev1.Step{newStep("a", isUndone)}, []wfev1.StepStatus{failedStep("a", nil)}, []string{"a (OOMKilled: a failed)"}},
		"NotCritical": {"Undos that are not critical are not listed.", []wfev1.Step{newStep("a", isUndone, undoNotCritical)}, []wfev1.StepStatus{failedStep("a", nil)}, nil},
		"Critical":    {"critical: true means the same as the default.", []wfev1.Step{critical}, []wfev1.StepStatus{failedStep("a", nil)}, []string{"a (OOMKilled: a failed)"}},
		"StepIsNotCritical": {
			"The undo counts, not the step.",
			[]wfev1.Step{newStep("a", notCritical, isUndone)}, []wfev1.StepStatus{undo("a", wfev1.StepCancelled)}, []string{"a (Cancelled)"},
		},
		"Skipped": {"An undo that never ran has not undone its step.", []wfev1.Step{newStep("a", isUndone)}, []wfev1.StepStatus{said}, []string{"a (Skipped)"}},
		"OnTheWay": {
			"What has not ended is not undone.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", isUndone)},
			[]wfev1.StepStatus{undo("a", wfev1.StepPending), undo("b", wfev1.StepRunning)}, []string{"a (Pending)", "b (Running)"},
		},
		"InOrder": {
			"The list is in the order of the rollback, and leaves out what was undone.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", isUndone), newStep("c", isUndone)},
			[]wfev1.StepStatus{completedStep("c"), failedStep("b", nil), undo("a", wfev1.StepSkipped)}, []string{"b (OOMKilled: b failed)", "a (Skipped)"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			wfe := newExecution(tc.steps...)
			wfe.Status.RollbackSteps = tc.undos
			if diff := cmp.Diff(tc.want, LeftUndone(wfe)); diff != "" {
				t.Errorf("%s\nleft undone (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
