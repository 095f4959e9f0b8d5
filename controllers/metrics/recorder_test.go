package metrics

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

// TestExposition compares the whole exposition, buckets and help texts included.
func TestExposition(t *testing.T) {
	tests := map[string]struct {
		reason string
		play   []string
	}{
		"nothing":    {reason: "before anything happens every series is there, at 0"},
		"everything": {reason: "the executions add up", play: slices.Sorted(maps.Keys(scriptedExecutions))},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			recorder := NewRecorder(WithClock(atPresent))
			recorder.SetActions([]string{"restart-pod", "scale-deployment"})
			source := &fakeSource{}
			for _, name := range test.play {
				scriptedExecutions[name].play(recorder)
				recorder.ObserveResolution(5*time.Second, 3, 4)
				recorder.ObserveCreation(40 * time.Millisecond)
				source.ended = append(source.ended, scriptedExecutions[name].versions()[len(scriptedExecutions[name].statuses)-1])
				source.unended = append(source.unended, live("production", strings.ReplaceAll(name, " ", "-"), wfev1.PhaseRunning, epoch))
			}
			// One of the executions ends later than this and is not part of the efficiency.
			now := func() time.Time { return at(3600).Time }
			registry := registryOf(t, recorder, NewCollector(source, now, func() bool { return true }, 2))

			golden := filepath.Join("testdata", name+".prom")
			if *update {
				if err := os.WriteFile(golden, []byte(scrape(t, registry)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.Open(golden)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := want.Close(); err != nil {
					t.Error(err)
				}
			}()
			if err := testutil.GatherAndCompare(registry, want); err != nil {
				t.Errorf("%s: %v", test.reason, err)
			}
		})
	}
}

// TestZeroInitialization checks law 4: the first failure must be visible to rate().
func TestZeroInitialization(t *testing.T) {
	recorder, registry := newTestRecorder(t, "restart-pod")
	got := samples(t, registry)
	want := map[string]float64{
		"total{completed}": 0, "total{failed}": 0, "rollback_total{completed}": 0, "rollback_total{failed}": 0,
		"dry_runs_total{completed}": 0, "dry_runs_total{failed}": 0, "dry_runs_total{cancelled}": 0,
		"cancelled_total": 0, "steps_executed_total": 0, "parallel_steps_total": 0,
	}
	for _, histogram := range []string{
		"duration_seconds", "dependency_resolution_duration_seconds", "dependency_graph_complexity", "parallel_steps_count",
		"step_count", "kubernetesexecution_creation_duration_seconds", "approval_wait_duration_seconds",
	} {
		want[histogram+"_count"], want[histogram+"_sum"] = 0, 0
	}
	for _, reason := range wfev1.FailureReasons {
		want["failures_total{"+string(reason)+"}"] = 0
	}
	initialized := func(action string) {
		for _, name := range []string{
			"step_execution_total{%s,completed}", "step_execution_total{%s,failed}", "step_retries_total{%s}",
			"step_skipped_total{%s}", "rollback_step_execution_total{%s,completed}", "rollback_step_execution_total{%s,failed}",
			"step_execution_duration_seconds_count{%s}", "step_execution_duration_seconds_sum{%s}",
			"step_queue_duration_seconds_count{%s}", "step_queue_duration_seconds_sum{%s}",
		} {
			want[fmt.Sprintf(name, action)] = 0
		}
	}
	initialized("restart-pod")
	initialized(UnknownAction)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the series at the start (-want +got):\n%s", diff)
	}

	recorder.SetActions([]string{"drain-node"})
	initialized("drain-node")
	if diff := cmp.Diff(want, samples(t, registry)); diff != "" {
		t.Errorf("the series after a change of the catalog: new actions appear, old ones stay (-want +got):\n%s", diff)
	}
}

// TestReadActions checks that a scrape exposes the actions of the catalog at 0, also where nothing called SetActions.
func TestReadActions(t *testing.T) {
	recorder, registry := newTestRecorder(t)
	source := &fakeSource{catalog: Catalog{Actions: []string{"restart-pod"}}}
	recorder.ReadActions(source.Catalog)
	if _, exists := samples(t, registry)["step_execution_total{restart-pod,failed}"]; !exists {
		t.Error("the series of an action are missing in the first scrape")
	}
	source.catalogErr = errors.New("the cache is not started")
	if _, exists := samples(t, registry)["step_execution_total{restart-pod,failed}"]; !exists {
		t.Error("an error of the catalog removed series or failed the scrape")
	}
}

