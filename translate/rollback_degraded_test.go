package translate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// cannotUndo gives a step an undo that reads an output that was not recorded.
var cannotUndo = undoneBy("report", captured("text", "x", "text"))

func TestRollbackRunsWhatCanRun(t *testing.T) {
	x := newStep("x", runs("report"))
	depends := func(names ...string) func(*wfev1.Step) { return after(append(names, "x")...) }
	cases := map[string]struct {
		reason string
		steps  []wfev1.Step
		want   map[string]string          // what the undos that run wait for
		ended  map[string]wfev1.StepPhase // the undos that ended before they ran
	}{
		"Independent": {
			"An undo of another branch runs.",
			[]wfev1.Step{x, newStep("a", isUndone), newStep("b", depends(), cannotUndo)},
			map[string]string{"a": ""}, map[string]wfev1.StepPhase{"b": wfev1.StepFailed},
		},
		"ComesFirst": {
			"An undo that comes before the one that cannot run is not in its way.",
			[]wfev1.Step{x, newStep("a", depends(), cannotUndo), newStep("b", after("a"), isUndone)},
			map[string]string{"b": ""}, map[string]wfev1.StepPhase{"a": wfev1.StepFailed},
		},
		"ComesAfter": {
			"The step still stands on what would be taken away.",
			[]wfev1.Step{x, newStep("a", isUndone), newStep("between", after("a")), newStep("b", depends("between"), cannotUndo), newStep("c", isUndone)},
			map[string]string{"c": ""}, map[string]wfev1.StepPhase{"a": wfev1.StepSkipped, "b": wfev1.StepFailed},
		},
		"NotCritical": {
			"Behind an undo that is not critical the others go on, in their order.",
			[]wfev1.Step{x, newStep("a", isUndone), newStep("b", depends("a"), cannotUndo, undoNotCritical), newStep("c", after("b"), isUndone)},
			map[string]string{"a": "c.Succeeded", "c": ""}, map[string]wfev1.StepPhase{"b": wfev1.StepFailed},
		},
		"UnknownAction": {
			"An action that left the catalog, or is claimed twice, loses its own undo only.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", undoneBy("reboot"))},
			map[string]string{"a": ""}, map[string]wfev1.StepPhase{"b": wfev1.StepFailed},
		},
		"Nothing": {
			"Where no undo can run there is no Workflow.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", after("a"), undoneBy("reboot"))},
			nil, map[string]wfev1.StepPhase{"a": wfev1.StepSkipped, "b": wfev1.StepFailed},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rollback, err := NewRollback(ended(nil, tc.steps...), readCatalog(t), Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]string
			if rollback.Workflow != nil {
				got = dependsOf(rollback.Workflow)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nwhat the undos wait for (-want +got):\n%s", tc.reason, diff)
			}
			stopped := map[string]wfev1.StepPhase{}
			for _, step := range rollback.Steps {
				if step.Phase != wfev1.StepPending {
					stopped[step.Name] = step.Phase
				}
			}
			if diff := cmp.Diff(tc.ended, stopped); diff != "" {
				t.Errorf("%s\nwhat cannot run (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestRollbackListsWhatCannotRun follows a rollback to its end: the undos that could not run stay as they are, and are
// listed as left undone.
func TestRollbackListsWhatCannotRun(t *testing.T) {
	wfe := ended(map[string]wfev1.StepPhase{"b": wfev1.StepFailed}, newStep("base", isUndone), newStep("a", isUndone),
		newStep("b", after("base"), runs("scale-deployment"), with("deployment", "x"), with("replicas", "3"),
			undoneBy("scale-deployment", given("deployment", "x"), captured("replicas", "b", "previous-replicas")), undoesFailed))
	rollback := mustRollback(t, wfe, readCatalog(t), Options{})
	wf := newWorkflow(wfv1.WorkflowSucceeded)
	wf.Name, wf.Labels = rollback.Workflow.Name, rollback.Workflow.Labels
	addNodes(wf, wfv1.NodeStatus{Name: wf.Name + ".a", Type: wfv1.NodeTypePod, Phase: wfv1.NodeSucceeded})
	wfe.Status.RollbackSteps = Steps(rollback.Steps, wf)
	for i, before := range rollback.Steps {
		if after := wfe.Status.RollbackSteps[i]; before.Phase.IsTerminal() && !cmp.Equal(before, after) {
			t.Errorf("an undo that could not run changed (-before +after):\n%s", cmp.Diff(before, after))
		}
	}
	want := []string{
		`b (InvalidSpec: rollback.parameters[replicas]: output "previous-replicas" of step "b" was not recorded)`,
		"base (Skipped)",
	}
	if diff := cmp.Diff(want, LeftUndone(wfe)); diff != "" {
		t.Errorf("left undone (-want +got):\n%s", diff)
	}
}

// TestRollbackDropsTheLargestUndos has outputs that do not fit into one Workflow together: the largest are left undone.
func TestRollbackDropsTheLargestUndos(t *testing.T) {
	var steps []wfev1.Step
	for i := range 20 {
		name := fmt.Sprintf("s%d", i)
		steps = append(steps, newStep(name, runs("report"), undoneBy("report", captured("text", name, "text"))))
	}
	wfe := ended(nil, append(steps, newStep("small", isUndone))...)
	for i := range 20 {
		recorded(wfe, fmt.Sprintf("s%d", i), "text", randomValue(maxValueBytes-i))
	}
	rollback := mustRollback(t, wfe, readCatalog(t), Options{})
	if err := runLikeArgo(t, rollback.Workflow); err != nil {
		t.Error(err)
	}
	phases := phasesOf(rollback.Steps)
	if phases["s0"] != wfev1.StepFailed || phases["s19"] != wfev1.StepPending || phases["small"] != wfev1.StepPending {
		t.Errorf("want the largest undo failed and the others kept, got %v", phases)
	}
	for _, step := range rollback.Steps {
		if step.Phase == wfev1.StepFailed && (step.Reason != wfev1.ReasonWorkflowTooLarge || !strings.Contains(step.Message, fmt.Sprint(MaxWorkflowBytes))) {
			t.Errorf("want WorkflowTooLarge and the limit, got %+v", step)
		}
	}
}

// TestRollbackDegrades drops outputs and actions from random executions: every undo runs or is listed with a reason, those
// that run keep their order, and one that does not run has a cause.
func TestRollbackDegrades(t *testing.T) {
	degraded, all := 0, readCatalog(t)
	rapid.Check(t, func(t *rapid.T) {
		wfe, _ := drawEnded(t)
		catalog := Catalog{}
		for _, name := range sortedKeys(all) {
			if rapid.IntRange(0, 9).Draw(t, "in the catalog") > 0 {
				catalog[name] = all[name]
			}
		}
		for i := range wfe.Status.Steps {
			if rapid.IntRange(0, 3).Draw(t, "has outputs") == 0 {
				wfe.Status.Steps[i].Outputs = nil
			}
		}
		undone := naivelyUndone(wfe)
		rollback, err := NewRollback(wfe, catalog, Options{ServiceAccountName: "steps"})
		if err != nil {
			t.Fatal(err)
		}
		if rollback == nil {
			if len(undone) > 0 {
				t.Fatalf("%v are not undone", undone)
			}
			return
		}
		depends, running := map[string]string{}, []string{}
		if rollback.Workflow != nil {
			if err := validateWithArgo(rollback.Workflow); err != nil {
				t.Fatalf("Argo refuses the rollback: %v", err)
			}
			depends = dependsOf(rollback.Workflow)
			for _, task := range rollback.Workflow.Spec.Templates[0].DAG.Tasks {
				if task.When != "false" {
					running = append(running, task.Name)
				}
			}
		}
		degraded += checkDegraded(t, wfe, undone, rollback.Steps, depends, running)
	})
	if degraded == 0 {
		t.Error("every undo ran: the test draws too little")
	}
}

// checkDegraded returns how many undos do not run.
func checkDegraded(t *rapid.T, wfe *wfev1.WorkflowExecution, undone []string, steps []wfev1.StepStatus, depends map[string]string, running []string) int {
	parents, stops := map[string][]string{}, map[string]bool{}
	phases := phasesOf(steps)
	for _, step := range wfe.Spec.Steps {
		parents[step.Name] = step.DependsOn
		stops[step.Name] = phases[step.Name] == wfev1.StepFailed && (step.Rollback.Critical == nil || *step.Rollback.Critical)
	}
	if diff := cmp.Diff(undone, sortedKeys(phases)); diff != "" {
		t.Fatalf("steps of the status (-want +got):\n%s", diff)
	}
	if (len(running) > 0) != (len(depends) > 0) {
		t.Fatalf("the Workflow has the tasks %v and runs no undo", sortedKeys(depends))
	}
	for _, step := range steps {
		if slices.Contains(running, step.Name) != (step.Phase == wfev1.StepPending) {
			t.Errorf("undo %s is %s; it runs: %t", step.Name, step.Phase, step.Phase != wfev1.StepPending)
		}
		if step.Phase == wfev1.StepFailed && (step.Reason == "" || step.Message == "") {
			t.Errorf("undo %s failed without a reason or a message: %+v", step.Name, step)
		}
		behind := slices.ContainsFunc(undone, func(other string) bool { return stops[other] && reaches(parents, other, step.Name) })
		if want := behind && step.Phase != wfev1.StepFailed; want != (step.Phase == wfev1.StepSkipped) {
			t.Errorf("undo %s comes after a critical one that cannot run: %t; it is %s", step.Name, behind, step.Phase)
		}
	}
	for _, u := range running {
		before := ancestorsOf(depends, u)
		for _, v := range running {
			if want, got := reaches(parents, v, u), slices.Contains(before, v); want != got {
				t.Errorf("%s depends on %s: %t; it is undone before it: %t", v, u, want, got)
			}
		}
	}
	return len(undone) - len(running)
}
