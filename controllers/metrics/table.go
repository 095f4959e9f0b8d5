package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// The names of the metrics. The names in the specification are contractual, even where promlint objects.
const (
	nameTotal                = "workflowexecution_total"
	nameDuration             = "workflowexecution_duration_seconds"
	nameActive               = "workflowexecution_active_total"
	nameStepTotal            = "workflowexecution_step_execution_total"
	nameStepDuration         = "workflowexecution_step_execution_duration_seconds"
	nameResolutionDuration   = "workflowexecution_dependency_resolution_duration_seconds"
	nameGraphComplexity      = "workflowexecution_dependency_graph_complexity"
	nameParallelStepsCount   = "workflowexecution_parallel_steps_count"
	nameParallelEfficiency   = "workflowexecution_parallel_execution_efficiency"
	nameStepCount            = "workflowexecution_step_count"
	nameCreationDuration     = "workflowexecution_kubernetesexecution_creation_duration_seconds"
	nameStartTimestamp       = "workflowexecution_start_timestamp"
	nameCancelled            = "workflowexecution_cancelled_total"
	nameDryRuns              = "workflowexecution_dry_runs_total"
	nameFailures             = "workflowexecution_failures_total"
	nameWorkflows            = "workflowexecution_workflows"
	nameStepRetries          = "workflowexecution_step_retries_total"
	nameStepSkipped          = "workflowexecution_step_skipped_total"
	nameStepsExecuted        = "workflowexecution_steps_executed_total"
	nameParallelSteps        = "workflowexecution_parallel_steps_total"
	nameRollback             = "workflowexecution_rollback_total"
	nameRollbackStepTotal    = "workflowexecution_rollback_step_execution_total"
	nameApprovalWaitDuration = "workflowexecution_approval_wait_duration_seconds"
	nameStepQueueDuration    = "workflowexecution_step_queue_duration_seconds"
	nameBrokenTemplates      = "workflowexecution_catalog_broken_templates"
	nameCatalogActions       = "workflowexecution_catalog_actions"
	nameEngineAvailable      = "workflowexecution_engine_available"
	namePending              = "workflowexecution_pending"
	nameApprovalRequested    = "workflowexecution_approval_requested_timestamp"
)

// The values of the label status.
const (
	statusCompleted = "completed"
	statusFailed    = "failed"
	statusCancelled = "cancelled"
)

// Type is the type of a metric in the words of Prometheus.
type Type string

// The types of the metrics.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Label is a label of a metric.
type Label struct {
	// Name is the name of the label.
	Name string
	// Values is the closed set of values; it is empty where the catalog or an object provides the value.
	Values []string
}

// Metric describes one metric.
type Metric struct {
	// Name is the full name of the metric.
	Name string
	// Type is the type of the metric.
	Type Type
	// Labels are the labels, in the order of the values of a sample.
	Labels []Label
	// Help is one phrase without a full stop; it states what is measured and the unit.
	Help string
	// Buckets are the upper bounds of the classic buckets, ascending and without +Inf; native buckets are exposed as well.
	Buckets []float64
	// Specified is true for a metric of the specification and false for an added one.
	Specified bool
}

