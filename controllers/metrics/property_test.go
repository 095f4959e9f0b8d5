package metrics

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var (
	stepPhases = []wfev1.StepPhase{
		wfev1.StepPending, wfev1.StepRunning, wfev1.StepAwaitingApproval,
		wfev1.StepCompleted, wfev1.StepFailed, wfev1.StepSkipped, wfev1.StepCancelled,
	}
	knownActions = []string{"restart-pod", "scale-deployment"}
	someActions  = []string{"restart-pod", "scale-deployment", "gone", ""}
)

// simulation has random executions with their stored statuses, and successive leaders, each with its own recorder.
type simulation struct {
	stored    []*wfev1.WorkflowExecution
	recorders []*Recorder
	leader    *Recorder
}

// TestCountersEqualTransitions checks law 1. The expected counts come from the final stored statuses, which contain every
// ended step and execution exactly once, independent of the number of updates.
func TestCountersEqualTransitions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &simulation{}
		s.lead()
		for range rapid.IntRange(1, 5).Draw(rt, "executions") {
			s.stored = append(s.stored, drawExecution(rt))
		}
		for range rapid.IntRange(0, 40).Draw(rt, "events") {
			s.step(rt)
		}

		want := map[string]float64{}
		for _, wfe := range s.stored {
			expect(wfe, want)
		}
		got := map[string]float64{}
		for _, recorder := range s.recorders {
			for name, value := range samples(t, registryOf(t, recorder)) {
				got[name] += value
			}
		}
		checkHistograms(rt, got)
		for name, value := range got {
			if isHistogramSample(name) || value == 0 {
				delete(got, name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("counters differ from what is stored (-want +got):\n%s", diff)
		}
	})
}

func (s *simulation) lead() {
	s.leader = NewRecorder(WithClock(atPresent))
	s.leader.SetActions(knownActions)
	s.recorders = append(s.recorders, s.leader)
}

// step runs one random event.
func (s *simulation) step(rt *rapid.T) {
	i := rapid.IntRange(0, len(s.stored)-1).Draw(rt, "which")
	before := s.stored[i]
	switch rapid.SampledFrom([]string{"patch", "patch", "patch", "end", "resync", "conflict", "failover", "edit"}).Draw(rt, "event") {
	case "patch":
		if !before.Status.Phase.IsTerminal() {
			s.patch(i, advance(rt, before, false))
		}
	case "end":
		if !before.Status.Phase.IsTerminal() {
			s.patch(i, advance(rt, before, true))
		}
	case "resync":
		s.leader.Observe(before, before.DeepCopy())
	case "conflict":
		// The update failed: it is not observed and nothing is stored.
		advance(rt, before, true)
	case "failover":
		s.lead()
	case "edit":
		// Even the status of an ended execution can be edited.
		if before.Status.Phase.IsTerminal() {
			s.leader.Observe(before, drawExecution(rt))
		}
	}
}

func (s *simulation) patch(i int, after *wfev1.WorkflowExecution) {
	s.leader.Observe(s.stored[i], after)
	s.stored[i] = after
}

func drawExecution(rt *rapid.T) *wfev1.WorkflowExecution {
	wfe := &wfev1.WorkflowExecution{}
	wfe.Spec.DryRun = rapid.IntRange(0, 4).Draw(rt, "dryRun") == 0
	return wfe
}

// advance returns the next version: steps that have not ended change, new steps appear, and times are arbitrary.
func advance(rt *rapid.T, before *wfev1.WorkflowExecution, end bool) *wfev1.WorkflowExecution {
	after := before.DeepCopy()
	status := &after.Status
	status.Steps = advanceSteps(rt, status.Steps)
	status.RollbackSteps = advanceSteps(rt, status.RollbackSteps)
	status.StartTime, status.CompletionTime = drawTime(rt), drawTime(rt)
	status.SuspendedSeconds = rapid.OneOf(rapid.Int64Range(-1, 100), rapid.Int64()).Draw(rt, "suspended")
	status.ApprovalWaitSeconds = rapid.OneOf(rapid.Int64Range(-1, 100), rapid.Int64()).Draw(rt, "wait")
	status.Phase = rapid.SampledFrom(unendedPhases()).Draw(rt, "phase")
	if !end {
		return after
	}
	status.Phase = rapid.SampledFrom([]wfev1.Phase{wfev1.PhaseCompleted, wfev1.PhaseFailed, wfev1.PhaseCancelled}).Draw(rt, "end")
	status.ParallelSteps = rapid.Ptr(rapid.Int32Range(-2, 8), true).Draw(rt, "parallel")
	if rapid.Bool().Draw(rt, "failure") {
		reasons := append(slices.Clone(wfev1.FailureReasons), "", "MadeUp")
		status.Failure = &wfev1.Failure{Reason: rapid.SampledFrom(reasons).Draw(rt, "reason")}
	}
	if rapid.Bool().Draw(rt, "rollback") {
		status.RollbackRef = &wfev1.WorkflowReference{}
	}
	if rapid.Bool().Draw(rt, "condition") {
		condition := rapid.SampledFrom([]metav1.ConditionStatus{"True", "False", "Unknown"}).Draw(rt, "rolledBack")
		status.Conditions = rolledBack(condition)
	}
	return after
}

func advanceSteps(rt *rapid.T, steps []wfev1.StepStatus) []wfev1.StepStatus {
	for i := range steps {
		if !steps[i].Phase.IsTerminal() {
			steps[i] = drawStep(rt, steps[i].Name, steps[i].Action)
		}
	}
	if rapid.Bool().Draw(rt, "more") && len(steps) < 6 {
		steps = append(steps, drawStep(rt, string(rune('a'+len(steps))), rapid.SampledFrom(someActions).Draw(rt, "action")))
	}
	return rapid.Permutation(steps).Draw(rt, "order")
}

