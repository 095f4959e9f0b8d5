package retry

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// catalog has an action with a plain output, a base64 output, and an output with a default.
func catalog() translate.Catalog {
	return translate.Catalog{"do": {Name: "do", Outputs: []translate.ActionOutput{
		{Name: "changed"}, {Name: "content", Base64: true}, {Name: "mode", Default: "none"},
	}}}
}

func parse(t *testing.T, text string) *wfev1.WorkflowExecution {
	t.Helper()
	wfe := &wfev1.WorkflowExecution{}
	if err := yaml.UnmarshalStrict([]byte(text), wfe); err != nil {
		t.Fatal(err)
	}
	wfe.Name, wfe.Namespace = "old", "ns"
	return wfe
}

func TestNew(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason, in, steps        string
		done, skipped, notUndone []string
		err                      string
	}{
		"CompletedIsLeftOut": {
			reason: "a completed step does not run again, and no step depends on it",
			in: `
spec: {steps: [{name: a, action: do}, {name: b, action: do, dependsOn: [a]}, {name: c, action: do, dependsOn: [a, b]}]}
status: {phase: Failed, steps: [{name: a, phase: Completed}, {name: b, phase: Failed}, {name: c, phase: Skipped, argoPhase: Omitted}]}`,
			steps: `[{name: b, action: do}, {name: c, action: do, dependsOn: [b]}]`,
			done:  []string{"a"},
		},
		"UndoneRunsAgain": {
			reason: "a step whose rollback started runs again, and so do the steps after it",
			in: `
spec: {steps: [{name: a, action: do, rollback: {action: do}}, {name: b, action: do, dependsOn: [a]}, {name: c, action: do}, {name: d, action: do, dependsOn: [b, c]}]}
status:
  phase: Failed
  steps: [{name: a, phase: Completed}, {name: b, phase: Completed}, {name: c, phase: Completed}, {name: d, phase: Failed}]
  rollbackSteps: [{name: a, phase: Failed, startTime: "2026-01-02T03:04:05Z"}]`,
			steps: `[{name: a, action: do, rollback: {action: do}}, {name: b, action: do, dependsOn: [a]}, {name: d, action: do, dependsOn: [b]}]`,
			done:  []string{"c"},
		},
		"UndoThatDidNotBegin": {
			reason: "a step that is left out is not rolled back, which the summary reports",
			in: `
spec: {steps: [{name: a, action: do, rollback: {action: do}}, {name: b, action: do, dependsOn: [a]}]}
status: {phase: Cancelled, steps: [{name: a, phase: Completed}, {name: b, phase: Cancelled}], rollbackSteps: [{name: a, phase: Cancelled}]}`,
			steps:     `[{name: b, action: do}]`,
			done:      []string{"a"},
			notUndone: []string{"a"},
		},
		"NotCritical": {
			reason: "a failed step runs again also when it is not critical, and so does what came after it",
			in: `
spec: {steps: [{name: a, action: do, critical: false}, {name: b, action: do, dependsOn: [a]}, {name: c, action: do, dependsOn: [b]}]}
status: {phase: Failed, steps: [{name: a, phase: Failed}, {name: b, phase: Completed}, {name: c, phase: Failed}]}`,
			steps: `[{name: a, action: do, critical: false}, {name: b, action: do, dependsOn: [a]}, {name: c, action: do, dependsOn: [b]}]`,
		},
		"Outputs": {
			reason: "what others refer to is put in as a value, decoded where it was encoded, in rollbacks too",
			in: `
spec:
  steps:
  - {name: a, action: do}
  - name: b
    action: do
    dependsOn: [a]
    parameters: [{name: x, valueFrom: {step: a, output: changed}}, {name: "y", valueFrom: {step: a, output: content}}, {name: z, value: "1"}]
    rollback: {action: do, parameters: [{name: x, valueFrom: {step: a, output: changed}}, {name: "y", valueFrom: {step: b, output: changed}}]}
status:
  phase: Failed
  steps: [{name: a, phase: Completed, outputs: [{name: changed, value: "true"}, {name: content, value: aGVsbG8K}]}, {name: b, phase: Failed}]`,
			steps: `[{name: b, action: do, parameters: [{name: x, value: "true"}, {name: "y", value: "hello\n"}, {name: z, value: "1"}],
				rollback: {action: do, parameters: [{name: x, value: "true"}, {name: "y", valueFrom: {step: b, output: changed}}]}}]`,
			done: []string{"a"},
		},
		"ConditionThatHolds": {
			reason: "a condition on a step that is left out is evaluated and removed",
			in: `
spec: {steps: [{name: a, action: do}, {name: b, action: do, dependsOn: [a], when: {step: a, output: changed, operator: In, values: ["true"]}}]}
status: {phase: Failed, steps: [{name: a, phase: Completed, outputs: [{name: changed, value: "true"}]}, {name: b, phase: Failed}]}`,
			steps: `[{name: b, action: do}]`,
			done:  []string{"a"},
		},
		"ConditionThatDoesNotHold": {
			reason: "the step is skipped, and the steps after it run",
			in: `
spec: {steps: [{name: a, action: do}, {name: b, action: do, dependsOn: [a], when: {step: a, output: changed, operator: NotIn, values: ["true"]}}, {name: c, action: do, dependsOn: [b]}]}
status: {phase: Cancelled, steps: [{name: a, phase: Completed, outputs: [{name: changed, value: "true"}]}, {name: b, phase: Pending}, {name: c, phase: Pending}]}`,
			steps:   `[{name: c, action: do}]`,
			done:    []string{"a"},
			skipped: []string{"b"},
		},
		"ConditionOnAPhase": {
			reason: "the phase of a step that is left out is known",
			in: `
spec: {steps: [{name: a, action: do}, {name: b, action: do, dependsOn: [a], when: {step: a, operator: In, values: [Failed]}}, {name: c, action: do, dependsOn: [a], when: {step: a, operator: In, values: [Completed]}}]}
status: {phase: Failed, steps: [{name: a, phase: Completed}, {name: b, phase: Skipped, argoPhase: Skipped}, {name: c, phase: Failed}]}`,
			steps:   `[{name: c, action: do}]`,
			done:    []string{"a"},
			skipped: []string{"b"},
		},
		"ConditionOnWhatRunsAgain": {
			reason: "the condition depends on a step that runs again",
			in: `
spec: {steps: [{name: a, action: do}, {name: b, action: do, dependsOn: [a], when: {step: a, output: changed, operator: Exists}}]}
status: {phase: Failed, steps: [{name: a, phase: Failed, outputs: [{name: changed, value: "true"}]}, {name: b, phase: Skipped, argoPhase: Omitted}]}`,
			steps: `[{name: a, action: do}, {name: b, action: do, dependsOn: [a], when: {step: a, output: changed, operator: Exists}}]`,
		},
		"OutputOfASkippedStep": {
			reason: "the output is the default of the action, as in Argo",
			in: `
spec: {steps: [{name: a, action: do}, {name: b, action: do, dependsOn: [a], when: {step: a, operator: In, values: [Failed]}}, {name: c, action: do, dependsOn: [b], parameters: [{name: x, valueFrom: {step: b, output: mode}}]}]}
status: {phase: Failed, steps: [{name: a, phase: Completed}, {name: b, phase: Skipped, argoPhase: Skipped}, {name: c, phase: Failed}]}`,
			steps:   `[{name: c, action: do, parameters: [{name: x, value: none}]}]`,
			done:    []string{"a"},
			skipped: []string{"b"},
		},
		"Approvals": {
			reason: "an approved step is done, a rejected one asks again, and no decision is copied",
			in: `
spec: {suspended: true, cancel: Stop, approvals: [{step: a, approved: true}, {step: b, approved: false}], steps: [{name: a, approval: {}}, {name: b, approval: {}, dependsOn: [a]}]}
status: {phase: Failed, steps: [{name: a, phase: Completed}, {name: b, phase: Failed}]}`,
			steps: `[{name: b, approval: {}}]`,
			done:  []string{"a"},
		},
		"NotRecorded": {
			reason: "an output that is not in the status cannot replace a reference",
			in: `
spec: {steps: [{name: a, action: do}, {name: b, action: do, dependsOn: [a], parameters: [{name: x, valueFrom: {step: a, output: changed}}]}]}
status: {phase: Failed, steps: [{name: a, phase: Completed}, {name: b, phase: Failed}]}`,
			err: `step "b": parameter "x": output "changed" of step "a" was not recorded`,
		},
		"NotInTheCatalog": {
			reason: "only the catalog declares whether the output is base64",
			in: `
spec: {steps: [{name: a, action: gone}, {name: b, action: do, dependsOn: [a], parameters: [{name: x, valueFrom: {step: a, output: changed}}]}]}
status: {phase: Failed, steps: [{name: a, phase: Completed, outputs: [{name: changed, value: "true"}]}, {name: b, phase: Failed}]}`,
			err: `step "b": parameter "x": action "gone" of step "a" is no longer in the catalog, so its output "changed" cannot be read`,
		},
		"NotText": {
			reason: "a JSON string must be text",
			in: `
spec: {steps: [{name: a, action: do}, {name: b, action: do, dependsOn: [a], parameters: [{name: x, valueFrom: {step: a, output: content}}]}]}
status: {phase: Failed, steps: [{name: a, phase: Completed, outputs: [{name: content, value: "/w=="}]}, {name: b, phase: Failed}]}`,
			err: `step "b": parameter "x": output "content" of step "a" is not UTF-8 text, so it cannot be a value`,
		},
		"Running":   {reason: "the execution can still complete", in: "status: {phase: Running}", err: `"old" has not ended: it is Running`},
		"Completed": {reason: "no step failed", in: "status: {phase: Completed}", err: `"old" completed: there is nothing to retry`},
		"Unseen":    {reason: "its status is empty", in: "spec: {}", err: `"old" has no status yet: the controller has not processed it`},
		"AllDone": {
			reason: "a timeout can end an execution after its last step", in: `
spec: {steps: [{name: a, action: do}]}
status: {phase: Failed, steps: [{name: a, phase: Completed}]}`,
			err: `every step of "old" is done: there is nothing to retry`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := parse(t, test.in)
			before := in.DeepCopy()
			got, err := New(in, catalog(), "")
			if diff := cmp.Diff(before, in); diff != "" {
				t.Errorf("the old execution was changed:\n%s", diff)
			}
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("%s: error %v, want %s", test.reason, err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := parse(t, "spec: {steps: "+test.steps+"}")
			if diff := cmp.Diff(want.Spec, got.Execution.Spec); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
			if diff := cmp.Diff([][]string{test.done, test.skipped, test.notUndone}, [][]string{got.Done, got.Skipped, got.NotUndone}); diff != "" {
				t.Errorf("%s: done, skipped, not undone (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

func TestNewNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 54)
	for name, want := range map[string]string{
		"a": "a-retry-1", "a-retry-1": "a-retry-2", "a-retry-9": "a-retry-10", "a-retry-x": "a-retry-x-retry-1",
		long: long[:46] + "-retry-1", strings.Repeat("a", 45) + "-bcdefgh": strings.Repeat("a", 45) + "-retry-1",
	} {
		if got := nextName(name, "retry"); got != want || len(got) > maxName {
			t.Errorf("after %s comes %s, want %s", name, got, want)
		}
	}
	wfe := parse(t, "spec: {steps: [{name: a, action: do}]}\nstatus: {phase: Failed}")
	wfe.Labels = map[string]string{"alert": "1"}
	got, err := New(wfe, nil, "chosen")
	if err != nil {
		t.Fatal(err)
	}
	want := metav1.ObjectMeta{Name: "chosen", Namespace: "ns", Labels: map[string]string{"alert": "1", wfev1.LabelRetryOf: "old"}}
	if diff := cmp.Diff(want, got.Execution.ObjectMeta); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestProperties verifies for any graph and any phases: no step refers to a step that is left out, every step that is not
// done runs, and so does every step after it.
func TestProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		wfe := &wfev1.WorkflowExecution{Status: wfev1.WorkflowExecutionStatus{Phase: wfev1.PhaseFailed}}
		phases := []wfev1.StepPhase{wfev1.StepCompleted, wfev1.StepCompleted, wfev1.StepFailed, wfev1.StepSkipped, wfev1.StepCancelled}
		for i := range rapid.IntRange(1, 12).Draw(t, "steps") {
			step := wfev1.Step{Name: fmt.Sprint("s", i), Action: "do"}
			for parent := range i {
				if rapid.Bool().Draw(t, "depends") {
					step.DependsOn = append(step.DependsOn, fmt.Sprint("s", parent))
				}
			}
			if n := len(step.DependsOn); n > 0 && rapid.Bool().Draw(t, "reads") {
				from := &wfev1.OutputReference{Step: step.DependsOn[n-1], Output: "changed"}
				step.Parameters = []wfev1.Parameter{{Name: "x", ValueFrom: from}}
			}
			wfe.Spec.Steps = append(wfe.Spec.Steps, step)
			wfe.Status.Steps = append(wfe.Status.Steps, wfev1.StepStatus{
				Name: step.Name, Phase: rapid.SampledFrom(phases).Draw(t, "phase"), ArgoPhase: rapid.SampledFrom([]string{"Skipped", "Omitted"}).Draw(t, "argo"),
				Outputs: []wfev1.Output{{Name: "changed", Value: "true"}},
			})
			if rapid.IntRange(0, 5).Draw(t, "undo") == 0 {
				wfe.Status.RollbackSteps = append(wfe.Status.RollbackSteps, wfev1.StepStatus{Name: step.Name, StartTime: &metav1.Time{}})
			}
		}
		got, err := New(wfe, catalog(), "")
		if err != nil {
			if !strings.Contains(err.Error(), "every step") {
				t.Fatal(err)
			}
			return
		}
		if _, problems := translate.NewGraph(got.Execution.Spec.Steps); len(problems) > 0 {
			t.Fatalf("the new graph: %v", problems)
		}
		runs := map[string]bool{}
		for _, step := range got.Execution.Spec.Steps {
			runs[step.Name] = true
		}
		for i, step := range wfe.Spec.Steps {
			after := slices.ContainsFunc(step.DependsOn, func(name string) bool { return runs[name] })
			undone := slices.ContainsFunc(wfe.Status.RollbackSteps, func(s wfev1.StepStatus) bool { return s.Name == step.Name })
			seen := &wfe.Status.Steps[i]
			done := seen.Phase == wfev1.StepCompleted || seen.Phase == wfev1.StepSkipped && seen.ArgoPhase == "Skipped"
			if want := after || undone || !done; runs[step.Name] != want {
				t.Fatalf("step %s runs: %t, want %t", step.Name, runs[step.Name], want)
			}
		}
		for _, step := range got.Execution.Spec.Steps {
			for _, p := range step.Parameters {
				if p.ValueFrom != nil && !runs[p.ValueFrom.Step] {
					t.Fatalf("step %s reads from %s, which is left out", step.Name, p.ValueFrom.Step)
				}
			}
		}
	})
}
