package translate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func failedStep(name string, end *metav1.Time) wfev1.StepStatus {
	return wfev1.StepStatus{
		Name: name, Action: "noop", Phase: wfev1.StepFailed, Reason: wfev1.ReasonOOMKilled, Message: name + " failed", CompletionTime: end, ArgoPhase: "Failed",
	}
}

func completedStep(name string) wfev1.StepStatus {
	return wfev1.StepStatus{Name: name, Action: "noop", Phase: wfev1.StepCompleted, ArgoPhase: "Succeeded", CompletionTime: atPtr(1)}
}

func skippedStep(name string, argoPhase wfv1.NodePhase) wfev1.StepStatus {
	return wfev1.StepStatus{Name: name, Action: "noop", Phase: wfev1.StepSkipped, ArgoPhase: string(argoPhase)}
}

func failureIn(step string) *wfev1.Failure {
	return &wfev1.Failure{Step: step, Action: "noop", Reason: wfev1.ReasonOOMKilled, Message: step + " failed"}
}

func TestCriticalFailure(t *testing.T) {
	spec := newExecution(newStep("a"), newStep("b"), newStep("soft", notCritical)).Spec
	cases := map[string]struct {
		reason string
		steps  []wfev1.StepStatus
		want   *wfev1.Failure
	}{
		"None":        {"Nothing failed.", []wfev1.StepStatus{completedStep("a"), skippedStep("b", "Omitted")}, nil},
		"NotCritical": {"What is not critical fails nothing.", []wfev1.StepStatus{failedStep("soft", atPtr(5)), completedStep("a")}, nil},
		"One":         {"The critical step that failed.", []wfev1.StepStatus{failedStep("soft", atPtr(5)), failedStep("a", atPtr(9))}, failureIn("a")},
		"First":       {"The one that failed first is to blame.", []wfev1.StepStatus{failedStep("a", atPtr(9)), failedStep("b", atPtr(8))}, failureIn("b")},
		"SameSecond":  {"In the same second the plan's order decides.", []wfev1.StepStatus{failedStep("b", atPtr(8)), failedStep("a", atPtr(8))}, failureIn("b")},
		"NoTime":      {"A failure with a time is before one without.", []wfev1.StepStatus{failedStep("a", nil), failedStep("b", atPtr(8))}, failureIn("b")},
		"NoTimes":     {"Without times the plan's order decides.", []wfev1.StepStatus{failedStep("b", nil), failedStep("a", nil)}, failureIn("b")},
		"Stranger":    {"A step that the specification does not have decides nothing.", []wfev1.StepStatus{failedStep("ghost", atPtr(1))}, nil},
		"Cancelled":   {"A step that was stopped did not fail.", []wfev1.StepStatus{{Name: "a", Phase: wfev1.StepCancelled}}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, CriticalFailure(&spec, tc.steps)); diff != "" {
				t.Errorf("%s\nfailure (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMainFailure(t *testing.T) {
	spec := newExecution(
		newStep("soft", runs("report"), notCritical), newStep("reader", runs("report"), after("soft"), withOutput("text", "soft", "text")),
		newStep("other", notCritical), newStep("last"),
	).Spec
	anyNode := pod("last", wfv1.NodeSucceeded)
	ended := func(phase wfv1.WorkflowPhase) *wfv1.Workflow { return newWorkflow(phase, anyNode) }
	said := func(wf *wfv1.Workflow, change func(*wfv1.Workflow)) *wfv1.Workflow { change(wf); return wf }
	allDone := []wfev1.StepStatus{completedStep("soft"), completedStep("reader"), completedStep("other"), completedStep("last")}
	cases := map[string]struct {
		reason string
		steps  []wfev1.StepStatus
		wf     *wfv1.Workflow
		want   *wfev1.Failure
	}{
		"Completed": {reason: "Every step completed.", steps: allDone, wf: ended(wfv1.WorkflowSucceeded)},
		"SoftLeafFailed": {
			reason: "A failing leaf fails Argo's DAG and, being not critical, not the execution.",
			steps:  []wfev1.StepStatus{completedStep("soft"), completedStep("reader"), failedStep("other", atPtr(1)), completedStep("last")},
			wf:     ended(wfv1.WorkflowFailed),
		},
		"WhenFalse": {
			reason: "A critical step whose condition did not hold did what was asked.",
			steps:  []wfev1.StepStatus{completedStep("soft"), skippedStep("reader", wfv1.NodeSkipped), completedStep("other"), completedStep("last")},
			wf:     ended(wfv1.WorkflowSucceeded),
		},
		"CriticalFailed": {
			reason: "A critical failure comes before everything else.",
			steps:  []wfev1.StepStatus{failedStep("soft", atPtr(1)), skippedStep("reader", wfv1.NodeOmitted), completedStep("other"), failedStep("last", atPtr(2))},
			wf:     ended(wfv1.WorkflowFailed), want: failureIn("last"),
		},
		"ReaderOmitted": {
			reason: "A critical step that could not run, for an output did not come, fails the execution, and the cause is named.",
			steps:  []wfev1.StepStatus{failedStep("soft", atPtr(1)), skippedStep("reader", wfv1.NodeOmitted), completedStep("other"), completedStep("last")},
			wf:     ended(wfv1.WorkflowFailed),
			want: &wfev1.Failure{
				Step: "reader", Action: "noop", Reason: wfev1.ReasonOOMKilled,
				Message: `step "reader" could not run because step "soft" failed: soft failed`,
			},
		},
		"ReaderOmittedAndAStrangerFailed": {
			reason: "The step that it reads from is to blame, not whichever failed first.",
			steps:  []wfev1.StepStatus{failedStep("soft", atPtr(5)), skippedStep("reader", wfv1.NodeOmitted), failedStep("other", atPtr(1)), completedStep("last")},
			wf:     ended(wfv1.WorkflowFailed),
			want: &wfev1.Failure{
				Step: "reader", Action: "noop", Reason: wfev1.ReasonOOMKilled,
				Message: `step "reader" could not run because step "soft" failed: soft failed`,
			},
		},
		"NeverRan": {
			reason: "A critical step that did not run, though nothing failed, is no success.",
			steps:  []wfev1.StepStatus{completedStep("soft"), completedStep("reader"), completedStep("other"), skippedStep("last", "")},
			wf:     ended(wfv1.WorkflowSucceeded),
			want:   &wfev1.Failure{Step: "last", Action: "noop", Reason: wfev1.ReasonUnknown, Message: `step "last" did not run although no step failed: its phase is Skipped`},
		},
		"StoppedAfterASoftFailure": {
			reason: "A step that was stopped did not fail because of an earlier failure; the controller recognizes a cancelled execution by reason Unknown.",
			steps: []wfev1.StepStatus{
				completedStep("soft"), completedStep("reader"), failedStep("other", atPtr(1)), {Name: "last", Action: "noop", Phase: wfev1.StepCancelled, ArgoPhase: "Failed"},
			},
			wf:   said(ended(wfv1.WorkflowFailed), func(wf *wfv1.Workflow) { wf.Spec.Shutdown = wfv1.ShutdownStrategyTerminate }),
			want: &wfev1.Failure{Step: "last", Action: "noop", Reason: wfev1.ReasonUnknown},
		},
		"Refused": {
			reason: "A Workflow that failed without a node was never run.",
			steps:  pending("soft", "reader", "other", "last"),
			wf:     said(newWorkflow(wfv1.WorkflowError), func(wf *wfv1.Workflow) { wf.Status.Message = "invalid spec: no" }),
			want:   &wfev1.Failure{Reason: wfev1.ReasonEngineRefused, Message: "Argo did not run the Workflow: invalid spec: no"},
		},
		"Packed": {
			reason: "Nodes that are packed are nodes.",
			steps:  allDone,
			wf:     said(newWorkflow(wfv1.WorkflowFailed), func(wf *wfv1.Workflow) { wf.Status.CompressedNodes = "x" }),
		},
		"Offloaded": {
			reason: "Nodes that Argo keeps in a database are nodes: the Workflow did run.",
			steps:  allDone,
			wf:     said(newWorkflow(wfv1.WorkflowFailed), func(wf *wfv1.Workflow) { wf.Status.OffloadNodeStatusVersion = "fnv:1" }),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := MainFailure(&spec, tc.steps, tc.wf)
			want := tc.want
			if want != nil && want.Message == "" && got != nil {
				want.Message = got.Message // the row is about the reason
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\nfailure (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestEnded(t *testing.T) {
	steps := []wfev1.StepStatus{
		{Phase: wfev1.StepPending}, {Phase: wfev1.StepRunning}, {Phase: wfev1.StepAwaitingApproval}, {Phase: wfev1.StepCompleted},
		{Phase: wfev1.StepFailed}, {Phase: wfev1.StepSkipped}, {Phase: wfev1.StepCancelled}, {},
	}
	if got := Ended(steps); got != 4 {
		t.Errorf("want 4 steps that have ended, got %d", got)
	}
}

func TestParallelSteps(t *testing.T) {
	run := func(start, end int64) wfev1.StepStatus {
		return wfev1.StepStatus{Action: "noop", Phase: wfev1.StepCompleted, StartTime: atPtr(start), CompletionTime: atPtr(end)}
	}
	stopped := func(start, end int64) wfev1.StepStatus {
		step := run(start, end)
		step.Phase = wfev1.StepCancelled
		return step
	}
	wait := run(0, 99)
	wait.Action = ""
	cases := map[string]struct {
		reason string
		steps  []wfev1.StepStatus
		want   int32
	}{
		"None":      {"Nothing ran.", nil, 0},
		"One":       {"One step has no other beside it.", []wfev1.StepStatus{run(1, 9)}, 0},
		"Chain":     {"A step that starts in the second in which another ends does not overlap it.", []wfev1.StepStatus{run(1, 5), run(5, 9)}, 0},
		"Overlap":   {"Two overlap.", []wfev1.StepStatus{run(1, 5), run(4, 9)}, 2},
		"Within":    {"A long step overlaps each short one, which do not overlap each other.", []wfev1.StepStatus{run(1, 99), run(2, 3), run(4, 5)}, 3},
		"Instant":   {"A step of no length overlaps nothing.", []wfev1.StepStatus{run(1, 9), run(5, 5)}, 0},
		"Approval":  {"An approval waits and does not run.", []wfev1.StepStatus{wait, run(1, 9)}, 0},
		"Stopped":   {"A step that was stopped is not counted, but the one that ran beside it is.", []wfev1.StepStatus{run(1, 5), stopped(4, 9), stopped(8, 12)}, 1},
		"Unstarted": {"A step that never started did not run in parallel.", []wfev1.StepStatus{run(1, 9), {Action: "noop", CompletionTime: atPtr(5)}}, 0},
		"Unended":   {"A step whose end is not known is not counted.", []wfev1.StepStatus{run(1, 9), {Action: "noop", StartTime: atPtr(5)}}, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := ParallelSteps(tc.steps); got != tc.want {
				t.Errorf("%s\nwant %d, got %d", tc.reason, tc.want, got)
			}
		})
	}
}
