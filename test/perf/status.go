package main

import (
	"context"
	"encoding/json"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/util/file"
	"github.com/argoproj/argo-workflows/v3/workflow/packer"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// largest is the most steps that an execution has.
const largest = 500

// measureStatus measures mapping the nodes of 500 steps, each of which ran three times, onto steps: plain, and packed as
// Argo packs large Workflows, beside the unpacking alone.
func measureStatus(_ context.Context, _ *settings) ([]Result, error) {
	wfe, wf, packed, err := ranLargest()
	if err != nil {
		return nil, err
	}
	previous := translate.InitialSteps(&wfe.Spec)
	mapping := func() { translate.Steps(previous, wf) }
	measured := interleave(mapping, func() {
		expanded, err := translate.Expand(packed)
		if err != nil {
			panic(err)
		}
		translate.Steps(previous, expanded)
	}, func() {
		unpacked := *packed
		if err := packer.DecompressWorkflow(&unpacked); err != nil {
			panic(err)
		}
	})
	count, _ := allocations(mapping)
	return []Result{
		atMost("status of 500 steps with retries: time", percentile(measured[0], 50)*1e3, 2, "ms"),
		told("status of 500 steps with retries: allocations a step", count/largest, ""),
		told("status of 500 steps with retries, packed: time", percentile(measured[1], 50)*1e3, "ms"),
		atMost("status of 500 steps with retries, packed: time / unpacking", ratio(measured[1], measured[2]), 1.2, ""),
	}, nil
}

// ranLargest is the largest execution, its Workflow after all steps ran, and the same one packed.
func ranLargest() (wfe *wfev1.WorkflowExecution, wf, packed *wfv1.Workflow, err error) {
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
