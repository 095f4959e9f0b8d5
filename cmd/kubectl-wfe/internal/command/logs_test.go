package command

import (
	"strings"
	"testing"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func testLogs(w *testCluster) {
	wfe := w.createSample("logs")
	w.run("logs", "logs").check(w.t, 1, `error: no step of "logs" has a pod`)
	w.mustWriteStatus(wfe, wfev1.PhaseAwaitingApproval, completed, awaiting)
	wfe.Status.Steps[0].PodName = "gone"
	if err := w.admin.Status().Update(w.t.Context(), wfe); err != nil {
		w.t.Fatal(err)
	}
	for _, test := range []struct {
		args    []string
		code    int
		wantErr string
	}{
		{[]string{"logs", "logs", "scale-up"}, 1, `error: pod gone of step "scale-up" not found: it was deleted`},
		{[]string{"logs", "logs"}, 0, `note: pod gone of step "scale-up" not found: it was deleted`},
		{[]string{"logs", "logs", "ask"}, 1, `error: step "ask" is an approval and has no logs`},
		{[]string{"logs", "logs", "restart"}, 1, `error: step "restart" has no pod: it is Pending`},
		{[]string{"logs", "logs", "none"}, 1, `error: "logs" has no step "none"; it has ["scale-up" "ask" "restart" "scale-back"]`},
		{[]string{"logs", "logs", "--rollback"}, 1, `error: "logs" has no rollback`},
		{[]string{"logs", "logs", "-f"}, 1, "error: must specify a step to follow"},
	} {
		w.run(test.args...).check(w.t, test.code, test.wantErr)
	}
}

// TestPodsOf verifies the pods of one step, of all steps, and of the rollback.
func TestPodsOf(t *testing.T) {
	t.Parallel()
	wfe := &wfev1.WorkflowExecution{Status: wfev1.WorkflowExecutionStatus{
		Steps:         []wfev1.StepStatus{{Name: "a", Action: "x", PodName: "a-1"}, {Name: "ask"}, {Name: "b", Action: "x", PodName: "b-1"}},
		RollbackSteps: []wfev1.StepStatus{{Name: "a", Action: "y", PodName: "a-2"}},
	}}
	for name, test := range map[string]struct {
		step     string
		rollback bool
		want     []stepPod
	}{
		"All":        {want: []stepPod{{"a", "a-1"}, {"b", "b-1"}}},
		"One":        {step: "b", want: []stepPod{{"b", "b-1"}}},
		"OfRollback": {step: "a", rollback: true, want: []stepPod{{"a", "a-2"}}},
	} {
		got, err := podsOf(wfe, test.step, test.rollback)
		if err != nil || len(got) != len(test.want) {
			t.Fatalf("%s: %v, error %v", name, got, err)
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
	}
}

func TestPrefixLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	long := strings.Repeat("x", 100_000)
	if err := prefixLines(&out, strings.NewReader("a\n\n"+long+"\nlast"), "[s] "); err != nil {
		t.Fatal(err)
	}
	if want := "[s] a\n[s] \n[s] " + long + "\n[s] last\n"; out.String() != want {
		t.Errorf("%d bytes, want %d", out.Len(), len(want))
	}
}
