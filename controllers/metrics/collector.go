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

	// scrapeTimeout bounds the reading of the Source, and is below Prometheus' own default of 10 s.
	scrapeTimeout = 5 * time.Second
)

// Source is where the Collector finds the executions that it computes gauges from; a scrape must cost nothing for those that
// have ended. VisitUnended calls visit for one execution after another, and visit neither changes nor keeps what it is given,
// so nothing needs to be copied.
type Source interface {
	// VisitUnended visits every execution that is not in a terminal phase; those without a phase are among them.
	VisitUnended(ctx context.Context, visit func(*wfev1.WorkflowExecution)) error
	// ParallelEfficiency is the Ratio of the Efficiency of what has ended; false also when that is not known.
	ParallelEfficiency(now time.Time) (float64, bool)
	// CountBrokenTemplates counts the templates of the catalog that are broken.
	CountBrokenTemplates(ctx context.Context) (int, error)
}

// Collector computes the gauges of the present at scrape time. It is a prometheus.Collector, to be registered once.
//
// A replica that is not the leader has no samples, so that replicas do not add up. Nor are there samples of what an
// error of the Source made unknown: an invalid metric would fail the whole scrape, counters included, and a 0 would be
// a lie. The Source reports its own errors.
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

// NewCollector returns a Collector that reads from source, tells the time by now, has samples only while isLeader
// returns true, and exposes the start of the oldest maxStartTimestamps running executions, of none for 0 or less.
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

// Describe sends the descriptions of all metrics of the Collector.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.active, c.workflows, c.startTimestamp, c.efficiency, c.broken} {
		descs <- desc
	}
}

// Collect computes the gauges and sends them, if this replica is the leader.
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

// started is a running execution and its effective start.
type started struct {
	types.NamespacedName
	at time.Time
}

func (c *Collector) collectUnended(ctx context.Context, now time.Time, samples chan<- prometheus.Metric) {
	phases := map[wfev1.Phase]int{}
	var running []started
	// A source that reads one phase after another can meet an execution twice, and a series twice fails the scrape.
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

// oldest returns the n executions that started first, of those that started together the first by namespace and name.
func oldest(executions []started, n int) []started {
	slices.SortFunc(executions, func(a, b started) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return executions[:min(n, len(executions))]
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}
