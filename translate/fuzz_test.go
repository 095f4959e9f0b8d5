package translate

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// maxErrorBytes bounds the text of an InvalidError: a condition's message has at most 32 KiB.
const maxErrorBytes = 32 << 10

// FuzzGraph reads a graph from lines of a step and its dependencies.
func FuzzGraph(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		var steps []wfev1.Step
		for line := range strings.Lines(text) {
			if words := strings.Fields(line); len(words) > 0 {
				steps = append(steps, newStep(words[0], after(words[1:]...)))
			}
		}
		graph, problems := NewGraph(steps)
		if (graph == nil) != (len(problems) > 0) {
			t.Fatalf("a graph or problems, not both: %v, %v", graph, problems)
		}
		if graph == nil {
			return
		}
		placed := make([]bool, len(steps))
		for _, i := range graph.Order() {
			for _, parent := range graph.Parents(i) {
				if !placed[parent] {
					t.Errorf("%q is placed before its dependency %q", steps[i].Name, steps[parent].Name)
				}
				if !graph.IsAncestor(parent, i) || graph.IsAncestor(i, parent) {
					t.Errorf("%q is a dependency of %q and the ancestors say otherwise", steps[parent].Name, steps[i].Name)
				}
			}
			placed[i] = true
		}
		for i, is := range placed {
			if !is {
				t.Errorf("%q is not in the order", steps[i].Name)
			}
		}
	})
}

// FuzzWorkflow reads a specification from JSON. What the plan accepts, Argo must accept.
func FuzzWorkflow(f *testing.F) {
	catalog := readCatalog(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		wfe := newExecution()
		if err := json.Unmarshal(data, &wfe.Spec); err != nil || len(data) > 8<<10 {
			return // the schema bounds what the messages quote
		}
		before := wfe.DeepCopy()
		plan, err := NewPlan(wfe, catalog)
		if err != nil {
			checkInvalid(t, err)
			return
		}
		wf := plan.Workflow(Options{ServiceAccountName: "steps", InstanceID: "i"})
		if err := validateWithArgo(wf); err != nil {
			t.Errorf("Argo refuses the Workflow: %v", err)
		}
		if len(wf.Spec.Templates[0].DAG.Tasks) != len(wfe.Spec.Steps) || len(InitialSteps(&wfe.Spec)) != len(wfe.Spec.Steps) {
			t.Error("each step is one task and one status")
		}
		if a, b := mustJSON(t, before), mustJSON(t, wfe); a != b {
			t.Errorf("translating changed the execution\nfrom %s\nto %s", a, b)
		}
	})
}

func checkInvalid(t *testing.T, err error) {
	t.Helper()
	var refused *InvalidError
	if !errors.As(err, &refused) || len(refused.Problems) == 0 {
		t.Fatalf("want an InvalidError with problems, got %v", err)
	}
	if n := len(err.Error()); n > maxErrorBytes {
		t.Errorf("the error's text has %d bytes", n)
	}
	for _, problem := range refused.Problems {
		if problem.Field == "" || problem.Message == "" || problem.Reason == "" {
			t.Errorf("a problem needs field, reason and message: %+v", problem)
		}
	}
}

// FuzzSteps reads a Workflow's status from JSON, twice over: the second time must change nothing that had ended.
func FuzzSteps(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte, shutdown bool) {
		wf := newWorkflow(wfv1.WorkflowRunning)
		if err := json.Unmarshal(data, &wf.Status); err != nil {
			return
		}
		if shutdown {
			wf.Spec.Shutdown = wfv1.ShutdownStrategyTerminate
		}
		wf, err := Expand(wf)
		if err != nil {
			return
		}
		previous := append(pending("a", "b"), wfev1.StepStatus{Name: "ask", Phase: wfev1.StepPending})
		steps := Steps(previous, wf)
		for i := range steps {
			if n := len(steps[i].Message); n > maxMessageBytes {
				t.Errorf("the message of %s has %d bytes", steps[i].Name, n)
			}
			if !utf8.ValidString(steps[i].Message) {
				t.Errorf("the message of %s is no text: %q", steps[i].Name, steps[i].Message)
			}
			if wf.Status.Fulfilled() && !steps[i].Phase.IsTerminal() {
				t.Errorf("the Workflow has ended and %s is %s", steps[i].Name, steps[i].Phase)
			}
			if steps[i].Phase == wfev1.StepFailed && steps[i].Reason == "" {
				t.Errorf("%s failed without a reason", steps[i].Name)
			}
		}
		spec := newExecution(newStep("a"), newStep("b", notCritical), newStep("ask", asApproval(""))).Spec
		if failure := MainFailure(&spec, steps, wf); failure != nil && (failure.Reason == "" || len(failure.Message) > maxMessageBytes) {
			t.Errorf("a failure needs a reason and a bounded message: %+v", failure)
		}
		ParallelSteps(steps)
		Running(wf)
		PendingSince(wf, "a")
		again := Steps(steps, wf)
		for i := range steps {
			if a, b := mustJSON(t, steps[i]), mustJSON(t, again[i]); steps[i].Phase.IsTerminal() && a != b {
				t.Errorf("a step that had ended changed\nfrom %s\nto %s", a, b)
			}
		}
	})
}

func mustJSON(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}
