package live

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/controllers/metrics"
)

// values are numbers by their distinguishing labels.
type values map[string]float64

// label is a key of values.
func label(name, value string) string {
	return model.Metric{model.LabelName(name): model.LabelValue(value)}.String()
}

// add adds up values with one label.
func (v values) add(name, value string, n float64) { v[label(name, value)] += n }

// sum is the sum of all values.
func (v values) sum() float64 {
	sum := 0.0
	for _, value := range v {
		sum += value
	}
	return sum
}

// over divides each value by the one of the same labels.
func (v values) over(by values) values {
	ratios := values{}
	for key, total := range by {
		if total > 0 {
			ratios[key] = v[key] / total
		}
	}
	return ratios
}

// single is a value without labels.
func single(value float64) values { return values{"": value} }

// outcome is the sum of the statuses of executions, computed independently of the code of the controller.
type outcome struct {
	ended, dryRuns, failures, rollbacks, rollbackSteps values
	completedSteps, failedSteps, steps                 values
	retries, skips, phases                             values
	cancelled, executed, parallel                      float64
	durations, waits, stepCounts, edges, parallelSteps []float64
	stepDurations                                      map[string][]float64
	running                                            map[string]time.Time
}

func addUp(executions []wfev1.WorkflowExecution) *outcome {
	o := &outcome{
		ended: values{}, dryRuns: values{}, failures: values{}, rollbacks: values{}, rollbackSteps: values{},
		completedSteps: values{}, failedSteps: values{}, steps: values{}, retries: values{}, skips: values{}, phases: values{},
		stepDurations: map[string][]float64{}, running: map[string]time.Time{},
	}
	for i := range executions {
		o.addExecution(&executions[i])
	}
	return o
}

func (o *outcome) addExecution(wfe *wfev1.WorkflowExecution) {
	status := &wfe.Status
	phase := strings.ToLower(string(status.Phase))
	if wfe.Spec.DryRun {
		o.dryRuns.add("status", phase, 1)
		return
	}
	if status.WorkflowRef != nil {
		edges := 0
		for _, step := range wfe.Spec.Steps {
			edges += len(step.DependsOn)
		}
		o.stepCounts, o.edges = append(o.stepCounts, float64(len(wfe.Spec.Steps))), append(o.edges, float64(edges))
	}
	executed := 0.0
	for i := range status.Steps {
		executed += o.addStep(&status.Steps[i])
	}
	for _, step := range status.RollbackSteps {
		o.rollbackSteps.add("status", strings.ToLower(string(step.Phase)), 1)
	}
	if !status.Phase.IsTerminal() {
		o.phases.add("phase", string(status.Phase), 1)
		if status.Phase == wfev1.PhaseRunning {
			key := model.Metric{"namespace": model.LabelValue(wfe.Namespace), "name": model.LabelValue(wfe.Name)}.String()
			o.running[key] = status.StartTime.Time
		}
		return
	}
	o.addEnd(status, phase, executed)
}

func (o *outcome) addEnd(status *wfev1.WorkflowExecutionStatus, phase string, executed float64) {
	if status.Phase == wfev1.PhaseCancelled {
		o.cancelled++
	} else {
		o.ended.add("status", phase, 1)
	}
	if status.Phase == wfev1.PhaseFailed {
		o.failures.add("reason", string(status.Failure.Reason), 1)
	}
	if meta.FindStatusCondition(status.Conditions, wfev1.ConditionRolledBack) != nil {
		result := "failed"
		if meta.IsStatusConditionTrue(status.Conditions, wfev1.ConditionRolledBack) {
			result = "completed"
		}
		o.rollbacks.add("status", result, 1)
	}
	waited := float64(status.ApprovalWaitSeconds)
	paused := waited + float64(status.SuspendedSeconds)
	if took := seconds(status.StartTime, status.CompletionTime); took > paused && status.Phase != wfev1.PhaseCancelled {
		o.durations = append(o.durations, took-paused)
	}
	if waited > 0 {
		o.waits = append(o.waits, waited)
	}
	o.executed += executed
	if status.ParallelSteps != nil {
		o.parallel += float64(*status.ParallelSteps)
		o.parallelSteps = append(o.parallelSteps, float64(*status.ParallelSteps))
	}
}

