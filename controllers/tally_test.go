package controllers_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const metricPrefix = "workflowexecution_"

// tally is counters, and of histograms the number of observations, summed over every controller that has led. Names are
// without their prefix, labels are written as {name=value,…} in the order of their names.
type tally map[string]float64

// counted is what was counted until now.
func counted() tally {
	GinkgoHelper()
	sum := tally{}
	for _, registry := range registries {
		sum.with(countersOf(registry))
	}
	return sum
}

// countersOf is what one controller counted.
func countersOf(registry *prometheus.Registry) tally {
	GinkgoHelper()
	sum := tally{}
	families, err := registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				sum[seriesOf(family, metric)] = metric.GetCounter().GetValue()
			case dto.MetricType_HISTOGRAM:
				// A step can be over before it is looked at, and then nobody saw it begin.
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

// moved is what was counted since the spec began.
func moved() tally {
	GinkgoHelper()
	difference := tally{}
	for series, value := range counted() {
		if d := value - before[series]; d != 0 {
			difference[series] = d
		}
	}
	return difference
}

// gauges is the present as the controller that leads tells it.
func gauges() tally {
	GinkgoHelper()
	families, err := registries[len(registries)-1].Gather()
	Expect(err).NotTo(HaveOccurred())
	present := tally{}
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

// knownActions are the actions that have series at the controller that leads.
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

// started is what the start of an execution moves.
func started() tally {
	return tally{
		"dependency_resolution_duration_seconds": 1, "dependency_graph_complexity": 1, "step_count": 1,
		"kubernetesexecution_creation_duration_seconds": 1,
	}
}

// with adds series to a tally.
func (t tally) with(more tally) tally {
	for series, value := range more {
		t[series] += value
	}
	return t
}
