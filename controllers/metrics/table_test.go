package metrics

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// TestTableMatchesContract repeats the contract, with the buckets as the specification writes them.
func TestTableMatchesContract(t *testing.T) {
	type contract struct {
		Type      Type
		Labels    string
		Buckets   []float64
		Specified bool
	}
	bounds := func(code []float64, more ...float64) []float64 {
		all := append(code, more...)
		slices.Sort(all)
		return all
	}
	want := map[string]contract{
		"workflowexecution_total": {Type: Counter, Labels: "status", Specified: true},
		"workflowexecution_duration_seconds": {
			Type: Histogram, Buckets: bounds(prometheus.ExponentialBuckets(5, 2, 10), 5120, 120), Specified: true,
		},
		"workflowexecution_active_total":         {Type: Gauge, Specified: true},
		"workflowexecution_step_execution_total": {Type: Counter, Labels: "status,action", Specified: true},
		"workflowexecution_step_execution_duration_seconds": {
			Type: Histogram, Labels: "action", Buckets: bounds(prometheus.ExponentialBuckets(0.5, 2, 10), 512), Specified: true,
		},
		"workflowexecution_dependency_resolution_duration_seconds": {
			Type: Histogram, Buckets: bounds(prometheus.ExponentialBuckets(0.01, 2, 10), 10.24, 5), Specified: true,
		},
		"workflowexecution_dependency_graph_complexity": {
			Type: Histogram, Buckets: bounds(prometheus.LinearBuckets(0, 2, 10), 20), Specified: true,
		},
		"workflowexecution_parallel_steps_count": {
			Type: Histogram, Buckets: prometheus.LinearBuckets(1, 1, 10), Specified: true,
		},
		"workflowexecution_parallel_execution_efficiency": {Type: Gauge, Specified: true},
		"workflowexecution_step_count":                    {Type: Histogram, Buckets: prometheus.LinearBuckets(1, 1, 10), Specified: true},
		"workflowexecution_kubernetesexecution_creation_duration_seconds": {
			Type: Histogram, Buckets: bounds(prometheus.ExponentialBuckets(0.01, 2, 8), 2.56), Specified: true,
		},
		"workflowexecution_start_timestamp":               {Type: Gauge, Labels: "namespace,name", Specified: true},
		"workflowexecution_cancelled_total":               {Type: Counter},
		"workflowexecution_dry_runs_total":                {Type: Counter, Labels: "status"},
		"workflowexecution_failures_total":                {Type: Counter, Labels: "reason"},
		"workflowexecution_workflows":                     {Type: Gauge, Labels: "phase"},
		"workflowexecution_step_retries_total":            {Type: Counter, Labels: "action"},
		"workflowexecution_step_skipped_total":            {Type: Counter, Labels: "action"},
		"workflowexecution_steps_executed_total":          {Type: Counter},
		"workflowexecution_parallel_steps_total":          {Type: Counter},
		"workflowexecution_rollback_total":                {Type: Counter, Labels: "status"},
		"workflowexecution_rollback_step_execution_total": {Type: Counter, Labels: "status,action"},
		"workflowexecution_approval_wait_duration_seconds": {
			Type: Histogram, Buckets: []float64{10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800},
		},
		"workflowexecution_step_queue_duration_seconds": {
			Type: Histogram, Labels: "action", Buckets: bounds(prometheus.ExponentialBuckets(0.5, 2, 10), 512),
		},
		"workflowexecution_catalog_broken_templates":     {Type: Gauge},
		"workflowexecution_catalog_actions":              {Type: Gauge},
		"workflowexecution_engine_available":             {Type: Gauge},
		"workflowexecution_pending":                      {Type: Gauge, Labels: "reason"},
		"workflowexecution_approval_requested_timestamp": {Type: Gauge, Labels: "namespace,name,step"},
	}
	got := map[string]contract{}
	for _, metric := range Table() {
		got[metric.Name] = contract{
			Type: metric.Type, Labels: strings.Join(metric.labelNames(), ","), Buckets: metric.Buckets, Specified: metric.Specified,
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table breaks the contract (-want +got):\n%s", diff)
	}
	if names := len(Table()); names != len(want) {
		t.Errorf("the table has %d lines for %d metrics", names, len(want))
	}
}

// TestTableMatchesExposition compares the table with the gathered metrics.
func TestTableMatchesExposition(t *testing.T) {
	families, err := busyRegistry(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []Metric
	for _, family := range families {
		metric := Metric{Name: family.GetName(), Type: Type(strings.ToLower(family.GetType().String())), Help: family.GetHelp()}
		for _, label := range family.GetMetric()[0].GetLabel() {
			metric.Labels = append(metric.Labels, Label{Name: label.GetName()})
		}
		for _, bucket := range family.GetMetric()[0].GetHistogram().GetBucket() {
			if !math.IsInf(bucket.GetUpperBound(), +1) {
				metric.Buckets = append(metric.Buckets, bucket.GetUpperBound())
			}
		}
		got = append(got, metric)
	}
	want := Table()
	slices.SortFunc(want, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	for i := range want {
		want[i].Specified = false
		slices.SortFunc(want[i].Labels, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
		for j := range want[i].Labels {
			want[i].Labels[j].Values = nil
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table differs from the exposition (-want +got):\n%s", diff)
	}
}

// TestClosedLabels checks that a label with a closed set exposes exactly these values, from the start.
func TestClosedLabels(t *testing.T) {
	recorder := NewRecorder()
	collector := NewCollector(&fakeSource{}, atPresent, func() bool { return true }, 1)
	families, err := registryOf(t, recorder, collector).Gather()
	if err != nil {
		t.Fatal(err)
	}
	table := tableByName()
	for _, family := range families {
		got := map[string][]string{}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if !slices.Contains(got[label.GetName()], label.GetValue()) {
					got[label.GetName()] = append(got[label.GetName()], label.GetValue())
				}
			}
		}
		want := map[string][]string{}
		for _, label := range table[family.GetName()].Labels {
			want[label.Name] = label.Values
			if label.Name == "action" {
				want[label.Name] = []string{UnknownAction}
			}
			slices.Sort(want[label.Name])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("values of the labels of %s (-want +got):\n%s", family.GetName(), diff)
		}
	}
}

// TestLint allows the only offence that promlint reports. It does not report the suffix _count of the histograms
// parallel_steps_count and step_count, because its rule excludes histograms and summaries.
func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(busyRegistry(t))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, problem := range problems {
		got = append(got, problem.Metric+": "+problem.Text)
	}
	want := []string{`workflowexecution_active_total: non-counter metrics should not have "_total" suffix`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("only contractual names may offend promlint (-want +got):\n%s", diff)
	}
}

func TestHelp(t *testing.T) {
	for _, metric := range Table() {
		switch {
		case metric.Help == "" || strings.HasSuffix(metric.Help, "."):
			t.Errorf("%s: the help is a phrase without a full stop: %q", metric.Name, metric.Help)
		case strings.Contains(metric.Name, "_seconds") && !strings.Contains(metric.Help, "in seconds"):
			t.Errorf("%s: the help does not name the unit: %q", metric.Name, metric.Help)
		}
	}
	if help := tableByName()[nameCreationDuration].Help; !strings.Contains(help, "Argo Workflow") {
		t.Errorf("the help must say which child object is created: %q", help)
	}
}

func TestTableIsTheCallers(t *testing.T) {
	want := Table()
	table := Table()
	table[0].Name = "changed"
	table[1].Buckets[0] = -1
	table[0].Labels[0].Values[0] = "changed"
	if diff := cmp.Diff(want, Table()); diff != "" {
		t.Errorf("a caller changed the table of others (-want +got):\n%s", diff)
	}
}

func TestMarkdownTable(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(MarkdownTable(), "\n"), "\n")
	if want := 2 + len(Table()); len(lines) != want {
		t.Fatalf("the table has %d lines, want %d", len(lines), want)
	}
	for _, line := range lines {
		if columns := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); columns != 6 {
			t.Errorf("%d bars, want 6: %s", columns, line)
		}
	}
	want := "| `workflowexecution_step_execution_duration_seconds` | histogram | `action` | " +
		"Time from the start of a step's first attempt to the end of its last attempt, in seconds | " +
		"0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512 |"
	if !slices.Contains(lines, want) {
		t.Errorf("no line\n%s\nin\n%s", want, MarkdownTable())
	}
	want = "| `workflowexecution_step_execution_total` | counter | `status` (completed, failed); `action` | " +
		"Steps that completed or failed, each counted once; excludes retries, skipped and cancelled steps, approvals and rollback steps | |"
	if !slices.Contains(lines, want) {
		t.Errorf("no line\n%s\nin\n%s", want, MarkdownTable())
	}
}

// busyRegistry returns a registry with a sample of every metric.
func busyRegistry(t *testing.T) *prometheus.Registry {
	t.Helper()
	recorder := NewRecorder(WithClock(atPresent))
	recorder.SetActions([]string{"restart-pod"})
	source := &fakeSource{
		unended: []*wfev1.WorkflowExecution{live("production", "one", wfev1.PhaseRunning, epoch), waits("production", "two", epoch)},
		ended:   []*wfev1.WorkflowExecution{finished(present, 2, 1)},
	}
	return registryOf(t, recorder, NewCollector(source, atPresent, func() bool { return true }, 1))
}
