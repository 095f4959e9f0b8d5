package metrics

import (
	"context"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// MaxActions is the maximum number of actions with their own series; further actions are counted as UnknownAction. README.md
// states the number of series at this limit.
const MaxActions = 500

// UnknownAction is the value of the label action for an action that is not in the catalog.
const UnknownAction = "unknown"

// actionName is the pattern of action names in the API; nothing else becomes a label value.
var actionName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Recorder counts what ended and measures durations. It is a prometheus.Collector that must be registered once, and it is
// safe for concurrent use.
type Recorder struct {
	now        func() time.Time
	collectors []prometheus.Collector
	catalog    func(context.Context) (Catalog, error)

	executions           *prometheus.CounterVec
	duration             prometheus.Histogram
	cancelled            prometheus.Counter
	dryRuns              *prometheus.CounterVec
	failures             *prometheus.CounterVec
	steps                *prometheus.CounterVec
	stepDuration         *prometheus.HistogramVec
	stepRetries          *prometheus.CounterVec
	stepSkipped          *prometheus.CounterVec
	stepsExecuted        prometheus.Counter
	stepCount            prometheus.Histogram
	stepQueueDuration    *prometheus.HistogramVec
	parallelSteps        prometheus.Counter
	parallelStepsCount   prometheus.Histogram
	resolutionDuration   prometheus.Histogram
	graphComplexity      prometheus.Histogram
	creationDuration     prometheus.Histogram
	approvalWaitDuration prometheus.Histogram
	rollbacks            *prometheus.CounterVec
	rollbackSteps        *prometheus.CounterVec

	mu      sync.RWMutex
	actions map[string]struct{}
}

// Option configures a Recorder.
type Option func(*Recorder)

// WithClock sets the clock by which the Recorder recognizes future times; the default is time.Now. It must be the clock
// that the controller uses for the times it writes.
func WithClock(now func() time.Time) Option {
	return func(r *Recorder) { r.now = now }
}

// NewRecorder returns a Recorder with every series of a closed label set at 0 and no actions.
func NewRecorder(options ...Option) *Recorder {
	b := builder{table: tableByName()}
	r := &Recorder{
		now:                  time.Now,
		executions:           b.counterVec(nameTotal),
		duration:             b.histogram(nameDuration),
		cancelled:            b.counter(nameCancelled),
		dryRuns:              b.counterVec(nameDryRuns),
		failures:             b.counterVec(nameFailures),
		steps:                b.counterVec(nameStepTotal),
		stepDuration:         b.histogramVec(nameStepDuration),
		stepRetries:          b.counterVec(nameStepRetries),
		stepSkipped:          b.counterVec(nameStepSkipped),
		stepsExecuted:        b.counter(nameStepsExecuted),
		stepCount:            b.histogram(nameStepCount),
		stepQueueDuration:    b.histogramVec(nameStepQueueDuration),
		parallelSteps:        b.counter(nameParallelSteps),
		parallelStepsCount:   b.histogram(nameParallelStepsCount),
		resolutionDuration:   b.histogram(nameResolutionDuration),
		graphComplexity:      b.histogram(nameGraphComplexity),
		creationDuration:     b.histogram(nameCreationDuration),
		approvalWaitDuration: b.histogram(nameApprovalWaitDuration),
		rollbacks:            b.counterVec(nameRollback),
		rollbackSteps:        b.counterVec(nameRollbackStepTotal),
		actions:              map[string]struct{}{},
	}
	r.collectors = b.built
	for _, option := range options {
		option(r)
	}
	for _, status := range []string{statusCompleted, statusFailed} {
		r.executions.WithLabelValues(status)
		r.rollbacks.WithLabelValues(status)
		r.dryRuns.WithLabelValues(status)
	}
	r.dryRuns.WithLabelValues(statusCancelled)
	for _, reason := range wfev1.FailureReasons {
		r.failures.WithLabelValues(string(reason))
	}
	r.initializeAction(UnknownAction)
	return r
}

// Describe sends the descriptions of the metrics.
func (r *Recorder) Describe(descs chan<- *prometheus.Desc) {
	for _, collector := range r.collectors {
		collector.Describe(descs)
	}
}

// ReadActions makes every scrape read the actions of the catalog first. The watches that call SetActions run on the leader
// alone: without this, the series of actions would appear with a new leader, and rate() would miss their first events. Call
// it before the Recorder is registered.
func (r *Recorder) ReadActions(catalog func(context.Context) (Catalog, error)) { r.catalog = catalog }

// Collect sends the samples of the metrics.
func (r *Recorder) Collect(samples chan<- prometheus.Metric) {
	if r.catalog != nil {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
		defer cancel()
		// The Source reports its own errors.
		if catalog, err := r.catalog(ctx); err == nil {
			r.SetActions(catalog.Actions)
		}
	}
	for _, collector := range r.collectors {
		collector.Collect(samples)
	}
}

// SetActions adds the names of the catalog's actions and exposes their series at 0. An action that leaves the catalog keeps
// its series, because its counters must not reset. Names beyond MaxActions and invalid names are counted as
// UnknownAction.
func (r *Recorder) SetActions(names []string) {
	// Sorted, so that the first MaxActions do not depend on the order of a list.
	names = slices.Sorted(slices.Values(names))
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if len(r.actions) >= MaxActions {
			return
		}
		if _, known := r.actions[name]; known || !actionName.MatchString(name) {
			continue
		}
		r.actions[name] = struct{}{}
		r.initializeAction(name)
	}
}

// initializeAction creates all series of an action, histograms included: the first observation of a rare action may be
// its only one, and rate() ignores a series that appears with the value 1.
func (r *Recorder) initializeAction(action string) {
	for _, status := range []string{statusCompleted, statusFailed} {
		r.steps.WithLabelValues(status, action)
		r.rollbackSteps.WithLabelValues(status, action)
	}
	r.stepRetries.WithLabelValues(action)
	r.stepSkipped.WithLabelValues(action)
	r.stepDuration.WithLabelValues(action)
	r.stepQueueDuration.WithLabelValues(action)
}

// actionLabel returns the action if the catalog has it and UnknownAction otherwise.
func (r *Recorder) actionLabel(action string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, known := r.actions[action]; known {
		return action
	}
	return UnknownAction
}

// builder creates metrics from the table and collects them.
type builder struct {
	table map[string]Metric
	built []prometheus.Collector
}

func (b *builder) counter(name string) prometheus.Counter {
	m := b.table[name]
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: m.Name, Help: m.Help})
	b.built = append(b.built, counter)
	return counter
}

func (b *builder) counterVec(name string) *prometheus.CounterVec {
	m := b.table[name]
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.labelNames())
	b.built = append(b.built, vec)
	return vec
}

func (b *builder) histogram(name string) prometheus.Histogram {
	histogram := prometheus.NewHistogram(histogramOpts(b.table[name]))
	b.built = append(b.built, histogram)
	return histogram
}

func (b *builder) histogramVec(name string) *prometheus.HistogramVec {
	m := b.table[name]
	vec := prometheus.NewHistogramVec(histogramOpts(m), m.labelNames())
	b.built = append(b.built, vec)
	return vec
}

// histogramOpts adds native buckets to the classic ones: at most 160, each 10 % wider than the previous one.
func histogramOpts(m Metric) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: m.Name, Help: m.Help, Buckets: m.Buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}
}
