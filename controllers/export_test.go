package controllers

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/kubernaut-io/workflowexecution/test/simulator"
)

// The transformations of the cache.
var (
	TransformExecution = transformExecution
	TransformWorkflow  = transformWorkflow
)

// AdmissionWatches are the handlers that enqueue the executions that wait for others.
func AdmissionWatches(r *Reconciler) []handler.EventHandler { return r.admission.Watches() }

// Watches are the handlers of SetupWithManager. For adds the first one of the executions, and package finished that of the ended
// ones.
func Watches(r *Reconciler, scheme *runtime.Scheme, mapper meta.RESTMapper) simulator.Watches {
	self := &handler.EnqueueRequestForObject{}
	return simulator.Watches{
		Executions: append([]handler.EventHandler{self}, r.admission.Watches()...),
		Finished:   []handler.EventHandler{self},
		Workflows:  []handler.EventHandler{enqueueExecution(), r.admission.WorkflowWatch()},
	}
}

// AddIndices adds the indices of SetupWithManager.
func AddIndices(r *Reconciler) func(context.Context, client.FieldIndexer) error {
	return func(ctx context.Context, indexer client.FieldIndexer) error {
		return errors.Join(r.admission.AddIndices(ctx, indexer), r.admission.AddWorkflowIndex(ctx, indexer))
	}
}

// Remembered counts what a Reconciler remembers of single executions and Workflows, by its purpose.
func Remembered(r *Reconciler) map[string]int {
	writes, silences := r.workflows.Remembered()
	counts := map[string]int{
		"admitted": r.admission.Admitted(), "writes": writes, "silences": silences, "statuses": r.statuses.Len(),
	}
	for what, count := range counts {
		if count == 0 {
			delete(counts, what)
		}
	}
	return counts
}
