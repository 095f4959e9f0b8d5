package metrics

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

const (
	// DefaultMaxStartTimestamps is the default bound on the series of workflowexecution_start_timestamp.
	DefaultMaxStartTimestamps = 500

	// scrapeTimeout bounds the reads of the Source; it is below the default scrape timeout of Prometheus, 10 s.
	scrapeTimeout = 5 * time.Second
)

// Source provides the current state to the Collector. The cost of a scrape must not depend on the number of ended
// executions.
type Source interface {
	// VisitUnended calls visit for each execution that is not in a terminal phase, including those without a phase. The
	// calls are sequential, and visit neither changes nor retains its argument, so no copy is needed.
	VisitUnended(ctx context.Context, visit func(*wfev1.WorkflowExecution)) error
	// ParallelEfficiency returns the Ratio of the Efficiency of ended executions, and false if it is unknown.
	ParallelEfficiency(now time.Time) (float64, bool)
	// CountBrokenTemplates returns the number of invalid templates of the catalog.
	CountBrokenTemplates(ctx context.Context) (int, error)
}

// Collector computes the gauges of the current state at scrape time. It is a prometheus.Collector that must be registered
// once.
//
// Only the leader exposes samples, so that the sum over replicas is correct. A value that is unknown because of an error of
// the Source is absent: an invalid metric would fail the whole scrape, counters included, and a 0 would be wrong. The
// Source reports its own errors.
type Collector struct {
	source             Source
	now                func() time.Time
	isLeader           func() bool
	maxStartTimestamps int

	active         *prometheus.Desc
	workflows      *prometheus.Desc
	startTimestamp *prometheus.Desc
	efficiency     *prometheus.Desc
	broken         *prometheus.Desc
}

// NewCollector returns a Collector that reads source, uses the clock now, exposes samples only while isLeader returns true,
// and exposes the start of the oldest maxStartTimestamps running executions, or of none if it is 0 or less.
func NewCollector(source Source, now func() time.Time, isLeader func() bool, maxStartTimestamps int) *Collector {
	table := tableByName()
	return &Collector{
		source:             source,
		now:                now,
		isLeader:           isLeader,
		maxStartTimestamps: max(maxStartTimestamps, 0),
		active:             table[nameActive].desc(),
		workflows:          table[nameWorkflows].desc(),
		startTimestamp:     table[nameStartTimestamp].desc(),
		efficiency:         table[nameParallelEfficiency].desc(),
		broken:             table[nameBrokenTemplates].desc(),
	}
}

// Describe sends the descriptions of the metrics.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.active, c.workflows, c.startTimestamp, c.efficiency, c.broken} {
		descs <- desc
	}
}

// Collect computes the gauges and sends them if this replica is the leader.
func (c *Collector) Collect(samples chan<- prometheus.Metric) {
	if !c.isLeader() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	now := c.now()
	c.collectUnended(ctx, now, samples)
	if efficiency, known := c.source.ParallelEfficiency(now); known {
		samples <- gauge(c.efficiency, efficiency)
	}
	if broken, err := c.source.CountBrokenTemplates(ctx); err == nil {
		samples <- gauge(c.broken, float64(broken))
	}
}

// started is a running execution with its effective start.
type started struct {
	types.NamespacedName
	at time.Time
}

func (c *Collector) collectUnended(ctx context.Context, now time.Time, samples chan<- prometheus.Metric) {
	phases := map[wfev1.Phase]int{}
	var running []started
	// A source that reads phase by phase can visit an execution twice, and a duplicate series fails the scrape.
	seen := map[types.NamespacedName]struct{}{}
	err := c.source.VisitUnended(ctx, func(wfe *wfev1.WorkflowExecution) {
		key := types.NamespacedName{Namespace: wfe.Namespace, Name: wfe.Name}
		if _, twice := seen[key]; twice || wfe.Spec.DryRun {
			return
		}
		seen[key] = struct{}{}
		phase := wfe.Status.Phase
		if phase == "" {
			phase = wfev1.PhasePending
		}
		phases[phase]++
		if phase != wfev1.PhaseRunning && phase != wfev1.PhaseRollingBack {
			return
		}
		if at, ok := effectiveStart(&wfe.Status, now); ok {
			running = append(running, started{NamespacedName: key, at: at})
		}
	})
	if err != nil {
		return
	}
	active := 0
	for _, phase := range unendedPhases() {
		samples <- gauge(c.workflows, float64(phases[phase]), string(phase))
		if phase.IsLive() {
			active += phases[phase]
		}
	}
	samples <- gauge(c.active, float64(active))
	for _, execution := range oldest(running, c.maxStartTimestamps) {
		samples <- gauge(c.startTimestamp, float64(execution.at.Unix()), execution.Namespace, execution.Name)
	}
}

// oldest returns the n executions that started first; ties are ordered by namespace and name.
func oldest(executions []started, n int) []started {
	slices.SortFunc(executions, func(a, b started) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return executions[:min(n, len(executions))]
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}
