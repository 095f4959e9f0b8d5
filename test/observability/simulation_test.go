package observability

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubernaut-io/workflowexecution/test/observability/internal/manifests"
)

// traffic is when executions end.
type traffic struct {
	name string
	ends func(horizon time.Duration) []time.Duration
}

// grid is the period and the intervals of a simulation: long periods take long intervals, or promtool takes too long.
type grid struct {
	horizon, interval, evaluation time.Duration
	traffics                      []traffic
}

var grids = []grid{
	{2 * time.Hour, 30 * time.Second, time.Minute, []traffic{
		{"none", func(time.Duration) []time.Duration { return nil }},
		{"sixty an hour", every(time.Minute)},
		{"bursts", bursts},
	}},
	{6 * time.Hour, 2 * time.Minute, 2 * time.Minute, []traffic{{"one an hour", every(time.Hour)}}},
	{4 * 24 * time.Hour, 20 * time.Minute, 20 * time.Minute, []traffic{{"one a day", every(24 * time.Hour)}}},
}

// every begins a third of the interval after the start.
func every(interval time.Duration) func(time.Duration) []time.Duration {
	return func(horizon time.Duration) []time.Duration {
		var ends []time.Duration
		for at := interval / 3; at < horizon; at += interval {
			ends = append(ends, at)
		}
		return ends
	}
}

// bursts are twenty executions within ten minutes, every hour.
func bursts(horizon time.Duration) []time.Duration {
	var ends []time.Duration
	for start := 20 * time.Minute; start < horizon; start += time.Hour {
		for i := range 20 {
			ends = append(ends, start+time.Duration(i)*30*time.Second)
		}
	}
	return ends
}

// failures decide whether the i-th of n executions fails; every fourth one uses the second action.
var failures = []struct {
	name  string
	fails func(i, n int) bool
}{
	{"never", func(int, int) bool { return false }},
	{"one", func(i, n int) bool { return i == n/3 }},
	{"5 %", func(i, _ int) bool { return i%20 == 10 }},
	{"half", func(i, _ int) bool { return i%2 == 0 }},
	{"all", func(int, int) bool { return true }},
	{"one action", func(i, _ int) bool { return i%4 == 1 }},
	{"from half-time on", func(i, n int) bool { return i >= n/2 }},
}

const (
	undisturbed = "undisturbed"
	restart     = "restart before the first scrape"
	failover    = "failover with a gap"
	replicas    = "two replicas"
	clusters    = "a second, healthy installation"
	slowScrape  = "60 s scrape interval"
	retention   = "15 days of retention"
)

var disturbances = []string{undisturbed, restart, failover, replicas, clusters, slowScrape, retention}

// disturbancesOf limits the disturbances to steady traffic and four shapes of failures, or promtool takes too long.
func disturbancesOf(traffic, failure string) []string {
	if traffic == "sixty an hour" && slices.Contains([]string{"never", "half", "all", "one action"}, failure) {
		return disturbances
	}
	return disturbances[:1]
}

func cell(traffic, failure, disturbance string) string {
	return traffic + "/" + failure + "/" + disturbance
}

// simulation is one cell of the matrix: what Prometheus scrapes from one installation.
type simulation struct {
	grid         grid
	disturbance  string
	ends         []time.Duration
	failed       []bool
	firstFailure time.Duration
}

func simulate(g grid, traffic traffic, failure struct {
	name  string
	fails func(i, n int) bool
}, disturbance string,
) simulation {
	s := simulation{grid: g, disturbance: disturbance, ends: traffic.ends(g.horizon)}
	for i, end := range s.ends {
		failed := failure.fails(i, len(s.ends))
		if failed && s.firstFailure == 0 {
			s.firstFailure = end
		}
		s.failed = append(s.failed, failed)
	}
	return s
}