// Table returns the description of every metric, the specified ones first. The caller owns the result.
func Table() []Metric {
	var (
		ended       = Label{Name: "status", Values: []string{statusCompleted, statusFailed}}
		dryRunEnded = Label{Name: "status", Values: []string{statusCompleted, statusFailed, statusCancelled}}
		action      = Label{Name: "action"}
	)
	return []Metric{
		{
			Name: nameTotal, Type: Counter, Labels: []Label{ended}, Specified: true,
			Help: "Workflow executions that completed or failed; cancelled ones are counted in workflowexecution_cancelled_total",
		},
		{
			Name: nameDuration, Type: Histogram, Specified: true,
			Help:    "Time from the start of a workflow execution to its end, including its rollback and excluding approvals and pauses, in seconds; cancelled executions are not observed",
			Buckets: []float64{5, 10, 20, 40, 80, 120, 160, 320, 640, 1280, 2560, 5120},
		},
		{
			Name: nameActive, Type: Gauge, Specified: true,
			Help: "Workflow executions that currently have a live Workflow: running, awaiting approval, suspended or rolling back",
		},
		{
			Name: nameStepTotal, Type: Counter, Labels: []Label{ended, action}, Specified: true,
			Help: "Steps that completed or failed, each counted once; excludes retries, skipped and cancelled steps, approvals and rollback steps",
		},
		{
			Name: nameStepDuration, Type: Histogram, Labels: []Label{action}, Specified: true,
			Help:    "Time from the start of a step's first attempt to the end of its last attempt, in seconds",
			Buckets: []float64{0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
		},
		{
			Name: nameResolutionDuration, Type: Histogram, Specified: true,
			Help:    "Time to validate, order and translate one workflow execution, in seconds",
			Buckets: []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5, 5.12, 10.24},
		},
		{
			Name: nameGraphComplexity, Type: Histogram, Specified: true,
			Help:    "Number of dependencies between the steps of a workflow execution",
			Buckets: []float64{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20},
		},
		{
			Name: nameParallelStepsCount, Type: Histogram, Specified: true,
			Help:    "Number of completed or failed steps of an ended workflow execution whose run overlapped the run of another step",
			Buckets: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		},
		{
			Name: nameParallelEfficiency, Type: Gauge, Specified: true,
			Help: "Ratio of parallel steps to executed steps, 0 to 1, of the workflow executions that ended in the last hour; absent if no step was executed",
		},
		{
			Name: nameStepCount, Type: Histogram, Specified: true,
			Help:    "Number of steps in a workflow execution",
			Buckets: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		},
		{
			Name: nameCreationDuration, Type: Histogram, Specified: true,
			Help:    "Time to create the child object, an Argo Workflow, in the API server, in seconds",
			Buckets: []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56},
		},
		{
			Name: nameStartTimestamp, Type: Gauge, Labels: []Label{{Name: "namespace"}, {Name: "name"}}, Specified: true,
			Help: "Start time of a workflow execution that is running or rolling back, in seconds since the epoch and shifted by its pauses; only the oldest executions, up to a limit",
		},
		{
			Name: nameCancelled, Type: Counter,
			Help: "Workflow executions that were cancelled",
		},
		{
			Name: nameDryRuns, Type: Counter, Labels: []Label{dryRunEnded},
			Help: "Dry runs that ended; no other metric counts dry runs",
		},
		{
			Name: nameFailures, Type: Counter, Labels: []Label{{Name: "reason", Values: labelValues(wfev1.FailureReasons)}},
			Help: "Workflow executions that failed, by reason",
		},
		{
			Name: nameWorkflows, Type: Gauge, Labels: []Label{{Name: "phase", Values: labelValues(unendedPhases())}},
			Help: "Workflow executions that have not ended, by current phase",
		},
		{
			Name: nameStepRetries, Type: Counter, Labels: []Label{action},
			Help: "Attempts after the first one, counted when the step ends",
		},
		{
			Name: nameStepSkipped, Type: Counter, Labels: []Label{action},
			Help: "Steps that were skipped",
		},
		{
			Name: nameStepsExecuted, Type: Counter,
			Help: "Steps that completed or failed, counted when their workflow execution ends",
		},
		{
			Name: nameParallelSteps, Type: Counter,
			Help: "Completed or failed steps whose run overlapped the run of another step, counted when their workflow execution ends",
		},
		{
			Name: nameRollback, Type: Counter, Labels: []Label{ended},
			Help: "Rollbacks that ended",
		},
		{
			Name: nameRollbackStepTotal, Type: Counter, Labels: []Label{ended, action},
			Help: "Rollback steps that completed or failed, each counted once",
		},
		{
			Name: nameApprovalWaitDuration, Type: Histogram,
			Help:    "Time that an ended workflow execution spent awaiting approvals, in seconds; executions that never waited are not observed",
			Buckets: []float64{10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800},
		},
		{
			Name: nameStepQueueDuration, Type: Histogram, Labels: []Label{action},
			Help:    "Time from the creation of a step's node until its pod was observed running, in seconds; steps that were never observed running are not included",
			Buckets: []float64{0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
		},
		{
			Name: nameBrokenTemplates, Type: Gauge,
			Help: "Templates labelled as actions that are currently invalid: they break the catalog's contract or claim the same action as another template",
		},
		{
			Name: nameCatalogActions, Type: Gauge,
			Help: "Actions in the catalog; absent while Argo Workflows is not installed",
		},
		{
			Name: nameEngineAvailable, Type: Gauge,
			Help: "1 if Argo Workflows is installed and the controller watches its resources, 0 otherwise",
		},
		{
			Name: namePending, Type: Gauge, Labels: []Label{{Name: "reason", Values: slices.Clone(pendingReasons)}},
			Help: "Pending workflow executions, by the reason why they wait",
		},
		{
			Name: nameApprovalRequested, Type: Gauge, Labels: []Label{{Name: "namespace"}, {Name: "name"}, {Name: "step"}},
			Help: "Time when a step began to await its approval, in seconds since the epoch; the oldest of each namespace first, up to a limit",
		},
	}
}

// pendingReasons is the closed set of reasons why an execution is pending: those of the conditions Admitted and Reconciling,
// and of execution policies.
var pendingReasons = []string{
	wfev1.ReasonTargetLocked, wfev1.ReasonNamespaceFull, "CoolingDown", "BackingOff", "CircuitOpen", "LimitReached", "Paused",
	"OutsideSchedule", string(wfev1.ReasonEngineUnavailable), string(wfev1.ReasonNamespaceNotReady),
	wfev1.ReasonPredecessorEnding, pendingOther,
}

// pendingOther is the value of the label reason for a reason outside the closed set, or for none.
const pendingOther = "Other"

// unendedPhases returns the phases that are not terminal, in lifecycle order.
func unendedPhases() []wfev1.Phase {
	var phases []wfev1.Phase
	for _, phase := range wfev1.Phases {
		if !phase.IsTerminal() {
			phases = append(phases, phase)
		}
	}
	return phases
}

// labelValues returns the members of a closed set as label values.
func labelValues[T ~string](set []T) []string {
	values := make([]string, len(set))
	for i, value := range set {
		values[i] = string(value)
	}
	return values
}

// labelNames returns the names of the labels.
func (m Metric) labelNames() []string {
	names := make([]string, len(m.Labels))
	for i, label := range m.Labels {
		names[i] = label.Name
	}
	return names
}

// desc returns the description for a collector that creates its own samples.
func (m Metric) desc() *prometheus.Desc {
	return prometheus.NewDesc(m.Name, m.Help, m.labelNames(), nil)
}

// tableByName returns the table, keyed by the name of the metric.
func tableByName() map[string]Metric {
	metrics := map[string]Metric{}
	for _, metric := range Table() {
		metrics[metric.Name] = metric
	}
	return metrics
}
