package controllers_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const metricPrefix = "workflowexecution_"

// seriesValues are the values of counters and the numbers of observations of histograms, by series. Names have no prefix, and
// labels are written as {name=value,…}, sorted by name.
type seriesValues map[string]float64

// counted is the sum over all controllers of the suite.
func counted() seriesValues {
	GinkgoHelper()
	sum := seriesValues{}
	for _, registry := range registries {
		sum.add(countersOf(registry))
	}
	return sum
}

// countersOf are the values of one controller.
func countersOf(registry *prometheus.Registry) seriesValues {
	GinkgoHelper()
	sum := seriesValues{}
	families, err := registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				sum[seriesOf(family, metric)] = metric.GetCounter().GetValue()
			case dto.MetricType_HISTOGRAM:
				// If a step ends before the controller reads its node, its queue time is unknown.
				if family.GetName() == metricPrefix+"step_queue_duration_seconds" {
					continue
				}
				sum[seriesOf(family, metric)] = float64(metric.GetHistogram().GetSampleCount())
			default:
			}
		}
	}
	return sum
}

// moved are the changes since the start of the spec.
func moved() seriesValues {
	GinkgoHelper()
	difference := seriesValues{}
	for series, value := range counted() {
		if d := value - before[series]; d != 0 {
			difference[series] = d
		}
	}
	return difference
}

// gauges are the gauges of the current leader.
func gauges() seriesValues {
	GinkgoHelper()
	families, err := registries[len(registries)-1].Gather()
	Expect(err).NotTo(HaveOccurred())
	present := seriesValues{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetType() == dto.MetricType_GAUGE {
				present[seriesOf(family, metric)] = metric.GetGauge().GetValue()
			}
		}
	}
	return present
}

func seriesOf(family *dto.MetricFamily, metric *dto.Metric) string {
	name := strings.TrimPrefix(family.GetName(), metricPrefix)
	labels := make([]string, 0, len(metric.GetLabel()))
	for _, label := range metric.GetLabel() {
		labels = append(labels, label.GetName()+"="+label.GetValue())
	}
	if len(labels) == 0 {
		return name
	}
	return name + "{" + strings.Join(labels, ",") + "}"
}

// knownActions are the actions that have series at the current leader.
func knownActions() []string {
	GinkgoHelper()
	families, err := registries[len(registries)-1].Gather()
	Expect(err).NotTo(HaveOccurred())
	var actions []string
	for _, family := range families {
		if family.GetName() != metricPrefix+"step_skipped_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			actions = append(actions, metric.GetLabel()[0].GetValue())
		}
	}
	return actions
}

// started are the changes for the start of an execution.
func started() seriesValues {
	return seriesValues{
		"dependency_resolution_duration_seconds": 1, "dependency_graph_complexity": 1, "step_count": 1,
		"kubernetesexecution_creation_duration_seconds": 1,
	}
}

// add adds values.
func (t seriesValues) add(more seriesValues) seriesValues {
	for series, value := range more {
		t[series] += value
	}
	return t
}
