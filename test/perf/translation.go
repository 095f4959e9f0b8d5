package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kubernaut-io/workflowexecution/translate"
)

// measureTranslation measures validating and translating executions, and encoding the resulting Workflow as JSON, which is
// needed anyway to send it.
func measureTranslation(_ context.Context, _ *settings) ([]Result, error) {
	catalog, err := readCatalog()
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, shape := range shapes {
		for _, n := range []int{10, 100, largest} {
			wfe := shape.execution("measured", n)
			wf := plan(wfe, catalog).Workflow(translate.Options{})
			measured := interleave(func() { plan(wfe, catalog).Workflow(translate.Options{}) }, func() { encode(wf) })
			what := fmt.Sprintf("translate %s of %d", shape.name, n)
			results = append(results,
				info(what+": time", percentile(measured[0], 50)*1e6, "µs"),
				atMost(what+": time / JSON encoding", ratio(measured[0], measured[1]), maxTranslationRatio, ""),
			)
		}
	}
	return results, nil
}

func encode(value any) {
	if _, err := json.Marshal(value); err != nil {
		panic(err) // Workflows can be encoded
	}
}