func TestSetActionsKeepsCounts(t *testing.T) {
	recorder, registry := newTestRecorder(t, "restart-pod")
	count := func(name string) {
		recorder.Observe(nil, &wfev1.WorkflowExecution{Status: wfev1.WorkflowExecutionStatus{
			Phase: wfev1.PhaseRunning, Steps: []wfev1.StepStatus{step(name, "restart-pod", wfev1.StepFailed, 0, 0)},
		}})
	}
	count("one")
	recorder.SetActions(nil)
	count("two")
	recorder.SetActions([]string{"restart-pod"})
	count("three")
	want := map[string]float64{"step_execution_total{restart-pod,failed}": 3}
	if diff := cmp.Diff(want, changed(t, registry)); diff != "" {
		t.Errorf("a counter must not be reset by a change of the catalog (-want +got):\n%s", diff)
	}
}

func TestSetActionsIsBounded(t *testing.T) {
	names := []string{"", "Upper", "sp ace", "not\xffutf8", "-dash", "dash-", strings.Repeat("a", 64), `quo"te`, "line\nbreak"}
	recorder, registry := newTestRecorder(t, names...)
	if got := testutil.CollectAndCount(recorder, nameStepSkipped); got != 1 {
		t.Errorf("an invalid action name got a series: %d, want 1", got)
	}
	names = []string{strings.Repeat("a", 63)}
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("z-%05d", 9_999-i))
	}
	recorder.SetActions(names)
	recorder.SetActions([]string{"a-late-one"})
	// The additional series is UnknownAction.
	if got := testutil.CollectAndCount(recorder, nameStepSkipped); got != MaxActions+1 {
		t.Errorf("a hostile catalog made %d series, want %d", got, MaxActions+1)
	}
	got := samples(t, registry)
	for name, want := range map[string]bool{
		"step_skipped_total{" + strings.Repeat("a", 63) + "}": true,
		"step_skipped_total{z-00498}":                         true,
		"step_skipped_total{z-00499}":                         false,
		"step_skipped_total{a-late-one}":                      false,
	} {
		if _, exists := got[name]; exists != want {
			t.Errorf("%s exists: %v, want %v", name, exists, want)
		}
	}
}

// TestCardinality checks law 3: neither hostile names nor many executions add a series.
func TestCardinality(t *testing.T) {
	recorder, _ := newTestRecorder(t, "restart-pod", "scale-deployment")
	source := &fakeSource{}
	registry := registryOf(t, recorder, NewCollector(source, atPresent, func() bool { return true }, DefaultMaxStartTimestamps))
	lines := func() int { return strings.Count(scrape(t, registry), "\n") }

	source.ended = append(source.ended, finished(present, 1, 0))
	atStart := lines()
	for i := range 10_000 {
		action := fmt.Sprintf("hostile-%d\xff{\n\"", i)
		before, after := ended(wfev1.PhaseRunning), ended(wfev1.PhaseFailed)
		before.Status.Steps = nil
		after.Status.Failure = &wfev1.Failure{Action: action, Reason: wfev1.FailureReason(action)}
		after.Status.Steps[0].Action = action
		after.Status.RollbackSteps = []wfev1.StepStatus{step("one", action, wfev1.StepCompleted, 1, 2)}
		recorder.Observe(before, after)
		before.Status.Steps, after.Status.Steps = queued(action)
		after.Status.Phase = wfev1.PhaseRunning
		recorder.Observe(before, after)
	}
	if got := lines(); got != atStart {
		t.Errorf("10,000 hostile actions made %d lines of %d", got, atStart)
	}

	var running wfev1.WorkflowExecution
	over := ended(wfev1.PhaseCompleted)
	for i := range 100_000 {
		over.Name = fmt.Sprintf("ended-%d", i)
		recorder.Observe(&running, over)
	}
	for i := range 100_000 {
		wfe := *source.ended[0]
		wfe.Name = fmt.Sprintf("ended-%d", i)
		source.ended = append(source.ended, &wfe)
	}
	if got := lines(); got != atStart {
		t.Errorf("100,000 ended executions made %d lines of %d", got, atStart)
	}
	if got := samples(t, registry)["total{completed}"]; got != 100_000 {
		t.Errorf("%v executions were counted, want 100000", got)
	}

	for i := range 10_000 {
		source.unended = append(source.unended, live("production", fmt.Sprintf("live-%d", i), wfev1.PhaseRunning, epoch))
	}
	// The help and the type of start_timestamp appear with its first sample.
	if got, want := lines(), atStart+DefaultMaxStartTimestamps+2; got != want {
		t.Errorf("10,000 running executions made %d lines, want %d", got, want)
	}
}

