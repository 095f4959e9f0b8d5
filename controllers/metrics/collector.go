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
	// IsEngineAvailable reports whether Argo Workflows is installed and watched.
	IsEngineAvailable() bool
	// Catalog returns the state of the catalog. It returns an error while Argo is not installed.
	Catalog(ctx context.Context) (Catalog, error)
}

// Catalog is the state of the catalog of actions.
type Catalog struct {
	// Actions are the names of the valid actions, each once.
	Actions []string
	// Broken is the number of templates that are labelled as actions and invalid.
	Broken int
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

	active            *prometheus.Desc
	workflows         *prometheus.Desc
	pending           *prometheus.Desc
	startTimestamp    *prometheus.Desc
	approvalRequested *prometheus.Desc
	efficiency        *prometheus.Desc
	broken            *prometheus.Desc
	actions           *prometheus.Desc
	engine            *prometheus.Desc
}

// NewCollector returns a Collector that reads source, uses the clock now, exposes samples only while isLeader returns true,
// and exposes the start of the oldest maxStartTimestamps running executions and as many waiting approvals, or of none if it
// is 0 or less.
func NewCollector(source Source, now func() time.Time, isLeader func() bool, maxStartTimestamps int) *Collector {
	table := tableByName()
	return &Collector{
		source:             source,
		now:                now,
		isLeader:           isLeader,
		maxStartTimestamps: max(maxStartTimestamps, 0),
		active:             table[nameActive].desc(),
		workflows:          table[nameWorkflows].desc(),
		pending:            table[namePending].desc(),
		startTimestamp:     table[nameStartTimestamp].desc(),
		approvalRequested:  table[nameApprovalRequested].desc(),
		efficiency:         table[nameParallelEfficiency].desc(),
		broken:             table[nameBrokenTemplates].desc(),
		actions:            table[nameCatalogActions].desc(),
		engine:             table[nameEngineAvailable].desc(),
	}
}

// Describe sends the descriptions of the metrics.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		c.active, c.workflows, c.pending, c.startTimestamp, c.approvalRequested, c.efficiency, c.broken, c.actions, c.engine,
	} {
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
	available := 0.0
	if c.source.IsEngineAvailable() {
		available = 1
	}
	samples <- gauge(c.engine, available)
	if catalog, err := c.source.Catalog(ctx); err == nil {
		samples <- gauge(c.broken, float64(catalog.Broken))
		samples <- gauge(c.actions, float64(len(catalog.Actions)))
	}
}

// moment is a time in the life of an execution: its effective start, or when one of its steps began to await its approval.
type moment struct {
	types.NamespacedName
	step string
	at   time.Time
}

func (c *Collector) collectUnended(ctx context.Context, now time.Time, samples chan<- prometheus.Metric) {
	phases, pending := map[wfev1.Phase]int{}, map[string]int{}
	var running, waiting []moment
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
		if phase == wfev1.PhasePending {
			pending[pendingReason(&wfe.Status)]++
		}
		if !phase.IsTerminal() {
			waiting = append(waiting, approvals(key, &wfe.Status, now)...)
		}
		if phase != wfev1.PhaseRunning && phase != wfev1.PhaseRollingBack {
			return
		}
		if at, ok := effectiveStart(&wfe.Status, now); ok {
			running = append(running, moment{NamespacedName: key, at: at})
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
	for _, reason := range pendingReasons {
		samples <- gauge(c.pending, float64(pending[reason]), reason)
	}
	for _, execution := range oldest(running, c.maxStartTimestamps) {
		samples <- gauge(c.startTimestamp, float64(execution.at.Unix()), execution.Namespace, execution.Name)
	}
	for _, approval := range oldestOfEach(waiting, c.maxStartTimestamps) {
		samples <- gauge(c.approvalRequested, float64(approval.at.Unix()), approval.Namespace, approval.Name, approval.step)
	}
}

// oldest returns the first n moments; ties are ordered by namespace, name and step.
func oldest(moments []moment, n int) []moment {
	slices.SortFunc(moments, byAge)
	return moments[:min(n, len(moments))]
}

// oldestOfEach returns n moments: the first of each namespace, then the second of each, and so on, so that no namespace
// displaces another one.
func oldestOfEach(moments []moment, n int) []moment {
	slices.SortFunc(moments, byAge)
	seen, ranks := map[string]int{}, make(map[moment]int, len(moments))
	for _, m := range moments {
		ranks[m] = seen[m.Namespace]
		seen[m.Namespace]++
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Compare(ranks[a], ranks[b]) })
	return moments[:min(n, len(moments))]
}

func byAge(a, b moment) int {
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.step, b.step))
}

// approvals returns the steps that await an approval, with the time when they began.
func approvals(key types.NamespacedName, status *wfev1.WorkflowExecutionStatus, now time.Time) []moment {
	var waiting []moment
	for i := range status.Steps {
		step := &status.Steps[i]
		if step.Phase == wfev1.StepAwaitingApproval && isPast(step.StartTime, now) {
			waiting = append(waiting, moment{NamespacedName: key, step: step.Name, at: step.StartTime.Time})
		}
	}
	return waiting
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}
