package manifests

import (
	"fmt"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// promql is the language as a Prometheus without experimental features speaks it.
var promql = parser.NewParser(parser.Options{})

// Parse parses an expression as Prometheus does.
func Parse(expression string) (parser.Expr, error) {
	parsed, err := promql.ParseExpr(expression)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expression, err)
	}
	return parsed, nil
}

// MetricsOf lists the metrics that an expression selects, each selector once. It refuses a selector without a fixed name.
func MetricsOf(expression string) ([]string, error) {
	parsed, err := Parse(expression)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, matchers := range parser.ExtractSelectors(parsed) {
		name := ""
		for _, matcher := range matchers {
			if matcher.Name == model.MetricNameLabel && matcher.Type == labels.MatchEqual {
				name = matcher.Value
			}
		}
		if name == "" {
			return nil, fmt.Errorf("%s: a selector has no fixed name", expression)
		}
		names = append(names, name)
	}
	return names, nil
}