func drawStep(rt *rapid.T, name, action string) wfev1.StepStatus {
	return wfev1.StepStatus{
		Name: name, Action: action,
		Phase:     rapid.SampledFrom(stepPhases).Draw(rt, "stepPhase"),
		Attempts:  rapid.Int32Range(-1, 30).Draw(rt, "attempts"),
		StartTime: drawTime(rt), CompletionTime: drawTime(rt),
	}
}

func drawTime(rt *rapid.T) *metav1.Time {
	times := rapid.OneOf(
		rapid.Int64Range(epoch.Unix(), present.Unix()),
		rapid.Int64Range(present.Unix()-5, present.Unix()+100),
		rapid.Int64Range(math.MinInt64/4, math.MaxInt64/4),
		rapid.SampledFrom([]int64{0, -1, time.Time{}.Unix()}),
	)
	if rapid.IntRange(0, 9).Draw(rt, "unset") == 0 {
		return nil
	}
	return &metav1.Time{Time: time.Unix(times.Draw(rt, "time"), 0)}
}

// expect adds the counts that result from the current version of an execution.
func expect(wfe *wfev1.WorkflowExecution, want map[string]float64) {
	status := wfe.Status
	over := status.Phase.IsTerminal()
	label := map[wfev1.Phase]string{
		wfev1.PhaseCompleted: "completed", wfev1.PhaseFailed: "failed", wfev1.PhaseCancelled: "cancelled",
	}[status.Phase]
	if wfe.Spec.DryRun {
		if over {
			want["dry_runs_total{"+label+"}"]++
		}
		return
	}
	executed := 0.0
	for _, step := range status.Steps {
		action := step.Action
		if action == "gone" {
			action = "unknown"
		}
		if action == "" || !step.Phase.IsTerminal() {
			continue
		}
		switch step.Phase {
		case wfev1.StepSkipped:
			want["step_skipped_total{"+action+"}"]++
			continue
		case wfev1.StepCompleted:
			want["step_execution_total{"+action+",completed}"]++
			executed++
		case wfev1.StepFailed:
			want["step_execution_total{"+action+",failed}"]++
			executed++
		case wfev1.StepCancelled, wfev1.StepPending, wfev1.StepRunning, wfev1.StepAwaitingApproval:
		}
		if step.Attempts > 1 {
			want["step_retries_total{"+action+"}"] += min(float64(step.Attempts)-1, 20)
		}
	}
	for _, step := range status.RollbackSteps {
		action := step.Action
		if action == "gone" {
			action = "unknown"
		}
		if action != "" && step.Phase == wfev1.StepCompleted {
			want["rollback_step_execution_total{"+action+",completed}"]++
		}
		if action != "" && step.Phase == wfev1.StepFailed {
			want["rollback_step_execution_total{"+action+",failed}"]++
		}
	}
	if over {
		expectEnd(status, label, executed, want)
	}
}

func expectEnd(status wfev1.WorkflowExecutionStatus, label string, executed float64, want map[string]float64) {
	if label == "cancelled" {
		want["cancelled_total"]++
	} else {
		want["total{"+label+"}"]++
	}
	if label == "failed" {
		reason := "Unknown"
		if status.Failure != nil && status.Failure.Reason != "" && status.Failure.Reason != "MadeUp" {
			reason = string(status.Failure.Reason)
		}
		want["failures_total{"+reason+"}"]++
	}
	if len(status.Conditions) > 0 && status.Conditions[0].Status == "True" {
		want["rollback_total{completed}"]++
	} else if len(status.Conditions) > 0 || status.RollbackRef != nil {
		want["rollback_total{failed}"]++
	}
	if executed > 0 {
		want["steps_executed_total"] += executed
	}
	if status.ParallelSteps != nil && *status.ParallelSteps > 0 && executed > 0 {
		want["parallel_steps_total"] += min(float64(*status.ParallelSteps), executed)
	}
}

// isHistogramSample reports whether the sample is the sum or the count of a histogram.
func isHistogramSample(name string) bool {
	base, _, _ := strings.Cut(name, "{")
	return strings.HasSuffix(base, "_sum") || strings.HasSuffix(base, "_count")
}

// checkHistograms checks law 5: each observation is a possible number of seconds, and there are at most as many as ends.
func checkHistograms(rt *rapid.T, got map[string]float64) {
	longest := present.Add(maxClockSkew).Sub(time.Unix(0, 0)).Seconds()
	for name, value := range got {
		base, labels, _ := strings.Cut(name, "{")
		if !strings.HasSuffix(base, "_sum") || !strings.Contains(base, "_seconds") {
			continue
		}
		if labels != "" {
			labels = "{" + labels
		}
		count := got[strings.TrimSuffix(base, "_sum")+"_count"+labels]
		if math.IsNaN(value) || value < count || value > count*longest {
			rt.Fatalf("%s is %v for %v observations", name, value, count)
		}
	}
	ends := got["total{completed}"] + got["total{failed}"] + got["cancelled_total"]
	for _, name := range []string{"duration_seconds_count", "approval_wait_duration_seconds_count", "parallel_steps_count_count"} {
		if got[name] > ends {
			rt.Fatalf("%s is %v for %v ends", name, got[name], ends)
		}
	}
	for _, action := range []string{"restart-pod", "scale-deployment", "unknown"} {
		ends := got["step_execution_total{"+action+",completed}"] + got["step_execution_total{"+action+",failed}"]
		if count := got["step_execution_duration_seconds_count{"+action+"}"]; count > ends {
			rt.Fatalf("%v durations of %v steps of %s", count, ends, action)
		}
	}
}
