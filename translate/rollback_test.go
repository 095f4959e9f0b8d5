package translate

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/util/expr/argoexpr"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// isUndone gives a step a rollback with an action that has no parameters.
var isUndone = undoneBy("noop")

func undoNotCritical(s *wfev1.Step) { s.Rollback.Critical = ptr.To(false) }

func undoesFailed(s *wfev1.Step) { s.Rollback.IncludeFailed = true }

// ended is the execution after its steps: in these phases, and Completed where none is given.
func ended(phases map[string]wfev1.StepPhase, steps ...wfev1.Step) *wfev1.WorkflowExecution {
	wfe := newExecution(steps...)
	for _, step := range steps {
		status := wfev1.StepStatus{Name: step.Name, Action: step.Action, Phase: wfev1.StepCompleted}
		if phase, ok := phases[step.Name]; ok {
			status.Phase = phase
		}
		wfe.Status.Steps = append(wfe.Status.Steps, status)
	}
	return wfe
}

// recorded adds an output to the status of a step.
func recorded(wfe *wfev1.WorkflowExecution, step, output, value string) *wfev1.WorkflowExecution {
	for i := range wfe.Status.Steps {
		if status := &wfe.Status.Steps[i]; status.Name == step {
			status.Outputs = append(status.Outputs, wfev1.Output{Name: output, Value: value})
		}
	}
	return wfe
}

func given(name, value string) wfev1.Parameter { return wfev1.Parameter{Name: name, Value: &value} }

func captured(name, step, output string) wfev1.Parameter {
	return wfev1.Parameter{Name: name, ValueFrom: &wfev1.OutputReference{Step: step, Output: output}}
}

// mustRollback is the rollback of an execution that has something to undo.
func mustRollback(tb testing.TB, wfe *wfev1.WorkflowExecution, catalog Catalog, opts Options) *Rollback {
	tb.Helper()
	rollback, err := NewRollback(wfe, catalog, opts)
	if err != nil {
		tb.Fatal(err)
	}
	if rollback == nil {
		tb.Fatal("there is something to undo, and no rollback")
	}
	if err := validateWithArgo(rollback.Workflow); err != nil {
		tb.Errorf("Argo refuses the rollback: %v", err)
	}
	return rollback
}

// dependsOf maps the tasks of a Workflow to what they wait for.
func dependsOf(wf *wfv1.Workflow) map[string]string {
	depends := map[string]string{}
	for _, task := range wf.Spec.Templates[0].DAG.Tasks {
		depends[task.Name] = task.Depends
	}
	return depends
}

// TestRollbackGolden translates each testdata/rollback/<case>/in.yaml, an execution as it is recorded when its Workflow
// has ended, and compares with want.yaml beside it.
func TestRollbackGolden(t *testing.T) {
	catalog := readCatalog(t)
	inputs, err := filepath.Glob("testdata/rollback/*/in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("there are no cases: %v", err)
	}
	for _, input := range inputs {
		directory := filepath.Dir(input)
		name := filepath.Base(directory)
		t.Run(name, func(t *testing.T) {
			wfe := readExecution(t, input)
			mustPlan(t, wfe, catalog) // what could not have run needs no rollback
			checkGolden(t, directory, mustRollback(t, wfe, catalog, goldenOptions(name)).Workflow)
		})
	}
}

