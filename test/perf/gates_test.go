//go:build !race

package main

import (
	"context"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// The gates hold counts and ratios to the bounds of bounds.go. The race detector changes both, so this file is not built with
// it.

// The tests run beside others. busyProcessor relaxes the bounds on ratios of processor time, and busyMachine those on ratios of
// wall-clock time.
const busyProcessor, busyMachine = 2, 4

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

func TestTranslationBounds(t *testing.T) {
	catalog, err := readCatalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range shapes {
		var sizes, bytes, graphBytes, steps, counts []float64
		for _, n := range []int{100, 200, largest} {
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
			atMost(shape.name+": exponent of allocations in steps", exponent(steps, counts), 1.05, ""))
		wfe := shape.execution("measured", largest)
		wf := plan(wfe, catalog).Workflow(translate.Options{})
		measured := interleave(func() { plan(wfe, catalog).Workflow(translate.Options{}) }, func() { encode(wf) })
		hold(t, atMost(shape.name+": time / JSON encoding", ratio(measured[0], measured[1]), maxTranslationRatio*busyProcessor, ""))
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

func TestStatusMappingBounds(t *testing.T) {
	wfe, wf, packed, err := largestExecution()
	if err != nil {
		t.Fatal(err)
	}
	previous := translate.InitialSteps(&wfe.Spec)
	unpack := func() {
		if _, err := translate.Expand(packed); err != nil {
			t.Fatal(err)
		}
	}
	measured := interleave(func() { translate.Steps(previous, wf) }, func() { encode(wf) }, unpack)
	hold(t,
		atMost("time / JSON encoding", ratio(measured[0], measured[1]), maxTranslationRatio, ""),
		// Unpacking 2,000 nodes takes about 13 ms where mapping may take 2 ms.
		atMost("time / unpacking", ratio(measured[0], measured[2]), 0.2, ""))
}

// TestWritesBounds counts the writes for executions on a real API server.
func TestWritesBounds(t *testing.T) {
	results, err := measureWrites(context.Background(), &settings{definitions: testutil.Minimal})
	if err != nil {
		t.Fatal(err)
	}
	hold(t, results...)
}

// TestCreatePathBounds creates a few executions on a real API server.
func TestCreatePathBounds(t *testing.T) {
	results, err := measureCreatePath(context.Background(), &settings{count: 100, definitions: testutil.Minimal})
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, result := range results {
		switch _, what, _ := strings.Cut(result.Name, ": "); what {
		case "p50 / direct p50":
			hold(t, atMost(result.Name, result.Value, maxCreateRatio*busyMachine, ""))
		case "sustained rate / direct":
			hold(t, atLeast(result.Name, result.Value, minRateRatio/busyMachine))
		case "throttled by our own client":
			hold(t, result)
		default:
			continue
		}
		held++
	}
	if held != 3 {
		t.Errorf("%d results were held to a bound, want 3", held)
	}
}
