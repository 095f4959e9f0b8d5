package translate

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// drawEnded draws an execution whose steps have ended, or not, in any way: any shape free of cycles, any of them with
// undos of every kind. The recorded outputs of each step are in the values by step and parameter.
func drawEnded(t *rapid.T) (*wfev1.WorkflowExecution, map[string]map[string]string) {
	wfe := newExecution(drawDAG(t, 12)...)
	values := map[string]map[string]string{}
	for i := range wfe.Spec.Steps {
		step := &wfe.Spec.Steps[i]
		values[step.Name] = map[string]string{}
		status := wfev1.StepStatus{Name: step.Name, Phase: rapid.SampledFrom([]wfev1.StepPhase{
			wfev1.StepCompleted, wfev1.StepCompleted, wfev1.StepCompleted, wfev1.StepFailed, wfev1.StepCancelled, wfev1.StepSkipped, wfev1.StepPending, wfev1.StepRunning,
		}).Draw(t, "phase")}
		status.Outputs = drawUndo(t, step, values[step.Name])
		if rapid.IntRange(0, 19).Draw(t, "recorded") > 0 {
			wfe.Status.Steps = append(wfe.Status.Steps, status)
		}
	}
	return wfe, values
}

// drawUndo gives a step an undo, or none, and the outputs that the undo reads.
func drawUndo(t *rapid.T, step *wfev1.Step, values map[string]string) []wfev1.Output {
	var outputs []wfev1.Output
	plain := hostileText().Filter(func(s string) bool { return forbiddenSequence(s) == "" && carries(s) })
	switch rapid.SampledFrom([]string{"none", "none", "noop", "report", "encoded", "encodes"}).Draw(t, "undo") {
	case "none":
		return nil
	case "noop":
		isUndone(step)
	case "report":
		values["text"] = plain.Draw(t, "text")
		outputs = []wfev1.Output{{Name: "text", Value: values["text"]}}
		runs("report")(step)
		undoneBy("report", captured("text", step.Name, "text"))(step)
	case "encoded":
		values["patch"], values["label"] = string(rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "previous")), plain.Draw(t, "digest")
		outputs = []wfev1.Output{
			{Name: "previous", Value: base64.StdEncoding.EncodeToString([]byte(values["patch"]))}, {Name: "digest", Value: values["label"]},
		}
		runs("patch-object")(step)
		undoneBy("patch-object", captured("patch", step.Name, "previous"), captured("label", step.Name, "digest"))(step)
	case "encodes":
		values["patch"], values["note"] = hostileText().Draw(t, "given"), hostileText().Draw(t, "text")
		outputs = []wfev1.Output{{Name: "text", Value: values["note"]}}
		runs("report")(step)
		undoneBy("patch-object", given("patch", values["patch"]), captured("note", step.Name, "text"))(step)
	}
	step.Rollback.IncludeFailed = rapid.Bool().Draw(t, "includes failed")
	if rapid.Bool().Draw(t, "optional") {
		undoNotCritical(step)
	}
	if rapid.Bool().Draw(t, "retried") {
		step.Rollback.Retry = &wfev1.Retry{Limit: rapid.Int32Range(1, 2).Draw(t, "limit")}
	}
	return outputs
}