func TestRollbackOrder(t *testing.T) {
	cases := map[string]struct {
		reason string
		steps  []wfev1.Step
		want   map[string]string
	}{
		"Single": {
			"The only undo waits for nothing.",
			[]wfev1.Step{newStep("a", isUndone)},
			map[string]string{"a": ""},
		},
		"Chain": {
			"Each undo waits for that of the step after it.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", after("a"), isUndone), newStep("c", after("b"), isUndone)},
			map[string]string{"a": "b.Succeeded", "b": "c.Succeeded", "c": ""},
		},
		"Diamond": {
			"What was done last is undone first, and what was done first waits for both sides.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", after("a"), isUndone), newStep("c", after("a"), isUndone), newStep("d", after("b", "c"), isUndone)},
			map[string]string{"a": "c.Succeeded && b.Succeeded", "b": "d.Succeeded", "c": "d.Succeeded", "d": ""},
		},
		"Gap": {
			"The order is kept through a step that is not undone.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", after("a")), newStep("c", after("b"), isUndone)},
			map[string]string{"a": "c.Succeeded", "c": ""},
		},
		"LongGap": {
			"The order is kept through any number of steps that are not undone, approvals too.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", after("a")), newStep("c", after("b"), asApproval("Go on?")), newStep("d", after("c")), newStep("e", after("d"), isUndone)},
			map[string]string{"a": "e.Succeeded", "e": ""},
		},
		"GapOfADiamond": {
			"Two ways through steps that are not undone are one order.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", after("a")), newStep("c", after("a")), newStep("d", after("b", "c"), isUndone)},
			map[string]string{"a": "d.Succeeded", "d": ""},
		},
		"GapBesideAnUndo": {
			"A shorter path around an undo does not make its dependency run before it.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", after("a"), isUndone), newStep("gap", after("a")), newStep("d", after("b", "gap"), isUndone)},
			map[string]string{"a": "d.Succeeded && b.Succeeded", "b": "d.Succeeded", "d": ""},
		},
		"Parallel": {
			"Branches that ran side by side are undone side by side.",
			[]wfev1.Step{newStep("a", isUndone), newStep("b", after("a"), isUndone), newStep("x", isUndone), newStep("y", after("x"), isUndone)},
			map[string]string{"a": "b.Succeeded", "b": "", "x": "y.Succeeded", "y": ""},
		},
		"ParallelFromAGap": {
			"Branches from one step that is not undone do not wait for each other.",
			[]wfev1.Step{newStep("gap"), newStep("b", after("gap"), isUndone), newStep("c", after("gap"), isUndone)},
			map[string]string{"b": "", "c": ""},
		},
		"WrittenBackwards": {
			"The order is that of the dependencies, however they are written down.",
			[]wfev1.Step{newStep("c", after("b"), isUndone), newStep("b", after("a")), newStep("a", isUndone)},
			map[string]string{"a": "c.Succeeded", "c": ""},
		},
	}
	catalog := readCatalog(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rollback := mustRollback(t, ended(nil, tc.steps...), catalog, Options{})
			if diff := cmp.Diff(tc.want, dependsOf(rollback.Workflow)); diff != "" {
				t.Errorf("%s\nwhat the undos wait for (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRollbackUndoesWhatWasDone(t *testing.T) {
	phases := []wfev1.StepPhase{
		"", wfev1.StepPending, wfev1.StepRunning, wfev1.StepAwaitingApproval, wfev1.StepCompleted, wfev1.StepFailed, wfev1.StepSkipped, wfev1.StepCancelled,
	}
	half := []wfev1.StepPhase{wfev1.StepCompleted, wfev1.StepFailed, wfev1.StepCancelled}
	cases := map[string]struct {
		reason string
		step   wfev1.Step
		undone []wfev1.StepPhase
	}{
		"Undo":          {"Only what has completed is undone.", newStep("a", isUndone), half[:1]},
		"IncludeFailed": {"A step with includeFailed is undone if it may have done a part of its work.", newStep("a", isUndone, undoesFailed), half},
		"NoUndo":        {"A step without a rollback stays as it is.", newStep("a"), nil},
	}
	catalog := readCatalog(t)
	for name, tc := range cases {
		for _, phase := range phases {
			t.Run(name+"/"+string(phase), func(t *testing.T) {
				wfe := ended(map[string]wfev1.StepPhase{"a": phase}, tc.step)
				want := slices.Contains(tc.undone, phase)
				if got := HasUndo(wfe); got != want {
					t.Errorf("%s\nHasUndo: want %t, got %t", tc.reason, want, got)
				}
				rollback, err := NewRollback(wfe, catalog, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if got := rollback != nil; got != want {
					t.Errorf("%s\nwant a rollback: %t, got %+v", tc.reason, want, rollback)
				}
			})
		}
	}
}

// TestRollbackSteps has the steps of the status in the order in which they are undone, with the actions that undo.
func TestRollbackSteps(t *testing.T) {
	wfe := ended(map[string]wfev1.StepPhase{"c": wfev1.StepFailed, "e": wfev1.StepSkipped},
		newStep("a", isUndone), newStep("b", after("a"), undoneBy("report")), newStep("c", after("b"), isUndone, undoesFailed),
		newStep("d", after("b")), newStep("e", after("d"), isUndone))
	rollback := mustRollback(t, wfe, readCatalog(t), Options{})
	want := []wfev1.StepStatus{
		{Name: "c", Action: "noop", Phase: wfev1.StepPending}, {Name: "b", Action: "report", Phase: wfev1.StepPending},
		{Name: "a", Action: "noop", Phase: wfev1.StepPending},
	}
	if diff := cmp.Diff(want, rollback.Steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	wf := newWorkflow(wfv1.WorkflowSucceeded)
	wf.Name = rollback.Workflow.Name
	for _, task := range rollback.Workflow.Spec.Templates[0].DAG.Tasks {
		addNodes(wf, wfv1.NodeStatus{Name: wf.Name + "." + task.Name, Type: wfv1.NodeTypePod, Phase: wfv1.NodeSucceeded})
	}
	for _, step := range Steps(rollback.Steps, wf) {
		if step.Phase != wfev1.StepCompleted {
			t.Errorf("the tasks have succeeded and the undo of %s is %s", step.Name, step.Phase)
		}
	}
}

// TestRollbackContinues evaluates with Argo's evaluator whether an undo runs after the ones before it have ended.
func TestRollbackContinues(t *testing.T) {
	succeeded, failed, errored, omitted := taskResults{Succeeded: true}, taskResults{Failed: true}, taskResults{Errored: true}, taskResults{Omitted: true}
	cases := map[string]struct {
		reason     string
		nonC, crit taskResults
		want       bool
	}{
		"BothDone":         {"Everything before is undone.", succeeded, succeeded, true},
		"NotCriticalFails": {"After an undo that is not critical failed, the others run.", failed, succeeded, true},
		"NotCriticalErrs":  {"An error of Argo's is a failure.", errored, succeeded, true},
		"CriticalFails":    {"What still depends on the step must keep it.", succeeded, failed, false},
		"CriticalErrs":     {"An error of Argo's is a failure.", succeeded, errored, false},
		"CriticalStops":    {"An undo that never ran did not undo.", succeeded, omitted, false},
		"NotCriticalStops": {"It never ran because a critical one behind it failed, so nothing more is undone.", omitted, succeeded, false},
	}
	wfe := ended(nil, newStep("a", isUndone), newStep("soft", after("a"), isUndone, undoNotCritical), newStep("hard", after("a"), isUndone))
	depends := dependsOf(mustRollback(t, wfe, readCatalog(t), Options{}).Workflow)["a"]
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := argoexpr.EvalBool(depends, map[string]taskResults{"soft": tc.nonC, "hard": tc.crit})
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("%s\nwant %t, got %t from %s", tc.reason, tc.want, got, depends)
			}
		})
	}
}

func TestRollbackIdentity(t *testing.T) {
	wfe := ended(nil, newStep("a", isUndone))
	wf := mustRollback(t, wfe, readCatalog(t), Options{ServiceAccountName: "steps", InstanceID: "production"}).Workflow
	want := metav1.ObjectMeta{
		Name: "fix-rollback", Namespace: "shop", Finalizers: []string{wfev1.FinalizerObserved},
		Labels: map[string]string{wfev1.LabelName: "fix", wfev1.LabelRole: wfev1.RoleRollback, instanceIDLabel: "production"},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: wfev1.GroupVersion.String(), Kind: wfev1.Kind, Name: "fix", UID: "6ba7b810", Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
		}},
		Annotations: wf.Annotations, // in the golden files
	}
	if diff := cmp.Diff(want, wf.ObjectMeta); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if wf.Spec.ServiceAccountName != "steps" {
		t.Errorf("the rollback runs under the installation's account, got %q", wf.Spec.ServiceAccountName)
	}
}