// series are the series of all pods of the installation, and of the healthy one beside it.
func (s simulation) series(cluster string) []map[string]any {
	labels := func(namespace, more string) string {
		return strings.TrimSuffix(fmt.Sprintf(`{cluster=%q, namespace=%q, job="workflowexecution", %s`, cluster, namespace, more), ", ") + "}"
	}
	var series []map[string]any
	add := func(name, values string) { series = append(series, map[string]any{"series": name, "values": values}) }
	for _, pod := range s.pods() {
		add("up"+labels("system", fmt.Sprintf("pod=%q", pod)), s.values(pod, nil))
		for _, status := range []string{"completed", "failed"} {
			add("workflowexecution_total"+labels("system", fmt.Sprintf("pod=%q, status=%q", pod, status)),
				s.values(pod, s.count(status, -1)))
			for i, action := range []string{"restart-pod", "drain-node"} {
				add("workflowexecution_step_execution_total"+labels("system", fmt.Sprintf("pod=%q, status=%q, action=%q", pod, status, action)),
					s.values(pod, s.count(status, i)))
			}
		}
	}
	for _, name := range []string{"active_total 0", "engine_available 1", "catalog_actions 2"} {
		metric, value, _ := strings.Cut(name, " ")
		add("workflowexecution_"+metric+labels("system", ""), s.leaderValues(value))
	}
	if s.disturbance == clusters {
		samples := int(s.grid.horizon / s.grid.interval)
		add("workflowexecution_total"+labels("other", `status="completed"`), fmt.Sprintf("0+60x%d", samples))
		add("workflowexecution_total"+labels("other", `status="failed"`), fmt.Sprintf("0x%d", samples))
		add("workflowexecution_active_total"+labels("other", ""), fmt.Sprintf("0x%d", samples))
		add("workflowexecution_step_execution_total"+labels("other", `status="completed", action="drain-node"`), fmt.Sprintf("0+60x%d", samples))
	}
	return series
}

func (s simulation) pods() []string {
	switch s.disturbance {
	case restart, failover, replicas:
		return []string{"a", "b"}
	}
	return []string{"a"}
}

// count returns the number of executions with a status, and of one action unless it is negative, that end in a period.
func (s simulation) count(status string, action int) func(from, to time.Duration) int {
	return func(from, to time.Duration) int {
		n := 0
		for i, end := range s.ends {
			second := 0
			if i%4 == 1 {
				second = 1
			}
			if end >= from && end < to && s.failed[i] == (status == "failed") && (action < 0 || action == second) {
				n++
			}
		}
		return n
	}
}

// values are what a pod exposes: counts since its start or since it leads, or 1 where there is nothing to count.
func (s simulation) values(pod string, count func(from, to time.Duration) int) string {
	half := s.grid.horizon / 2
	gap := 2 * s.grid.interval
	isGauge := count == nil
	if isGauge {
		count = func(time.Duration, time.Duration) int { return 1 }
	}
	var values []string
	for i := range int(s.grid.horizon/s.grid.interval) + 1 {
		at := time.Duration(i) * s.grid.interval
		value := count(0, at)
		scraped := true
		switch {
		case s.disturbance == restart && pod == "a":
			scraped = at < half
		case s.disturbance == restart:
			scraped = at >= half+gap
			value = count(half, at)
		case s.disturbance == failover && pod == "a":
			value = count(0, min(at, half))
		case s.disturbance == failover:
			value = count(half, at)
		case s.disturbance == replicas && pod == "b":
			value = count(0, 0)
		case s.disturbance == slowScrape && s.grid.interval < time.Minute:
			scraped = i%2 == 0
		case s.disturbance == retention && !isGauge:
			value += 1000
		}
		if scraped {
			values = append(values, fmt.Sprint(value))
		} else {
			values = append(values, "_")
		}
	}
	return strings.Join(values, " ")
}

// leaderValues are constant, with a gap while no pod leads.
func (s simulation) leaderValues(value string) string {
	samples := int(s.grid.horizon / s.grid.interval)
	if s.disturbance != failover && s.disturbance != restart {
		return fmt.Sprintf("%sx%d", value, samples)
	}
	return fmt.Sprintf("%sx%d stale _ %sx%d", value, samples/2-2, value, samples/2)
}

// promtoolOutput runs promtool on a test file whose queries expect nothing, and returns what it prints.
func promtoolOutput(t *testing.T, path string) string {
	t.Helper()
	binary, err := manifests.Tool(config, "promtool")
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command(binary, "test", "rules", path).CombinedOutput() //nolint:gosec // our own tool
	if err == nil {
		t.Fatalf("promtool found no alert:\n%s", output)
	}
	if strings.Contains(string(output), "err: ") {
		t.Fatalf("promtool failed:\n%.4000s", output)
	}
	return string(output)
}
