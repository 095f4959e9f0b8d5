package live

import (
	"fmt"
	"math"
	"time"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// window is the window of every query that has one to choose, and that of the specification's queries.
const window = 5 * time.Minute

const (
	durationMetric     = "workflowexecution_duration_seconds"
	stepDurationMetric = "workflowexecution_step_execution_duration_seconds"
	approvalWaitMetric = "workflowexecution_approval_wait_duration_seconds"
)

// check returns an error if the result of a query is wrong.
type check func(got values) error

// within expects values, with a tolerance for the extrapolation of Prometheus.
func within(want values) check {
	return func(got values) error { return compare(want, got, 0.03) }
}

// exactly expects current values, which are not extrapolated.
func exactly(want values) check {
	return func(got values) error { return compare(want, got, 0) }
}

// between expects at least one value in a range. The controller measures it by its own clock, so no status has it.
func between(low, high float64) check {
	return func(got values) error {
		if len(got) == 0 {
			return fmt.Errorf("no value")
		}
		for key, value := range got {
			if value < low || value > high {
				return fmt.Errorf("%s is %v, want %v to %v", key, value, low, high)
			}
		}
		return nil
	}
}

// query is a query with its name.
type query struct{ name, expr string }

var specifiedQueries = []query{
	{"1. Workflow Success Rate (SLI)", `sum(rate(workflowexecution_total{status="completed"}[5m])) / sum(rate(workflowexecution_total[5m]))`},
	{"2. Step Success Rate by Action", `sum by (action) (rate(workflowexecution_step_execution_total{status="completed"}[5m])) / sum by (action) (rate(workflowexecution_step_execution_total[5m]))`},
	{"3. Parallel Execution Efficiency", `workflowexecution_parallel_execution_efficiency`},
	{"4. Average Workflow Duration", `rate(workflowexecution_duration_seconds_sum[5m]) / rate(workflowexecution_duration_seconds_count[5m])`},
	{"5. Dependency Resolution P95", `histogram_quantile(0.95, rate(workflowexecution_dependency_resolution_duration_seconds_bucket[5m]))`},
	{"6. Active Workflows", `workflowexecution_active_total`},
	{"6. Active Workflows by Phase", `workflowexecution_workflows`},
	{"7. Step Execution Rate", `sum(rate(workflowexecution_step_execution_total[5m]))`},
	{"8. Average Steps per Workflow", `rate(workflowexecution_step_count_sum[5m]) / rate(workflowexecution_step_count_count[5m])`},
}

func (o *outcome) expectQueries(efficiency float64) map[string]check {
	return map[string]check{
		"1. Workflow Success Rate (SLI)":   within(single(o.successRatio())),
		"2. Step Success Rate by Action":   within(o.completedSteps.over(o.steps)),
		"3. Parallel Execution Efficiency": within(single(efficiency)),
		"4. Average Workflow Duration":     within(single(mean(o.durations))),
		"5. Dependency Resolution P95":     between(0, 5),
		"6. Active Workflows":              exactly(single(o.phases.sum())),
		"6. Active Workflows by Phase":     exactly(o.phases),
		"7. Step Execution Rate":           within(single(o.steps.sum() / window.Seconds())),
		"8. Average Steps per Workflow":    within(single(mean(o.stepCounts))),
	}
}

// expectIndicators are the recorded indicators. The dashboard reads the burn rates of the objectives.
func (o *outcome) expectIndicators() map[string]check {
	p95 := within(single(quantile(0.95, o.durations, bounds(durationMetric))))
	return map[string]check{
		"workflowexecution:success:ratio_rate5m":                              within(single(o.successRatio())),
		"workflowexecution:success:ratio_rate1h":                              within(single(o.successRatio())),
		"workflowexecution:duration_seconds:p95_rate5m":                       p95,
		"workflowexecution:duration_seconds:p95_rate1h":                       p95,
		"workflowexecution:step_success:ratio_rate5m":                         within(single(o.stepSuccessRatio())),
		"workflowexecution:step_success:ratio_rate1h":                         within(single(o.stepSuccessRatio())),
		"action:workflowexecution_step_failure:ratio_rate5m":                  within(o.failedSteps.over(o.steps)),
		"action:workflowexecution_step_failure:ratio_rate1h":                  within(o.failedSteps.over(o.steps)),
		"workflowexecution:parallel_steps:ratio_rate1h":                       within(single(o.parallel / o.executed)),
		"workflowexecution:dependency_resolution_duration_seconds:p95_rate5m": between(0, 5),
		"workflowexecution:dependency_resolution_duration_seconds:p95_rate1h": between(0, 5),
	}
}

// expectPanels are the dashboard's queries by panel and name.
func (o *outcome) expectPanels(efficiency float64, at time.Time) map[string]check {
	latency := func(q float64) check { return within(single(quantile(q, o.durations, bounds(durationMetric)))) }
	wait := func(q float64) check { return within(single(quantile(q, o.waits, bounds(approvalWaitMetric)))) }
	perSecond, p95, allSteps := values{}, values{}, []float64{}
	for key, n := range o.steps {
		perSecond[key] = n / window.Seconds()
	}
	for action, durations := range o.stepDurations {
		p95[label("action", action)] = quantile(0.95, durations, bounds(stepDurationMetric))
		allSteps = append(allSteps, durations...)
	}
	ages := values{}
	for key, start := range o.running {
		ages[key] = at.Sub(start).Seconds()
	}
	slow := 0.0
	for _, took := range o.durations {
		if took > 120 {
			slow++
		}
	}
	failed, failedSteps := 1-o.successRatio(), 1-o.stepSuccessRatio()
	burns := values{
		label("sloth_slo", "success-rate"): failed / 0.02, label("sloth_slo", "step-success-rate"): failedSteps / 0.01,
		label("sloth_slo", "latency"): slow / float64(len(o.durations)) / 0.05,
	}
	left := values{}
	for slo, burn := range burns {
		left[slo] = 1 - burn
	}
	busy := between(0, math.MaxFloat64)
	return map[string]check{
		"Workflow Success Rate (SLI) A":                within(single(o.successRatio())),
		"Workflow Execution Latency (P50, P95, P99) A": latency(0.5),
		"Workflow Execution Latency (P50, P95, P99) B": latency(0.95),
		"Workflow Execution Latency (P50, P95, P99) C": latency(0.99),
		"Step Success Rate by Action A":                within(o.completedSteps.over(o.steps)),
		"Parallel Execution Efficiency A":              within(single(efficiency)),
		"Parallel Execution Efficiency B":              within(single(o.parallel / o.executed)),
		"Active Workflows A":                           exactly(single(o.phases.sum())),
		"Dependency Resolution Performance A":          between(0, 5),
		"Step Execution Duration by Action A":          within(buckets(allSteps, bounds(stepDurationMetric), window)),

		"Leader and Replicas A":        exactly(single(1)),
		"Leader and Replicas B":        exactly(single(1)),
		"Firing Alerts A":              busy,
		"Pending by Reason A":          exactly(values{}),
		"Awaiting Approval A":          exactly(single(o.phases[label("phase", string(wfev1.PhaseAwaitingApproval))])),
		"Failures of 24 h by Reason A": within(o.failures),

		"Ended Executions A":                            within(o.ended),
		"Ended Executions B":                            within(single(o.cancelled)),
		"Ended Executions C":                            within(single(o.dryRuns.sum())),
		"Failures by Reason A":                          within(o.failures),
		"Active Workflows by Phase A":                   exactly(o.phases),
		"Longest Running Executions A":                  within(ages),
		"Approval Wait (P50, P95) A":                    wait(0.5),
		"Approval Wait (P50, P95) B":                    wait(0.95),
		"Rollbacks A":                                   within(o.rollbacks),
		"Rollbacks B":                                   within(o.rollbackSteps),
		"Average Workflow Duration A":                   within(single(mean(o.durations))),
		"Average Steps and Dependencies per Workflow A": within(single(mean(o.stepCounts))),
		"Average Steps and Dependencies per Workflow B": within(single(mean(o.edges))),
		"Average Steps and Dependencies per Workflow C": within(single(mean(o.parallelSteps))),
		"Workflow Creation (P95) A":                     between(0, 2.56),

		"Step Execution Rate A":                 within(perSecond),
		"Failed Steps by Action A":              within(o.failedSteps),
		"Retries and Skips by Action A":         within(o.retries),
		"Retries and Skips by Action B":         within(o.skips),
		"Step Duration by Action (P95) A":       within(p95),
		"Step Queue Duration by Action (P95) A": between(0, loadTimeout.Seconds()),

		"Burn Rate (5 m) A":               within(burns),
		"Burn Rate (1 h) A":               within(burns),
		"Error Budget Remaining (30 d) A": within(left),

		"Broken Templates A":          exactly(single(0)),
		"Reconcile Rate and Errors A": busy,
		"Reconcile Duration (P95) A":  busy,
		"Work Queue A":                busy,
		"Work Queue Wait (P95) A":     busy,
		"API Requests by Code A":      busy,
		"API Latency by Verb (P95) A": busy,
	}
}

// expectAlerts are the states of the alerts that the load determines.
func expectAlerts() map[string]string {
	return map[string]string{
		"WorkflowExecutionSuccessRateSLOBreach critical":       "pending",
		"WorkflowStepSuccessRateSLOBreach critical":            "pending",
		"WorkflowExecutionSuccessRateErrorBudgetBurn critical": "firing",
		"WorkflowExecutionSuccessRateErrorBudgetBurn warning":  "firing",
		"WorkflowStepSuccessRateErrorBudgetBurn critical":      "firing",
		"WorkflowStepSuccessRateErrorBudgetBurn warning":       "firing",
		"WorkflowExecutionLatencySLOBreach warning":            "inactive",
		"WorkflowExecutionLatencyErrorBudgetBurn critical":     "inactive",
		"WorkflowExecutionLatencyErrorBudgetBurn warning":      "inactive",
		"WorkflowDependencyResolutionSLOBreach warning":        "inactive",
		"WorkflowExecutionStuck critical":                      "inactive",
		"WorkflowExecutionControllerDown critical":             "inactive",
		"WorkflowExecutionNoLeader critical":                   "inactive",
		"WorkflowExecutionEngineUnavailable critical":          "inactive",
		"WorkflowCatalogEmpty critical":                        "inactive",
		"WorkflowExecutionPendingTooLong warning":              "inactive",
		"WorkflowExecutionAwaitingApproval warning":            "inactive",
		"WorkflowExecutionErrorBudgetSlowBurn warning":         "pending",
		"WorkflowExecutionErrorBudgetExhausted warning":        "pending",
	}
}
