//go:build !race

package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// The gates hold what can be counted to its target, and times to generous ratios of times that were taken in turn. They are
// not built with the race detector, which changes both.

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	m.Run()
}

func hold(t *testing.T, results ...Result) {
	t.Helper()
	for _, result := range results {
		if !result.OK {
			t.Error(result)
		}
	}
}

func TestTranslationGate(t *testing.T) {
	catalog, err := readCatalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range shapes {
		var sizes, bytes, graphBytes, steps, counts []float64
		for _, n := range []int{100, 200, 500} {
			wfe := shape.execution("measured", n)
			edges := plan(wfe, catalog).Graph().Edges()
			count, size := allocations(func() { plan(wfe, catalog).Workflow(translate.Options{}) })
			_, graphSize := allocations(func() { translate.NewGraph(wfe.Spec.Steps) })
			sizes, bytes, graphBytes = append(sizes, float64(n+edges)), append(bytes, size), append(graphBytes, graphSize)
			steps, counts = append(steps, float64(n)), append(counts, count)
		}
		hold(t,
			atMost(shape.name+": exponent of bytes in nodes and edges", exponent(sizes, bytes), 1.15, ""),
			atMost(shape.name+": exponent of the graph's bytes", exponent(sizes, graphBytes), 1.15, ""),
			atMost(shape.name+": exponent of allocations in steps", exponent(steps, counts), 1.05, ""),
			atMost(shape.name+": allocations a step", counts[len(counts)-1]/steps[len(steps)-1], 12, ""))
		wfe := shape.execution("measured", 500)
		wf := plan(wfe, catalog).Workflow(translate.Options{})
		measured := interleave(func() { plan(wfe, catalog).Workflow(translate.Options{}) }, func() { _, _ = json.Marshal(wf) })
		hold(t, atMost(shape.name+": time / JSON encoding", ratio(measured[0], measured[1]), 2, ""))
		var graphSizes, graphTimes []float64
		for _, n := range []int{1000, 4000, 16_000} {
			steps := shape.steps(n)
			graph, _ := translate.NewGraph(steps)
			measured := interleave(func() { translate.NewGraph(steps) })
			graphSizes, graphTimes = append(graphSizes, float64(n+graph.Edges())), append(graphTimes, percentile(measured[0], 0))
		}
		hold(t, atMost(shape.name+": exponent of the graph's time", exponent(graphSizes, graphTimes), 1.5, ""))
	}
}

func TestStatusGate(t *testing.T) {
	wfe, wf, packed, err := ranLargest()
	if err != nil {
		t.Fatal(err)
	}
	previous := translate.InitialSteps(&wfe.Spec)
	count, _ := allocations(func() { translate.Steps(previous, wf) })
	unpacking := func() {
		if _, err := translate.Expand(packed); err != nil {
			t.Fatal(err)
		}
	}
	measured := interleave(func() { translate.Steps(previous, wf) }, unpacking)
	hold(t,
		// Each of the five nodes that are searched for costs two: its name and its key.
		atMost("allocations a step", count/largest, 20, ""),
		// To unpack 2000 nodes takes twenty times as long.
		atMost("time / unpacking", ratio(measured[0], measured[1]), 0.2, ""))
}

// TestWritesGate counts the writes of executions on a real API server.
func TestWritesGate(t *testing.T) {
	results, err := measureWrites(context.Background(), &settings{definitions: testutil.Minimal})
	if err != nil {
		t.Fatal(err)
	}
	hold(t, results...)
}

// TestCreationGate creates some executions on a real API server, on a machine that may have other things to do: the bounds
// only tell a fault from an ordinary day.
func TestCreationGate(t *testing.T) {
	results, err := measureCreation(context.Background(), &settings{count: 100, definitions: testutil.Minimal})
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, result := range results {
		switch _, what, _ := strings.Cut(result.Name, ": "); what {
		case "p50 / direct p50":
			hold(t, atMost(result.Name, result.Value, 20, ""))
		case "sustained rate / direct":
			hold(t, atLeast(result.Name, result.Value, 0.03))
		case "throttled by our own client":
			hold(t, result)
		default:
			continue
		}
		held++
	}
	if held != 3 {
		t.Errorf("%d results were held to a bound", held)
	}
}