// addStep returns 1 for a step that was executed.
func (o *outcome) addStep(step *wfev1.StepStatus) float64 {
	if step.Action == "" || !step.Phase.IsTerminal() {
		return 0
	}
	if step.Phase == wfev1.StepSkipped {
		o.skips.add("action", step.Action, 1)
		return 0
	}
	if step.Attempts > 1 {
		o.retries.add("action", step.Action, float64(step.Attempts-1))
	}
	switch step.Phase {
	case wfev1.StepCompleted:
		o.completedSteps.add("action", step.Action, 1)
	case wfev1.StepFailed:
		o.failedSteps.add("action", step.Action, 1)
	default:
		return 0
	}
	o.steps.add("action", step.Action, 1)
	if took := seconds(step.StartTime, step.CompletionTime); took > 0 {
		o.stepDurations[step.Action] = append(o.stepDurations[step.Action], took)
	}
	return 1
}

func seconds(from, to *metav1.Time) float64 {
	if from == nil || to == nil {
		return 0
	}
	return to.Sub(from.Time).Seconds()
}

// successRatio is the first indicator of the specification.
func (o *outcome) successRatio() float64 {
	return o.ended[label("status", "completed")] / o.ended.sum()
}

func (o *outcome) stepSuccessRatio() float64 { return o.completedSteps.sum() / o.steps.sum() }

func mean(observed []float64) float64 {
	sum := 0.0
	for _, value := range observed {
		sum += value
	}
	return sum / float64(len(observed))
}

// bounds are the bounds of a histogram's buckets.
func bounds(metric string) []float64 {
	for _, m := range metrics.Table() {
		if m.Name == metric {
			return m.Buckets
		}
	}
	return nil
}

// cumulative counts the observations up to each bound, and all of them.
func cumulative(observed, bounds []float64) []float64 {
	counts := make([]float64, len(bounds)+1)
	for _, value := range observed {
		for i := range counts {
			if i == len(bounds) || value <= bounds[i] {
				counts[i]++
			}
		}
	}
	return counts
}

// quantile is the estimate of classic buckets: the first bucket that reaches the rank, interpolated between its bounds.
func quantile(q float64, observed, bounds []float64) float64 {
	counts := cumulative(observed, bounds)
	rank := q * float64(len(observed))
	i := slices.IndexFunc(counts, func(count float64) bool { return count >= rank })
	if i == len(bounds) {
		return bounds[i-1]
	}
	lower, below := 0.0, 0.0
	if i > 0 {
		lower, below = bounds[i-1], counts[i-1]
	}
	return lower + (bounds[i]-lower)*(rank-below)/(counts[i]-below)
}

// buckets are the cumulative counts in a second, by bound, as Prometheus writes bounds.
func buckets(observed, bounds []float64, window time.Duration) values {
	rates := values{}
	for i, count := range cumulative(observed, bounds) {
		bound := "+Inf"
		if i < len(bounds) {
			bound = strconv.FormatFloat(bounds[i], 'g', -1, 64)
			if !strings.ContainsAny(bound, ".e") {
				bound += ".0"
			}
		}
		rates[label("le", bound)] = count / window.Seconds()
	}
	return rates
}

// compare returns the difference between two sets of values. The tolerance covers the extrapolation of Prometheus from its
// first and last sample to the ends of the window. A value of 0 may be missing.
func compare(want, got values, tolerance float64) error {
	keys := map[string]bool{}
	for key := range want {
		keys[key] = true
	}
	for key := range got {
		keys[key] = true
	}
	for key := range keys {
		if math.Abs(want[key]-got[key]) > tolerance*math.Abs(want[key])+1e-9 {
			return fmt.Errorf("%s is %v, want %v", key, got[key], want[key])
		}
	}
	return nil
}
