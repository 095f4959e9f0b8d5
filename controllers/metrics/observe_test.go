package metrics

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

func rolledBack(status metav1.ConditionStatus) []metav1.Condition {
	return []metav1.Condition{{Type: wfev1.ConditionRolledBack, Status: status}}
}

func TestObserveScriptedExecution(t *testing.T) {
	tests := map[string]struct {
		reason string
		want   map[string]float64
	}{
		"completed": {
			reason: "steps count when they end, with their retries; the execution counts once, with its parallel steps",
			want: map[string]float64{
				"total{completed}":                                   1,
				"duration_seconds_count":                             1,
				"duration_seconds_sum":                               100,
				"step_execution_total{restart-pod,completed}":        2,
				"step_execution_duration_seconds_count{restart-pod}": 2,
				"step_execution_duration_seconds_sum{restart-pod}":   110,
				"step_retries_total{restart-pod}":                    2,
				// Only this step was observed waiting; the test clock ends the wait.
				"step_queue_duration_seconds_count{restart-pod}": 1,
				"step_queue_duration_seconds_sum{restart-pod}":   24*3600 - 2,
				"step_skipped_total{scale-deployment}":           1,
				"steps_executed_total":                           2,
				"parallel_steps_total":                           2,
				"parallel_steps_count_count":                     1,
				"parallel_steps_count_sum":                       2,
			},
		},
		"approved": {
			reason: "the wait is not part of the duration, and an approval is no step with an action",
			want: map[string]float64{
				"total{completed}":                                   1,
				"duration_seconds_count":                             1,
				"duration_seconds_sum":                               400,
				"approval_wait_duration_seconds_count":               1,
				"approval_wait_duration_seconds_sum":                 3600,
				"step_execution_total{restart-pod,completed}":        1,
				"step_execution_duration_seconds_count{restart-pod}": 1,
				"step_execution_duration_seconds_sum{restart-pod}":   397,
				"steps_executed_total":                               1,
				"parallel_steps_count_count":                         1,
			},
		},
		"failed and rolled back": {
			reason: "rollback steps have their own counter, and the cancelled step is not counted as failed",
			want: map[string]float64{
				"total{failed}":                                             1,
				"failures_total{OOMKilled}":                                 1,
				"duration_seconds_count":                                    1,
				"duration_seconds_sum":                                      60,
				"step_execution_total{scale-deployment,completed}":          1,
				"step_execution_total{restart-pod,failed}":                  1,
				"step_execution_duration_seconds_count{restart-pod}":        1,
				"step_execution_duration_seconds_sum{restart-pod}":          30,
				"step_execution_duration_seconds_count{scale-deployment}":   1,
				"step_execution_duration_seconds_sum{scale-deployment}":     10,
				"step_retries_total{restart-pod}":                           1,
				"steps_executed_total":                                      2,
				"parallel_steps_count_count":                                1,
				"rollback_total{completed}":                                 1,
				"rollback_step_execution_total{scale-deployment,completed}": 1,
			},
		},
		"rollback failed": {
			reason: "a rollback that left something undone is a failed one",
			want: map[string]float64{
				"total{failed}":                                     1,
				"failures_total{RollbackFailed}":                    1,
				"duration_seconds_count":                            1,
				"duration_seconds_sum":                              20,
				"parallel_steps_count_count":                        1,
				"rollback_total{failed}":                            1,
				"rollback_step_execution_total{restart-pod,failed}": 1,
			},
		},
		"cancelled": {
			reason: "a cancelled execution is neither completed nor failed, also when it had a failure, and has no duration; its completed step counts",
			want: map[string]float64{
				"cancelled_total": 1,
				"step_execution_total{restart-pod,completed}":        1,
				"step_execution_duration_seconds_count{restart-pod}": 1,
				"step_execution_duration_seconds_sum{restart-pod}":   8,
				"steps_executed_total":                               1,
				"parallel_steps_count_count":                         1,
			},
		},
		"suspended": {
			reason: "a pause by a user is not part of the duration",
			want: map[string]float64{
				"total{completed}": 1, "duration_seconds_count": 1, "duration_seconds_sum": 60,
				"approval_wait_duration_seconds_count": 1, "approval_wait_duration_seconds_sum": 40,
				"parallel_steps_count_count": 1,
			},
		},
		"stopped without a rollback Workflow": {
			reason: "a rollback that could not be created is a failed rollback",
			want:   map[string]float64{"cancelled_total": 1, "rollback_total{failed}": 1, "parallel_steps_count_count": 1},
		},
		"refused": {
			reason: "an execution that never started has no duration, and its parallel steps are unknown",
			want:   map[string]float64{"total{failed}": 1, "failures_total{InvalidSpec}": 1},
		},
		"dry run completed": {
			reason: "a dry run is in no other series",
			want:   map[string]float64{"dry_runs_total{completed}": 1},
		},
		"dry run failed": {
			reason: "a dry run that failed is no failure",
			want:   map[string]float64{"dry_runs_total{failed}": 1},
		},
		"dry run cancelled": {
			reason: "a cancelled dry run is not in cancelled_total",
			want:   map[string]float64{"dry_runs_total{cancelled}": 1},
		},
	}
	for name, scripted := range scriptedExecutions {
		t.Run(name, func(t *testing.T) {
			test, ok := tests[name]
			if !ok {
				t.Fatal("no expectation for this execution")
			}
			recorder, registry := newTestRecorder(t, "restart-pod", "scale-deployment")
			scripted.play(recorder)
			if diff := cmp.Diff(test.want, changed(t, registry)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}

			versions := scripted.versions()
			last := versions[len(versions)-1]
			for _, version := range versions {
				recorder.Observe(last, version)
			}
			if diff := cmp.Diff(test.want, changed(t, registry)); diff != "" {
				t.Errorf("an ended execution was counted again (-want +got):\n%s", diff)
			}
		})
	}
}

