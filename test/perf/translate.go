package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kubernaut-io/workflowexecution/translate"
)

// measureTranslation measures validating and translating executions, beside the encoding of the Workflow that comes of it:
// what has to be done anyway to send it.
func measureTranslation(_ context.Context, _ *settings) ([]Result, error) {
	catalog, err := readCatalog()
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, shape := range shapes {
		var sizes, times, graphSizes, graphTimes []float64
		for _, n := range []int{10, 100, 500} {
			wfe := shape.execution("measured", n)
			wf := plan(wfe, catalog).Workflow(translate.Options{})
			translating := func() { plan(wfe, catalog).Workflow(translate.Options{}) }
			measured := interleave(translating, func() {
				if _, err := json.Marshal(wf); err != nil {
					panic(err)
				}
			})
			what := fmt.Sprintf("translate %s of %d", shape.name, n)
			count, _ := allocations(translating)
			sizes = append(sizes, float64(n+plan(wfe, catalog).Graph().Edges()))
			times = append(times, percentile(measured[0], 0))
			results = append(results,
				told(what+": time", percentile(measured[0], 50)*1e6, "µs"),
				atMost(what+": time / JSON encoding", ratio(measured[0], measured[1]), 1, ""),
				told(what+": allocations a step", count/float64(n), ""),
			)
		}
		for _, n := range []int{100, 500, 2000, 10_000} {
			steps := shape.steps(n)
			graph, _ := translate.NewGraph(steps)
			measured := interleave(func() { translate.NewGraph(steps) })
			graphSizes = append(graphSizes, float64(n+graph.Edges()))
			graphTimes = append(graphTimes, percentile(measured[0], 0))
		}
		results = append(results,
			atMost("translate "+shape.name+": exponent of time in nodes and edges", exponent(sizes, times), 1.05, ""),
			told("graph "+shape.name+" of 10000: time", graphTimes[len(graphTimes)-1]*1e3, "ms"),
			atMost("graph "+shape.name+" to 10000: exponent of time in nodes and edges", exponent(graphSizes, graphTimes), 1.05, ""),
		)
	}
	return results, nil
}
