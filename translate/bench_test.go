package translate

import (
	"encoding/json"
	"fmt"
	"testing"

	"k8s.io/utils/ptr"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// shapes are graphs of n steps.
var shapes = map[string]func(n int) []wfev1.Step{
	"Chain": func(n int) []wfev1.Step {
		steps := manySteps(n)
		for i := 1; i < n; i++ {
			steps[i].DependsOn = []string{steps[i-1].Name}
		}
		return steps
	},
	"FanOut": func(n int) []wfev1.Step {
		steps := manySteps(n)
		for i := 1; i < n; i++ {
			steps[i].DependsOn = []string{steps[0].Name}
		}
		return steps
	},
	// Layers of ten steps, each of which depends on the whole layer before.
	"Layered": func(n int) []wfev1.Step {
		steps := manySteps(n)
		for i := range steps {
			for parent := max(0, i/10*10-10); parent < i/10*10; parent++ {
				steps[i].DependsOn = append(steps[i].DependsOn, steps[parent].Name)
			}
		}
		return steps
	},
}

func BenchmarkGraph(b *testing.B) {
	for _, shape := range sortedKeys(shapes) {
		for _, n := range []int{10, 100, 500, 10000} {
			steps := shapes[shape](n)
			b.Run(fmt.Sprintf("%s/%d", shape, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, problems := NewGraph(steps); len(problems) > 0 {
						b.Fatal(problems)
					}
				}
			})
		}
	}
}

// benchmarkExecution has layers of ten steps with parameters, references, retries and timeouts.
func benchmarkExecution(n int) *wfev1.WorkflowExecution {
	steps := shapes["Layered"](n)
	for i := range steps {
		runs("scale-deployment")(&steps[i])
		with("deployment", "payment-api")(&steps[i])
		if i < 10 {
			with("replicas", "3")(&steps[i])
		} else {
			withOutput("replicas", steps[i-10].Name, "previous-replicas")(&steps[i])
		}
		steps[i].Retry = &wfev1.Retry{Limit: int32(i%3) + 1}
		steps[i].TimeoutSeconds = ptr.To(int32(60))
	}
	return newExecution(steps...)
}

func BenchmarkWorkflow(b *testing.B) {
	catalog := readCatalog(b)
	for _, n := range []int{10, 100, 500} {
		wfe := benchmarkExecution(n)
		plan := mustPlan(b, wfe, catalog)
		b.Run(fmt.Sprintf("Plan/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustPlan(b, wfe, catalog)
			}
		})
		b.Run(fmt.Sprintf("Translate/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				plan.Workflow(Options{})
			}
		})
		// What the API server's client does with the same Workflow, as the measure of what is fast enough.
		b.Run(fmt.Sprintf("Marshal/%d", n), func(b *testing.B) {
			wf := plan.Workflow(Options{})
			b.ReportAllocs()
			for b.Loop() {
				encoded, err := json.Marshal(wf)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(encoded)))
			}
		})
	}
}

func BenchmarkSteps(b *testing.B) {
	const n = 500
	wf := newWorkflow(wfv1.WorkflowRunning)
	names := make([]string, n)
	for i := range n {
		names[i] = fmt.Sprintf("s%d", i)
		addNodes(wf, node(wfv1.NodeTypeRetry, names[i], wfv1.NodeSucceeded, withTimes(10, 80), outputs("previous-replicas", "3", "changed", "true")))
		for attempt := range 3 {
			addNodes(wf, pod(fmt.Sprintf("%s(%d)", names[i], attempt), wfv1.NodeFailed, withTimes(10, 20), withMessage("main: Error (exit code 1)")))
		}
	}
	previous := pending(names...)
	b.Run("Plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Steps(previous, wf)
		}
	})
	for name, packed := range map[string]*wfv1.Workflow{"Compressed": compress(b, wf), "Compacted": mustCompact(b, wf)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Steps(previous, mustExpand(b, packed))
			}
		})
	}
}

func BenchmarkRollback(b *testing.B) {
	catalog := readCatalog(b)
	for _, n := range []int{10, 100, 500} {
		steps := benchmarkExecution(n).Spec.Steps
		for i := range steps {
			if i%7 != 0 { // the others are gaps that the order goes through
				undoneBy("scale-deployment", given("deployment", "payment-api"), captured("replicas", steps[i].Name, "previous-replicas"))(&steps[i])
			}
		}
		wfe := ended(nil, steps...)
		for i := range steps {
			recorded(wfe, steps[i].Name, "previous-replicas", "3")
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if rollback, err := NewRollback(wfe, catalog, Options{}); rollback == nil || err != nil {
					b.Fatal(rollback, err)
				}
			}
		})
	}
}