// TestSeriesCount compares the numbers of series in README.md with the exposition.
func TestSeriesCount(t *testing.T) {
	series := func(actions int) int {
		var names []string
		for i := range actions {
			names = append(names, fmt.Sprintf("action-%d", i))
		}
		recorder, _ := newTestRecorder(t, names...)
		registry := registryOf(t, recorder, NewCollector(&fakeSource{}, atPresent, func() bool { return true }, 1))
		count := 0
		for line := range strings.Lines(scrape(t, registry)) {
			if !strings.HasPrefix(line, "#") {
				count++
			}
		}
		return count
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	none, one, most := series(0), series(1), series(MaxActions)
	for _, want := range []string{
		fmt.Sprintf("exposes %d series, and %d more for each action", none, one-none),
		fmt.Sprintf("exposes %d,%03d;", most/1000, most%1000),
	} {
		if !strings.Contains(string(readme), want) {
			t.Errorf("README.md does not say %q", want)
		}
	}
}

func TestNativeHistograms(t *testing.T) {
	recorder, registry := newTestRecorder(t, "restart-pod")
	recorder.ObserveCreation(time.Second)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	histograms := 0
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			histogram := metric.GetHistogram()
			if histogram == nil {
				continue
			}
			histograms++
			// The buckets of schema 3 grow by 2^(1/8), the largest factor below 1.1.
			if histogram.GetSchema() != 3 || len(histogram.GetBucket()) == 0 {
				t.Errorf("%s: schema %d, %d classic buckets", family.GetName(), histogram.GetSchema(), len(histogram.GetBucket()))
			}
			if family.GetName() == nameCreationDuration && len(histogram.GetPositiveSpan()) == 0 {
				t.Errorf("%s has no native bucket", family.GetName())
			}
		}
	}
	// Seven without labels, and two for each of two actions.
	if histograms != 11 {
		t.Errorf("%d histograms, want 11", histograms)
	}
}

// TestSLOBounds checks that each objective is a bucket bound, so that no interpolation is needed.
func TestSLOBounds(t *testing.T) {
	table := tableByName()
	for name, bound := range map[string]float64{nameDuration: 120, nameResolutionDuration: 5} {
		if !slices.Contains(table[name].Buckets, bound) {
			t.Errorf("%s has no bucket up to %v", name, bound)
		}
	}
}

// TestRegistersOnce checks law 6.
func TestRegistersOnce(t *testing.T) {
	recorder := NewRecorder()
	registry := registryOf(t, recorder)
	if err := registry.Register(NewRecorder()); err == nil {
		t.Error("a second recorder was registered")
	}
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "workflowexecution_") {
			t.Errorf("%s is on the default registry", family.GetName())
		}
	}
}

// TestConcurrentUse is for the race detector and checks the count.
func TestConcurrentUse(t *testing.T) {
	recorder, registry := newTestRecorder(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 50 {
				recorder.SetActions([]string{fmt.Sprintf("action-%d-%d", i, j)})
				recorder.Observe(nil, ended(wfev1.PhaseCompleted))
				if j%10 == 0 {
					_, err := registry.Gather()
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if got := samples(t, registry)["total{completed}"]; got != 400 {
		t.Errorf("%v executions were counted, want 400", got)
	}
}
