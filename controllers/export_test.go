package controllers

import (
	"sigs.k8s.io/controller-runtime/pkg/handler"
)

// The transformations of the cache.
var (
	TransformExecution = transformExecution
	TransformWorkflow  = transformWorkflow
)

// Watches are the watches that wake the executions that wait for others.
func Watches(r *Reconciler) []handler.EventHandler { return r.admission.Watches() }

// Remembered counts, by what it is for, what a Reconciler's rooms remember of single executions and Workflows.
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