// naivelyUndone are the names of the steps that are to be undone, sorted.
func naivelyUndone(wfe *wfev1.WorkflowExecution) []string {
	var names []string
	for _, status := range wfe.Status.Steps {
		for _, step := range wfe.Spec.Steps {
			if step.Name != status.Name || step.Rollback == nil {
				continue
			}
			half := status.Phase == wfev1.StepFailed || status.Phase == wfev1.StepCancelled
			if status.Phase == wfev1.StepCompleted || half && step.Rollback.IncludeFailed {
				names = append(names, step.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func TestRollbackProperties(t *testing.T) {
	catalog := readCatalog(t)
	rapid.Check(t, func(t *rapid.T) {
		wfe, values := drawEnded(t)
		before := wfe.DeepCopy()
		undone := naivelyUndone(wfe)
		rollback, err := NewRollback(wfe, catalog, Options{ServiceAccountName: "steps"})
		if err != nil {
			t.Fatal(err)
		}
		if has := HasUndo(wfe); has != (len(undone) > 0) || has != (rollback != nil) {
			t.Fatalf("there are %d steps to undo, HasUndo says %t and the rollback is %+v", len(undone), has, rollback)
		}
		if rollback == nil {
			return
		}
		if err := validateWithArgo(rollback.Workflow); err != nil {
			t.Fatalf("Argo refuses the rollback: %v", err)
		}
		checkUndoOrder(t, wfe, undone, rollback)
		checkUndoValues(t, values, rollback.Workflow)

		first, err := json.Marshal(rollback)
		if err != nil {
			t.Fatal(err)
		}
		again, err := NewRollback(wfe, catalog, Options{ServiceAccountName: "steps"})
		if err != nil {
			t.Fatal(err)
		}
		second, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(second)); diff != "" {
			t.Errorf("translating twice gives different bytes:\n%s", diff)
		}
		if diff := cmp.Diff(before, wfe); diff != "" {
			t.Errorf("translating changed the execution (-before +after):\n%s", diff)
		}
	})
	if diff := cmp.Diff(readCatalog(t), catalog, cmp.AllowUnexported(Action{})); diff != "" {
		t.Errorf("translating changed the catalog (-before +after):\n%s", diff)
	}
}

// checkUndoOrder compares each pair of undos with the dependencies of the two steps: the one that depends on the other,
// through whatever is between them, is undone before it, and no undo waits for another reason.
func checkUndoOrder(t *rapid.T, wfe *wfev1.WorkflowExecution, undone []string, rollback *Rollback) {
	parents := map[string][]string{}
	for _, step := range wfe.Spec.Steps {
		parents[step.Name] = step.DependsOn
	}
	depends := dependsOf(rollback.Workflow)
	var run []string // the others are relays, which never run
	for _, task := range rollback.Workflow.Spec.Templates[0].DAG.Tasks {
		if task.When != "false" {
			run = append(run, task.Name)
		}
	}
	slices.Sort(run)
	if diff := cmp.Diff(undone, run); diff != "" {
		t.Fatalf("undos (-want +got):\n%s", diff)
	}
	position := map[string]int{}
	for i, step := range rollback.Steps {
		position[step.Name] = i
	}
	if diff := cmp.Diff(undone, sortedKeys(position)); diff != "" {
		t.Fatalf("steps of the status (-want +got):\n%s", diff)
	}
	for _, u := range undone {
		before := ancestorsOf(depends, u)
		for _, v := range undone {
			want := reaches(parents, v, u)
			if got := slices.Contains(before, v); got != want {
				t.Errorf("%s depends on %s: %t; it is undone before it: %t", v, u, want, got)
			}
			if want && position[v] > position[u] {
				t.Errorf("%s is undone before %s and listed after it", v, u)
			}
		}
	}
}

// checkUndoValues puts the tasks through Argo's substitution and decodes what arrives.
func checkUndoValues(t *rapid.T, values map[string]map[string]string, wf *wfv1.Workflow) {
	for i := range wf.Spec.Templates[0].DAG.Tasks {
		if wf.Spec.Templates[0].DAG.Tasks[i].When == "false" {
			continue
		}
		task, err := json.Marshal(wf.Spec.Templates[0].DAG.Tasks[i])
		if err != nil {
			t.Fatal(err)
		}
		var arrived wfv1.DAGTask
		if err := json.Unmarshal([]byte(substituteLikeArgo(t, string(task), nil)), &arrived); err != nil {
			t.Fatal(err)
		}
		got := argumentsOf(&arrived)
		delete(got, ParameterDryRun)
		for _, encoded := range []string{"patch", "note"} {
			if text, ok := got[encoded]; ok {
				decoded, err := base64.StdEncoding.DecodeString(text)
				if err != nil {
					t.Errorf("%s of %s is not base64: %v", encoded, arrived.Name, err)
				}
				got[encoded] = string(decoded)
			}
		}
		if diff := cmp.Diff(values[arrived.Name], got); diff != "" {
			t.Errorf("values of %s (-want +got):\n%s", arrived.Name, diff)
		}
	}
}