func TestObserveDoesNotChangeItsArguments(t *testing.T) {
	for name, scripted := range scriptedExecutions {
		t.Run(name, func(t *testing.T) {
			recorder, _ := newTestRecorder(t)
			before, after := scripted.versions()[0], scripted.versions()[len(scripted.statuses)-1]
			wantBefore, wantAfter := before.DeepCopy(), after.DeepCopy()
			recorder.Observe(before, after)
			if diff := cmp.Diff([]any{wantBefore, wantAfter}, []any{before, after}); diff != "" {
				t.Errorf("a cached object was changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestObserveNothing(t *testing.T) {
	tests := map[string]struct {
		reason        string
		before, after *wfev1.WorkflowExecution
	}{
		"no objects":  {reason: "nothing was patched"},
		"deleted":     {reason: "nothing was patched", before: &wfev1.WorkflowExecution{}},
		"new":         {reason: "an empty status is not an end", after: &wfev1.WorkflowExecution{}},
		"was ended":   {reason: "an execution never leaves a terminal phase", before: ended(wfev1.PhaseCancelled), after: ended(wfev1.PhaseCompleted)},
		"same object": {reason: "nothing changed", before: ended(wfev1.PhaseFailed), after: ended(wfev1.PhaseFailed)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			recorder, registry := newTestRecorder(t)
			recorder.Observe(test.before, test.after)
			if got := changed(t, registry); len(got) > 0 {
				t.Errorf("%s: %v", test.reason, got)
			}
		})
	}
}

func ended(phase wfev1.Phase) *wfev1.WorkflowExecution {
	return &wfev1.WorkflowExecution{Status: wfev1.WorkflowExecutionStatus{
		Phase: phase, StartTime: at(0), CompletionTime: at(10),
		Steps: []wfev1.StepStatus{step("one", "restart-pod", wfev1.StepCompleted, 1, 9)},
	}}
}

// hostileTimes are impossible pairs of times.
var hostileTimes = map[string]struct{ start, end *metav1.Time }{
	"unset":              {nil, nil},
	"unset start":        {nil, at(10)},
	"unset end":          {at(0), nil},
	"zero start":         {&metav1.Time{}, at(10)},
	"zero end":           {at(0), &metav1.Time{}},
	"start at the epoch": {&metav1.Time{Time: time.Unix(0, 0)}, at(10)},
	"no duration":        {at(10), at(10)},
	"negative duration":  {at(10), at(9)},
	"end in the future":  {at(0), &metav1.Time{Time: present.Add(time.Minute)}},
	"both in the future": {
		&metav1.Time{Time: present.Add(time.Minute)}, &metav1.Time{Time: present.Add(time.Hour)},
	},
	"end of time": {at(0), &metav1.Time{Time: time.Unix(math.MaxInt64/2, 0)}},
}

func TestObserveHostileTimes(t *testing.T) {
	for name, times := range hostileTimes {
		t.Run(name, func(t *testing.T) {
			recorder, registry := newTestRecorder(t, "restart-pod")
			hostile := step("one", "restart-pod", wfev1.StepCompleted, 0, 0)
			hostile.StartTime, hostile.CompletionTime = times.start, times.end
			recorder.Observe(nil, &wfev1.WorkflowExecution{Status: wfev1.WorkflowExecutionStatus{
				Phase: wfev1.PhaseCompleted, StartTime: times.start, CompletionTime: times.end, ApprovalWaitSeconds: 1,
				Steps: []wfev1.StepStatus{hostile},
			}})
			want := map[string]float64{
				"total{completed}": 1, "step_execution_total{restart-pod,completed}": 1, "steps_executed_total": 1,
			}
			if diff := cmp.Diff(want, changed(t, registry)); diff != "" {
				t.Errorf("the end counts and no time is observed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestObserveTimes(t *testing.T) {
	tests := map[string]struct {
		reason    string
		end       time.Time
		wait      int64
		suspended int64
		want      map[string]float64
	}{
		"pause longer than life": {reason: "none of the times is credible", end: at(10).Time, wait: 5, suspended: 6},
		"negative pause":         {reason: "none of the times is credible", end: at(10).Time, suspended: -1},
		"pause that overflows":   {reason: "seconds must not wrap around as nanoseconds", end: at(10).Time, suspended: math.MaxInt64},
		"clock skew": {
			reason: "another machine's clock may be a little ahead",
			end:    present.Add(maxClockSkew),
			want:   map[string]float64{"duration_seconds_count": 1, "duration_seconds_sum": 24*3600 + 10},
		},
		"too much skew": {reason: "this is the future", end: present.Add(maxClockSkew + time.Second)},
		"wait": {
			reason: "the wait is subtracted", end: at(10).Time, wait: 9,
			want: map[string]float64{
				"duration_seconds_count": 1, "duration_seconds_sum": 1,
				"approval_wait_duration_seconds_count": 1, "approval_wait_duration_seconds_sum": 9,
			},
		},
		"nothing but wait": {
			reason: "there is no working time left to observe", end: at(10).Time, wait: 10,
			want: map[string]float64{"approval_wait_duration_seconds_count": 1, "approval_wait_duration_seconds_sum": 10},
		},
		"wait longer than life": {reason: "neither of the two can be believed", end: at(10).Time, wait: 11},
		"negative wait":         {reason: "neither of the two can be believed", end: at(10).Time, wait: -1},
		"wait that overflows":   {reason: "seconds must not wrap around as nanoseconds", end: at(10).Time, wait: math.MaxInt64},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			recorder, registry := newTestRecorder(t)
			recorder.Observe(nil, &wfev1.WorkflowExecution{Status: wfev1.WorkflowExecutionStatus{
				Phase: wfev1.PhaseCompleted, StartTime: at(0), CompletionTime: &metav1.Time{Time: test.end},
				ApprovalWaitSeconds: test.wait, SuspendedSeconds: test.suspended,
			}})
			want := map[string]float64{"total{completed}": 1}
			for name, value := range test.want {
				want[name] = value
			}
			if diff := cmp.Diff(want, changed(t, registry)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

func TestObserveHostileStatus(t *testing.T) {
	recorder, registry := newTestRecorder(t, "restart-pod")
	recorder.Observe(&wfev1.WorkflowExecution{}, &wfev1.WorkflowExecution{Status: wfev1.WorkflowExecutionStatus{
		Phase: wfev1.PhaseFailed, ParallelSteps: new(int32(math.MaxInt32)),
		Failure:     &wfev1.Failure{Reason: "Made\xffUp"},
		RollbackRef: &wfev1.WorkflowReference{},
		Steps: []wfev1.StepStatus{
			attempts(math.MaxInt32, step("one", "restart-pod", wfev1.StepCompleted, 0, 0)),
			attempts(-1, step("two", "not\xffutf8", wfev1.StepFailed, 0, 0)),
			step("three", "restart-pod", "MadeUp", 0, 0),
			step("four", "gone", wfev1.StepSkipped, 0, 0),
			step("five", "", wfev1.StepSkipped, 0, 0),
			attempts(5, step("six", "", wfev1.StepFailed, 1, 2)),
		},
		RollbackSteps: []wfev1.StepStatus{
			step("one", "gone", wfev1.StepCompleted, 0, 0), step("two", "", wfev1.StepCompleted, 0, 0),
		},
	}})
	want := map[string]float64{
		"total{failed}":                                    1,
		"failures_total{Unknown}":                          1,
		"rollback_total{failed}":                           1,
		"rollback_step_execution_total{unknown,completed}": 1,
		"step_execution_total{restart-pod,completed}":      1,
		"step_execution_total{unknown,failed}":             1,
		"step_retries_total{restart-pod}":                  maxRetries,
		"step_skipped_total{unknown}":                      1,
		"steps_executed_total":                             2,
		"parallel_steps_total":                             2,
		"parallel_steps_count_count":                       1,
		"parallel_steps_count_sum":                         2,
	}
	if diff := cmp.Diff(want, changed(t, registry)); diff != "" {
		t.Errorf("forged words and numbers are bounded (-want +got):\n%s", diff)
	}
}

func TestObserveSmallMeasures(t *testing.T) {
	tests := map[string]struct {
		reason  string
		observe func(*Recorder)
		want    map[string]float64
	}{
		"resolution": {
			reason:  "edges and steps may be any number, 0 included",
			observe: func(r *Recorder) { r.ObserveResolution(20*time.Millisecond, 0, 3) },
			want: map[string]float64{
				"dependency_resolution_duration_seconds_count": 1, "dependency_resolution_duration_seconds_sum": 0.02,
				"dependency_graph_complexity_count": 1, "step_count_count": 1, "step_count_sum": 3,
			},
		},
		"resolution in no time": {
			reason:  "a coarse clock measures 0, which is a duration",
			observe: func(r *Recorder) { r.ObserveResolution(0, 1, 2) },
			want: map[string]float64{
				"dependency_resolution_duration_seconds_count": 1,
				"dependency_graph_complexity_count":            1, "dependency_graph_complexity_sum": 1,
				"step_count_count": 1, "step_count_sum": 2,
			},
		},
		"negative resolution": {
			reason:  "nothing is negative",
			observe: func(r *Recorder) { r.ObserveResolution(-1, -1, -1) },
			want:    map[string]float64{},
		},
		"creation": {
			reason:  "seconds are the unit",
			observe: func(r *Recorder) { r.ObserveCreation(1500 * time.Millisecond) },
			want: map[string]float64{
				"kubernetesexecution_creation_duration_seconds_count": 1,
				"kubernetesexecution_creation_duration_seconds_sum":   1.5,
			},
		},
		"negative creation": {
			reason:  "nothing is negative",
			observe: func(r *Recorder) { r.ObserveCreation(-time.Second) },
			want:    map[string]float64{},
		},
		"deletion": {
			reason:  "no status records the cancellation",
			observe: func(r *Recorder) { r.ObserveDeletion() },
			want:    map[string]float64{"cancelled_total": 1},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			recorder, registry := newTestRecorder(t, "restart-pod")
			test.observe(recorder)
			if diff := cmp.Diff(test.want, changed(t, registry)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

// queued are two statuses of a step: waiting for its pod since 3 seconds before the present, and running.
func queued(action string) (was, is []wfev1.StepStatus) {
	waiting := step("one", action, wfev1.StepPending, 0, 0)
	waiting.StartTime = &metav1.Time{Time: present.Add(-3 * time.Second)}
	running := waiting
	running.Phase = wfev1.StepRunning
	return []wfev1.StepStatus{waiting}, []wfev1.StepStatus{running}
}

func TestObserveQueue(t *testing.T) {
	tests := map[string]struct {
		reason string
		action string
		change func(was, is *wfev1.StepStatus)
		want   map[string]float64
	}{
		"seen running": {
			reason: "it waited until now",
			action: "restart-pod",
			want: map[string]float64{
				"step_queue_duration_seconds_count{restart-pod}": 1, "step_queue_duration_seconds_sum{restart-pod}": 3,
			},
		},
		"unknown action": {
			reason: "only the catalog's actions have their own series",
			action: "gone",
			want: map[string]float64{
				"step_queue_duration_seconds_count{unknown}": 1, "step_queue_duration_seconds_sum{unknown}": 3,
			},
		},
		"approval": {reason: "an approval waits for a person and not for a pod"},
		"still waiting": {
			reason: "it has not begun", action: "restart-pod",
			change: func(_, is *wfev1.StepStatus) { is.Phase = wfev1.StepPending },
		},
		"was running": {
			reason: "it was observed when it began", action: "restart-pod",
			change: func(was, _ *wfev1.StepStatus) { was.Phase = wfev1.StepRunning },
		},
		"second attempt": {
			reason: "the start is that of the first attempt", action: "restart-pod",
			change: func(_, is *wfev1.StepStatus) { is.Attempts = 2 },
		},
		"no start": {
			reason: "the start of the wait is unknown", action: "restart-pod",
			change: func(_, is *wfev1.StepStatus) { is.StartTime = nil },
		},
		"start in the future": {
			reason: "Argo's clock is ahead, and there is no negative wait", action: "restart-pod",
			change: func(_, is *wfev1.StepStatus) { is.StartTime = &metav1.Time{Time: present.Add(5 * time.Second)} },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			recorder, registry := newTestRecorder(t, "restart-pod")
			var before, after wfev1.WorkflowExecution
			before.Status.Steps, after.Status.Steps = queued(test.action)
			if test.change != nil {
				test.change(&before.Status.Steps[0], &after.Status.Steps[0])
			}
			recorder.Observe(&before, &after)
			want := map[string]float64{}
			for name, value := range test.want {
				want[name] = value
			}
			if diff := cmp.Diff(want, changed(t, registry)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}
