package command

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func testLogs(w *testCluster) {
	wfe := w.createSample("logs")
	w.run("logs", "logs").check(w.t, 1, `error: no step of "logs" has run: it is Pending`)
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
		{[]string{"logs", "logs", "restart"}, 1, `error: step "restart" has no pod yet: it is Pending`},
		{[]string{"logs", "logs", "none"}, 1, `error: "logs" has no step "none"; it has ["scale-up" "ask" "restart" "scale-back"]`},
		{[]string{"logs", "logs", "--rollback"}, 1, `error: "logs" has no rollback`},
		{[]string{"logs", "logs", "--last"}, 1, `error: pod gone of step "scale-up" not found`},
		{[]string{"logs", "logs", "scale-up", "--last"}, 1, "error: STEP and --last exclude each other"},
	} {
		w.run(test.args...).check(w.t, test.code, test.wantErr)
	}
	w.mustWriteStatus(wfe, wfev1.PhaseFailed, completed, wfev1.StepFailed, wfev1.StepSkipped)
	w.run("logs", "logs", "restart").check(w.t, 1, `error: step "restart" has no logs: it did not run, and is Skipped`)
	w.run("logs", "logs", "-f").check(w.t, 0, "")
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

func TestCopyLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	long := strings.Repeat("x", 100_000)
	if err := copyLines(&out, strings.NewReader("a\r\n\n"+long+"\nlast"), func(line string) string { return "[s] " + line }); err != nil {
		t.Fatal(err)
	}
	if want := "[s] a\n[s] \n[s] " + long + "\n[s] last\n"; out.String() != want {
		t.Errorf("%d bytes, want %d", out.Len(), len(want))
	}
}

func TestReadableLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ in, want string }{
		"JSON": {
			`2026-01-02T03:04:05.6Z {"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"done","action":"wait","step":"s","dryRun":false,"outputs":{"changed":"true"}}`,
			`03:04:05  s  done  dryRun=false  outputs={"changed":"true"}`,
		},
		"Error":  {`2026-01-02T03:04:05Z {"level":"ERROR","msg":"failed","reason":"Forbidden","exitCode":1}`, "03:04:05  s  ERROR failed  exitCode=1  reason=Forbidden"},
		"Text":   {"2026-01-02T03:04:05+01:00 plain text", "02:04:05  s  plain text"},
		"Other":  {`2026-01-02T03:04:05Z {"value": 1}`, `03:04:05  s  {"value": 1}`},
		"NoTime": {"plain text", "s  plain text"},
	} {
		if got := readableLine(test.in, "s"); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestStartedPods verifies that the step that started last is the last one, in any order of the status.
func TestStartedPods(t *testing.T) {
	t.Parallel()
	at := func(second int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC)}
	}
	got := startedPods([]wfev1.StepStatus{{Name: "a", PodName: "a-1", StartTime: at(3)}, {Name: "b"}, {Name: "c", PodName: "c-1", StartTime: at(1)}})
	if len(got) != 2 || got[0].step != "c" || got[1].step != "a" {
		t.Errorf("the pods are %v", got)
	}
}
