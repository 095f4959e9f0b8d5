package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var (
	// epoch is the start of every scripted execution.
	epoch = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)
	// present is the time of the clock in every test.
	present = epoch.Add(24 * time.Hour)
)

func atPresent() time.Time { return present }

// at returns a time in seconds after epoch.
func at(seconds int) *metav1.Time {
	return &metav1.Time{Time: epoch.Add(time.Duration(seconds) * time.Second)}
}

// newTestRecorder returns a Recorder with the given actions, and a registry with only this Recorder.
func newTestRecorder(t testing.TB, actions ...string) (*Recorder, *prometheus.Registry) {
	t.Helper()
	recorder := NewRecorder(WithClock(atPresent))
	recorder.SetActions(actions)
	return recorder, registryOf(t, recorder)
}

func registryOf(t testing.TB, collectors ...prometheus.Collector) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, collector := range collectors {
		if err := registry.Register(collector); err != nil {
			t.Fatalf("registering: %v", err)
		}
	}
	return registry
}

// samples gathers every sample except buckets. The keys lack the common prefix of all names, for example total{failed} or
// duration_seconds_sum.
func samples(t testing.TB, gatherer prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatalf("gathering: %v", err)
	}
	values := map[string]float64{}
	for _, family := range families {
		name := strings.TrimPrefix(family.GetName(), "workflowexecution_")
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			suffix := ""
			if len(labels) > 0 {
				suffix = "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case metric.GetHistogram() != nil:
				values[name+"_count"+suffix] = float64(metric.GetHistogram().GetSampleCount())
				values[name+"_sum"+suffix] = metric.GetHistogram().GetSampleSum()
			case metric.GetCounter() != nil:
				values[name+suffix] = metric.GetCounter().GetValue()
			default:
				values[name+suffix] = metric.GetGauge().GetValue()
			}
		}
	}
	return values
}

// changed gathers every sample that is not 0.
func changed(t testing.TB, gatherer prometheus.Gatherer) map[string]float64 {
	t.Helper()
	values := samples(t, gatherer)
	for name, value := range values {
		if value == 0 {
			delete(values, name)
		}
	}
	return values
}

// scriptedExecution is the status of an execution after each of its status updates.
type scriptedExecution struct {
	dryRun   bool
	statuses []wfev1.WorkflowExecutionStatus
}

// versions returns the execution after each status update.
func (s scriptedExecution) versions() []*wfev1.WorkflowExecution {
	var versions []*wfev1.WorkflowExecution
	for _, status := range s.statuses {
		wfe := &wfev1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: "production", Name: "payment-api-oom"}}
		wfe.Spec.DryRun = s.dryRun
		wfe.Status = status
		versions = append(versions, wfe)
	}
	return versions
}

// play observes the status updates in their order.
func (s scriptedExecution) play(recorder *Recorder) {
	var before *wfev1.WorkflowExecution
	for _, after := range s.versions() {
		recorder.Observe(before, after)
		before = after
	}
}

// step is a step that ran from start to end, in seconds after epoch; 0 is an unset time.
func step(name, action string, phase wfev1.StepPhase, start, end int) wfev1.StepStatus {
	status := wfev1.StepStatus{Name: name, Action: action, Phase: phase, Attempts: 1}
	if start != 0 {
		status.StartTime = at(start)
	}
	if end != 0 {
		status.CompletionTime = at(end)
	}
	return status
}

func attempts(n int32, status wfev1.StepStatus) wfev1.StepStatus {
	status.Attempts = n
	return status
}
