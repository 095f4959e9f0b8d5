package main

import (
	"context"
	"encoding/json"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/util/file"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// largest is the maximum number of steps of an execution.
const largest = 500

// measureStatusMapping measures mapping the nodes of 500 steps with three attempts each onto steps, and encoding the Workflow
// with these nodes as JSON.
func measureStatusMapping(_ context.Context, _ *settings) ([]Result, error) {
	wfe, wf, _, err := largestExecution()
	if err != nil {
		return nil, err
	}
	previous := translate.InitialSteps(&wfe.Spec)
	measured := interleave(func() { translate.Steps(previous, wf) }, func() { encode(wf) })
	return []Result{
		atMost("status of 500 steps with retries: time", percentile(measured[0], 50)*1e3, maxStatusMapping, "ms"),
		atMost("status of 500 steps with retries: time / JSON encoding", ratio(measured[0], measured[1]), maxTranslationRatio, ""),
	}, nil
}

// largestExecution is the largest execution, its Workflow after all steps ran, and the same Workflow with packed nodes.
func largestExecution() (wfe *wfev1.WorkflowExecution, wf, packed *wfv1.Workflow, err error) {
	catalog, err := readCatalog()
	if err != nil {
		return nil, nil, nil, err
	}
	wfe = shapes[2].execution("measured", largest)
	wf = plan(wfe, catalog).Workflow(translate.Options{})
	run(wf, 3)
	nodes, err := json.Marshal(wf.Status.Nodes)
	if err != nil {
		return nil, nil, nil, err
	}
	packed = wf.DeepCopy()
	packed.Status.Nodes, packed.Status.CompressedNodes = nil, file.CompressEncodeString(string(nodes))
	return wfe, wf, packed, nil
}
